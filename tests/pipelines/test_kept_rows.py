"""Models with an extended or pruned vocabulary, folder to folder: old rows stay to the bit."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_models import english_tokenizer, save_tiny_llama
from transformers import AutoModelForCausalLM

from lingraft.corpus import samples
from lingraft.corpus.records import Document
from lingraft.embeddings import EmbeddingMatrix
from lingraft.errors import InputError
from lingraft.languages import Language
from lingraft.model import extend_vocabulary, load, prune_vocabulary, save
from lingraft.model.diagnosis import diagnose
from lingraft.model.findings import is_sound
from lingraft.pipelines.adapt import STATE
from lingraft.pipelines.graft import graft
from lingraft.pipelines.kept_rows import keep_rows
from lingraft.tokenizer import Tokenizer, extend_bpe, prune, train_bpe

NUM_OLD, NUM_NEW, NUM_PADDING = 502, 40, 18
INPUT, OUTPUT = "model.embed_tokens.weight", "lm_head.weight"


@pytest.fixture(scope="module")
def greek_documents() -> tuple[Document, ...]:
    return tuple(samples.load_documents("test", lang=Language.parse("el")).records[:200])


@pytest.fixture(scope="module", params=["tied", "untied"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama in bfloat16 shards, with 18 rows of padding that are no mean."""
    root = tmp_path_factory.mktemp(request.param)
    save_tiny_llama(root / "whole", tied=request.param == "tied")
    model = AutoModelForCausalLM.from_pretrained(str(root / "whole"), dtype=torch.bfloat16)
    torch.manual_seed(0)
    model.resize_token_embeddings(NUM_OLD + NUM_PADDING, mean_resizing=False)
    model.save_pretrained(root / "model", max_shard_size=30_000)
    english_tokenizer().save(root / "model")
    return root / "model"


