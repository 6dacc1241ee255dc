"""A sound folder has no findings, and one that is broken in one way has that one."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import english_tokenizer, save_tiny_llama
from transformers import AutoModelForCausalLM, GPTNeoXConfig

from lingraft.errors import InputError
from lingraft.model import save
from lingraft.model.diagnosis import diagnose
from lingraft.model.findings import Finding, is_sound
from lingraft.model.shards import INDEX, SINGLE

NUM_IDS = 502
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Sound folders: tied, untied, and untied in shards."""
    root = tmp_path_factory.mktemp("sound")
    for name in ("tied", "untied"):
        save_tiny_llama(root / name, tied=name == "tied")
    loaded = AutoModelForCausalLM.from_pretrained(str(root / "untied"), dtype=torch.float32)
    loaded.save_pretrained(root / "shards", max_shard_size=40_000)
    english_tokenizer().save(root / "shards")
    return {path.name: path for path in root.iterdir()}


@pytest.fixture
def copied(models: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """Copies a sound folder for a test to break."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(models[name], tmp_path / name))

    return copy


def edit_json(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def edit_tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(folder / SINGLE)
    change(tensors)
    save_file(tensors, folder / SINGLE, metadata={"format": "pt"})


def edit_tokenizer(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def only(folder: Path, code: str, *parts: str, severity: str = "error") -> Finding:
    """The one finding, which must be this one and say this."""
    findings = diagnose(folder)
    assert [finding.code for finding in findings] == [code], findings
    [finding] = findings
    told = f"{finding.problem} | {finding.where} | {finding.advice}"
    for part in parts:
        assert part in told, told
    assert finding.severity == severity
    assert finding.advice
    assert is_sound(findings) == (severity == "warning")
    return finding


@pytest.mark.parametrize("name", ["tied", "untied", "shards"])
def test_sound_folders_have_no_findings(name: str, models: dict[str, Path]) -> None:
    assert diagnose(models[name]) == ()


def test_padding_rows_may_hold_anything(copied: Callable[[str], Path]) -> None:
    folder = copied("tied")
    padding = torch.cat([torch.zeros(6, 32), torch.full((4, 32), 1e6)])
    edit_tensors(folder, lambda t: t.update({EMBEDDING: torch.cat([t[EMBEDDING], padding])}))
    edit_json(folder / "config.json", vocab_size=NUM_IDS + 10)
    assert diagnose(folder) == ()


def test_a_stored_copy_of_a_tied_head_is_sound(copied: Callable[[str], Path]) -> None:
    folder = copied("tied")
    edit_tensors(folder, lambda t: t.update({HEAD: t[EMBEDDING].clone()}))
    assert diagnose(folder) == ()


def test_no_folder_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gone: expected a model folder, got none"):
        diagnose(tmp_path / "gone")


def test_ids_beyond_the_matrix(copied: Callable[[str], Path]) -> None:
    folder = copied("tied")
    edit_tensors(folder, lambda t: t.update({EMBEDDING: t[EMBEDDING][:490].clone()}))
    edit_json(folder / "config.json", vocab_size=490, pad_token_id=None)
    only(folder, "ids-beyond-matrix", "ids up to 501", "490 rows", "tokenizer.json")


def test_another_vocab_size_in_the_configuration(copied: Callable[[str], Path]) -> None:
    folder = copied("untied")
    edit_json(folder / "config.json", vocab_size=512)
    only(folder, "vocab-size-differs", "512", "502 rows", "config.json", "set it to 502")


def test_a_head_of_another_size(copied: Callable[[str], Path]) -> None:
    folder = copied("untied")
    edit_tensors(folder, lambda t: t.update({HEAD: t[HEAD][:500].clone()}))
    only(folder, "head-size-differs", "(500, 32)", "(502, 32)")


def test_a_head_that_is_tied_in_the_configuration_alone(copied: Callable[[str], Path]) -> None:
    folder = copied("untied")
    edit_json(folder / "config.json", tie_word_embeddings=True)
    only(folder, "head-tied-in-config-only", "the two differ", "to false")


def test_a_head_that_is_tied_in_the_tensors_alone(copied: Callable[[str], Path]) -> None:
    folder = copied("tied")
    edit_json(folder / "config.json", tie_word_embeddings=False)
    only(folder, "head-missing", f"1 tensors of the model are not stored, {HEAD}", "to true")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", [EMBEDDING, HEAD])
def test_rows_that_are_no_numbers(copied: Callable[[str], Path], bad: float, name: str) -> None:
    folder = copied("untied")

    def spoil(tensors: dict[str, torch.Tensor]) -> None:
        tensors[name][300, 7] = bad
        tensors[name][400, 0] = bad

    edit_tensors(folder, spoil)
    only(folder, "nan-rows", "2 of 502 rows", "row 300", name)


@pytest.mark.parametrize("row", [300, 500])
def test_zero_rows(copied: Callable[[str], Path], row: int) -> None:
    folder = copied("tied")
    edit_tensors(folder, lambda t: t[EMBEDDING][row].zero_())
    named = "<|start|>" if row == 500 else ""
    only(folder, "zero-rows", "1 of 502 rows are all zeros", f"row {row}", named)


def test_the_row_of_the_padding_token_may_be_zero(models: dict[str, Path]) -> None:
    assert not load_file(models["tied"] / SINGLE)[EMBEDDING][501].any()


@pytest.mark.parametrize(("num", "severity"), [(3, "warning"), (80, "error")])
def test_duplicate_rows(copied: Callable[[str], Path], num: int, severity: str) -> None:
    folder = copied("tied")

    def repeat(tensors: dict[str, torch.Tensor]) -> None:
        tensors[EMBEDDING][300 : 300 + num] = tensors[EMBEDDING][5]

    edit_tensors(folder, repeat)
    only(folder, "duplicate-rows", f"{num} of 502 rows", "row 300", severity=severity)


@pytest.mark.parametrize("factor", [50.0, 0.02])
def test_rows_with_outlying_norms(copied: Callable[[str], Path], factor: float) -> None:
    folder = copied("tied")
    edit_tensors(folder, lambda t: t[EMBEDDING][300:302].mul_(factor))
    only(folder, "outlier-norms", "2 of 502 rows", "row 300", severity="warning")


@pytest.mark.parametrize("name", ["config.json", "generation_config.json"])
@pytest.mark.parametrize("setting", ["bos_token_id", "eos_token_id", "pad_token_id"])
def test_special_ids_that_are_no_tokens(
    copied: Callable[[str], Path], name: str, setting: str
) -> None:
    folder = copied("tied")
    edit_json(folder / name, **{setting: 502})
    [finding, *others] = diagnose(folder)
    assert finding.code == "special-id-unknown"
    assert finding.problem.startswith(f"{setting} is 502")
    assert finding.where.endswith(name)
    # torch does not even build an embedding with a padding id beyond it.
    unbuilt = (setting, name) == ("pad_token_id", "config.json")
    assert [other.code for other in others] == ["model-unknown"] * unbuilt


@pytest.mark.parametrize("name", ["config.json", "generation_config.json"])
def test_special_ids_that_are_ordinary_tokens(copied: Callable[[str], Path], name: str) -> None:
    folder = copied("tied")
    letter = english_tokenizer().encode("a")[0]
    edit_json(folder / name, eos_token_id=[501, letter])
    only(folder, "special-id-ordinary", f"eos_token_id is {letter}, the ordinary token 'a'", name)


def test_a_role_whose_token_is_not_there(copied: Callable[[str], Path]) -> None:
    folder = copied("tied")
    edit_json(folder / "tokenizer_config.json", mask_token="<mask>")
    codes = {finding.code for finding in diagnose(folder)}
    assert "role-unknown" in codes
    assert codes <= {"role-unknown", "tokenizer-rewritten"}


def test_a_tokenizer_that_transformers_loads_with_other_rules(
    copied: Callable[[str], Path],
) -> None:
    folder = copied("tied")
    rule = {"type": "Replace", "pattern": {"String": "fox"}, "content": "dog"}
    edit_tokenizer(folder, lambda content: content.update(normalizer=rule))
    assert diagnose(folder) == ()
    edit_json(folder / "tokenizer_config.json", tokenizer_class="GPT2Tokenizer")
    finding = only(folder, "tokenizer-rewritten", "from AutoTokenizer", "PreTrainedTokenizerFast")
    assert finding.problem.count("ids [") == 2, "both id sequences are to be seen"


def test_a_class_that_others_cannot_load(copied: Callable[[str], Path]) -> None:
    folder = copied("tied")
    edit_json(folder / "tokenizer_config.json", tokenizer_class="TokenizersBackend")
    only(folder, "tokenizer-class", "'TokenizersBackend'", 'set it to "PreTrainedTokenizerFast"')


def test_chat_tokens_without_a_template(copied: Callable[[str], Path]) -> None:
    folder = copied("tied")
    (folder / "chat_template.jinja").unlink()
    assert diagnose(folder) == (), "these special tokens are nobody's chat format"
    for name in ("tokenizer.json", "tokenizer_config.json"):
        text = (folder / name).read_text()
        (folder / name).write_text(text.replace("<|start|>", "<|im_start|>"))
    only(folder, "chat-template-missing", "<|im_start|>", severity="warning")


def test_missing_tensors(copied: Callable[[str], Path]) -> None:
    name = "model.layers.1.mlp.up_proj.weight"
    folder = copied("tied")
    edit_tensors(folder, lambda t: t.pop(name))
    only(folder, "tensor-missing", f"1 tensors of the model are not stored, {name}")


def test_a_missing_embedding(copied: Callable[[str], Path]) -> None:
    folder = copied("untied")
    edit_tensors(folder, lambda t: t.pop(EMBEDDING))
    only(folder, "tensor-missing", EMBEDDING)


def test_a_missing_shard(copied: Callable[[str], Path]) -> None:
    folder = copied("shards")
    [first, *_] = sorted(folder.glob("model-*.safetensors"))
    first.unlink()
    only(folder, "shard-missing", f"{first.name} is in the index but not in the folder")


def test_a_shard_cut_short(copied: Callable[[str], Path]) -> None:
    folder = copied("shards")
    [first, *_] = sorted(folder.glob("model-*.safetensors"))
    first.write_bytes(first.read_bytes()[:-1])
    only(folder, "weights-unreadable", "whole safetensors file", first.name)


def test_an_index_of_other_tensors(copied: Callable[[str], Path]) -> None:
    folder = copied("shards")
    index = json.loads((folder / INDEX).read_text())
    [file, *_] = index["weight_map"].values()
    edit_json(folder / INDEX, weight_map=index["weight_map"] | {"no.such.weight": file})
    only(folder, "index-differs", "no.such.weight", INDEX)


def test_an_index_that_is_none(copied: Callable[[str], Path]) -> None:
    folder = copied("shards")
    (folder / INDEX).write_text("{}")
    only(folder, "weights-unreadable", "weight_map", INDEX)


def test_quantised_rows(copied: Callable[[str], Path]) -> None:
    folder = copied("tied")
    edit_tensors(folder, lambda t: t.update({EMBEDDING: t[EMBEDDING].to(torch.int8)}))
    only(folder, "matrix-unreadable", "I8", EMBEDDING, "dequantised")


def test_pickles(copied: Callable[[str], Path]) -> None:
    folder = copied("tied")
    (folder / "training_args.bin").write_bytes(b"cos\nsystem\n")
    only(folder, "pickle-weights", "training_args.bin can run code", severity="warning")
    (folder / SINGLE).unlink()
    codes = [(finding.code, finding.severity) for finding in diagnose(folder)]
    assert codes == [("pickle-weights", "error"), ("weights-unreadable", "error")]


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_code_of_the_folders_own(copied: Callable[[str], Path], name: str) -> None:
    folder = copied("tied")
    edit_json(folder / name, auto_map={"AutoModel": "evil.Model"})
    [finding, *others] = diagnose(folder)
    assert finding.code == "auto-map"
    assert finding.where.endswith(name)
    assert {other.code for other in others} <= {"tokenizer-unreadable"}


def test_tokens_that_are_never_given(copied: Callable[[str], Path]) -> None:
    folder = copied("tied")

    def without_merges(content: dict[str, Any]) -> None:
        content["model"]["merges"] = content["model"]["merges"][:20]

    edit_tokenizer(folder, without_merges)
    only(folder, "unreachable-tokens", "sampled tokens are never given", "need merges")


@pytest.mark.parametrize("old_spelling", [False, True])
def test_merges_of_tokens_that_are_not_there(
    copied: Callable[[str], Path], old_spelling: bool
) -> None:
    folder = copied("tied")

    def lose(content: dict[str, Any]) -> None:
        [left, right] = content["model"]["merges"][3]
        content["model"]["merges"][3] = f"{left} {right}x" if old_spelling else [left, right + "x"]
        if old_spelling:
            spelt = (m if isinstance(m, str) else " ".join(m) for m in content["model"]["merges"])
            content["model"]["merges"] = list(spelt)

    edit_tokenizer(folder, lose)
    [finding, other] = diagnose(folder)
    assert finding.code == "merge-parts-missing"
    assert "1 merges" in finding.problem
    assert other.code == "tokenizer-unreadable"


@pytest.mark.parametrize("name", ["config.json", "generation_config.json"])
@pytest.mark.parametrize("text", ["{", "[]"])
def test_settings_that_are_not_json(copied: Callable[[str], Path], name: str, text: str) -> None:
    folder = copied("tied")
    (folder / name).write_text(text)
    codes = [finding.code for finding in diagnose(folder)]
    assert codes[0] == "config-unreadable"
    assert set(codes) <= {"config-unreadable", "tokenizer-rewritten"}


def test_a_folder_without_settings_or_tokenizer(copied: Callable[[str], Path]) -> None:
    folder = copied("tied")
    (folder / "tokenizer.json").unlink()
    only(folder, "tokenizer-missing", "no tokenizer.json")
    (folder / "config.json").unlink()
    assert [finding.code for finding in diagnose(folder)] == ["config-missing", "tokenizer-missing"]


def test_a_model_that_nobody_knows(copied: Callable[[str], Path]) -> None:
    folder = copied("tied")
    edit_json(folder / "config.json", model_type="nobody_knows")
    findings = diagnose(folder)
    assert "model-unknown" in {finding.code for finding in findings}
    assert {finding.code for finding in findings} <= {"model-unknown", "tokenizer-rewritten"}


def test_names_of_older_files_are_not_missing_tensors(tmp_path: Path) -> None:
    tokenizer = english_tokenizer()
    torch.manual_seed(0)
    config = GPTNeoXConfig(
        vocab_size=NUM_IDS,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        bos_token_id=500,
        eos_token_id=501,
        tie_word_embeddings=False,
    )
    save(AutoModelForCausalLM.from_config(config), tokenizer, tmp_path)
    edit_tensors(tmp_path, lambda t: t.update({"embed_out.weight": t.pop(HEAD)}))
    assert diagnose(tmp_path) == ()