@pytest.fixture(scope="module")
def extended(
    greek_documents: tuple[Document, ...], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("extended")
    extend_bpe(english_tokenizer(), greek_documents, new_tokens=NUM_NEW).tokenizer.save(folder)
    return folder


@pytest.fixture(scope="module")
def pruned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pruned")
    english = samples.load_documents("test", lang=Language.parse("en")).records[:50]
    prune(english_tokenizer(), english, vocab_size=400).tokenizer.save(folder)
    return folder


def tensors_of(folder: Path) -> dict[str, torch.Tensor]:
    files = sorted(folder.glob("*.safetensors"))
    return {name: tensor for path in files for name, tensor in load_file(path).items()}


def bits(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.contiguous().view(torch.uint8)


def matrices(folder: Path) -> dict[str, torch.Tensor]:
    return {name: t for name, t in tensors_of(folder).items() if name in (INPUT, OUTPUT)}


def assert_equal_weights(got: Path, wanted: Path) -> None:
    ours, theirs = tensors_of(got), tensors_of(wanted)
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert tensor.dtype == theirs[name].dtype == torch.bfloat16
        assert torch.equal(bits(tensor), bits(theirs[name])), name
    for name in ("config.json", "generation_config.json", "tokenizer.json"):
        assert (got / name).read_bytes() == (wanted / name).read_bytes(), name


# 542 ids in 520 rows, and how many rows they get.
@pytest.mark.parametrize(("pad_to", "num_rows"), [(1, 542), (64, 576)])
@pytest.mark.parametrize("bilingual", [True, False])
def test_an_extended_model_keeps_its_rows(
    model: Path,
    extended: Path,
    greek: dict[str, Path],
    bilingual: bool,
    pad_to: int,
    num_rows: int,
    tmp_path: Path,
) -> None:
    pairs = [greek["pairs"]] if bilingual else None
    out = tmp_path / "out"
    done = graft(model, tokenizer=extended, to="el", pairs=pairs, pad_to=pad_to, out=out)
    before, after = matrices(model), matrices(out)
    assert before.keys() == after.keys()
    [made] = (out / STATE / "store").glob("rows-*")
    [kept] = (out / STATE / "store").glob("kept-*")
    for name, side in ((INPUT, "input"), (OUTPUT, "output")):
        if name not in after:
            continue
        assert after[name].shape == (num_rows, 32)
        assert torch.equal(bits(after[name][:NUM_OLD]), bits(before[name][:NUM_OLD]))
        method = torch.from_numpy(EmbeddingMatrix.load(made / side).rows).bfloat16()
        assert torch.equal(after[name][NUM_OLD : NUM_OLD + NUM_NEW], method[NUM_OLD:])
        # Evidence from pairs goes before a copy, so that the method alone moves old rows.
        same = torch.equal(method[:NUM_OLD], before[name][:NUM_OLD])
        assert same == (not bilingual)
    wanted = load(model, dtype=torch.bfloat16)
    rows = EmbeddingMatrix.load(kept / "input")
    head = EmbeddingMatrix.load(kept / "output") if OUTPUT in after else None
    grown = extend_vocabulary(
        wanted.model,
        Tokenizer.load(extended),
        rows,
        head,
        source_tokenizer=wanted.tokenizer,
        pad_to=pad_to,
    )
    save(grown, Tokenizer.load(extended), tmp_path / "wanted")
    assert_equal_weights(out, tmp_path / "wanted")
    assert is_sound(diagnose(out))
    assert done.coverage["kind"] == "extended"
    assert done.coverage["by_rule"]["kept"] == NUM_OLD
    assert sum(done.coverage["by_rule"].values()) == done.coverage["num_rows"] == 542


def test_padding_that_is_left_over_keeps_its_values(
    model: Path, greek_documents: tuple[Document, ...], tmp_path: Path
) -> None:
    few = extend_bpe(english_tokenizer(), greek_documents, new_tokens=5).tokenizer
    few.save(tmp_path / "few")
    graft(model, tokenizer=tmp_path / "few", to="el", out=tmp_path / "out")
    before, after = matrices(model), matrices(tmp_path / "out")
    for name, matrix in after.items():
        assert len(matrix) == NUM_OLD + NUM_PADDING
        assert torch.equal(bits(matrix[507:]), bits(before[name][507:]))
        assert not torch.equal(matrix[502:507], before[name][502:507])


@pytest.mark.parametrize("pad_to", [1, 64])
def test_a_pruned_model_is_its_own_rows(
    model: Path, pruned: Path, greek: dict[str, Path], pad_to: int, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = graft(model, tokenizer=pruned, to="en", pairs=[greek["pairs"]], pad_to=pad_to, out=out)
    old, new = english_tokenizer(), Tokenizer.load(pruned)
    places = torch.tensor(
        [old.backend.token_to_id(new.backend.id_to_token(number)) for number in range(400)]
    )
    before, after = matrices(model), matrices(out)
    for name, matrix in after.items():
        assert len(matrix) == (448 if pad_to == 64 else 400)
        assert torch.equal(bits(matrix[:400]), bits(before[name][places]))
    wanted = load(model, dtype=torch.bfloat16)
    id_map = {int(place): number for number, place in enumerate(places)}
    small = prune_vocabulary(
        wanted.model, new, id_map, source_tokenizer=wanted.tokenizer, pad_to=pad_to
    )
    save(small, new, tmp_path / "wanted")
    assert_equal_weights(out, tmp_path / "wanted")
    assert is_sound(diagnose(out))
    assert done.coverage["kind"] == "pruned"
    assert done.coverage["by_rule"] == {"kept": 400}
    kinds = {path.name.split("-")[0] for path in (out / STATE / "store").iterdir()}
    assert "rows" not in kinds
    assert "links" not in kinds


def test_rows_are_explained(model: Path, extended: Path, tmp_path: Path) -> None:
    new = Tokenizer.load(extended)
    token = next(
        piece.decode()
        for piece in new.vocabulary.pieces[NUM_OLD:]
        if piece is not None and piece.decode(errors="ignore").encode() == piece
    )
    done = graft(model, tokenizer=extended, to="el", explain=[" the", token], out=tmp_path / "out")
    the, greek = done.explained
    assert (the["rule"], the["sources"]) == ("kept", [{"token": " the", "weight": 1.0}])
    assert (greek["token"], greek["rule"]) == (token, "pieces")
    row = matrices(model)[INPUT][the["id"]].float()
    assert the["norm"] == pytest.approx(float(row.norm()), rel=1e-5)


def test_another_vocabulary_keeps_nothing(
    model: Path, greek_documents: tuple[Document, ...], tmp_path: Path
) -> None:
    train_bpe(greek_documents, vocab_size=400, like=english_tokenizer()).save(tmp_path / "other")
    done = graft(model, tokenizer=tmp_path / "other", to="el", pad_to=64, out=tmp_path / "out")
    assert "kept" not in done.coverage["by_rule"]
    for matrix in matrices(tmp_path / "out").values():
        assert len(matrix) == 448
        mean_D = matrix[:400].double().mean(0).bfloat16()
        assert torch.equal(matrix[400:], mean_D.expand(48, -1))
    config: dict[str, Any] = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["vocab_size"] == 448


def test_rows_without_descent_are_refused(
    model: Path, extended: Path, greek_documents: tuple[Document, ...], tmp_path: Path
) -> None:
    other = tmp_path / "other"
    train_bpe(greek_documents, vocab_size=400, like=english_tokenizer()).save(other)
    for tokenizer, got in ((other, "another tokenizer"), (extended, "no rows")):
        with pytest.raises(InputError, match=f"made from the model's own, .*, got {got}") as caught:
            keep_rows(model=model, tokenizer=tokenizer, rows=None, out=tmp_path / "out")
        assert caught.value.where == str(tokenizer)


def test_a_bad_multiple_is_refused_before_any_work(
    model: Path, extended: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="pad_to: expected a multiple of 1 or more, got 0"):
        graft(model, tokenizer=extended, to="el", pad_to=0, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
