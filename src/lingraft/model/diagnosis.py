"""What is wrong with a model folder, whoever made it: what users report as garbled output.

Each check answers for one way in which a change of vocabulary has broken models (issues of
transformers, unsloth, mergekit, LLaMA-Factory and llama.cpp; ids beyond the matrix, heads tied by
the configuration alone, rows that nothing set, tokenizers that load with other rules). Nothing in
the folder is run, and weights are read block by block.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lingraft.errors import InputError, LingraftError
from lingraft.model.findings import FETCH_AGAIN, Finding, error_found, refused_with, settings_in
from lingraft.model.loading import PICKLE_SUFFIXES, load_tokenizer
from lingraft.model.weight_checks import check_weights
from lingraft.tokenizer.tokenizer import ROLE_NAMES, Tokenizer

MAX_UNREACHABLE_SHARE = 0.1
NUM_SAMPLED_TOKENS = 4096
_OWN_CLASSES = ("TokenizersBackend", "SentencePieceBackend", "PythonBackend")
_CHAT_TOKENS = ("<|im_start|>", "<|start_header_id|>", "<start_of_turn>", "[INST]", "<|user|>")
_IDS = (*(f"{role}_id" for role in ROLE_NAMES), "decoder_start_token_id", "forced_bos_token_id")


def diagnose(folder: Path) -> tuple[Finding, ...]:
    """Checks a model folder and returns what is wrong, errors first.

    Args:
        folder: The folder.

    Returns:
        Findings; none of severity ``"error"`` in a sound folder.

    Raises:
        InputError: There is no such folder.
    """
    if not folder.is_dir():
        raise InputError(expected="a model folder", got="none", where=str(folder))
    findings = [*_check_files(folder), *_check_settings(folder)]
    tokenizer = None
    if (folder / "tokenizer.json").exists():
        findings += _check_merges(folder)
        try:
            tokenizer = Tokenizer.load(folder)
        except LingraftError as error:
            findings.append(refused_with("tokenizer-unreadable", error, folder / "tokenizer.json"))
    else:
        findings.append(
            error_found(
                "tokenizer-missing",
                "there is no tokenizer.json",
                folder,
                "save the tokenizer with transformers, which writes one",
            )
        )
    if tokenizer is not None:
        findings += [*_check_tokenizer(folder, tokenizer), *_check_ids(folder, tokenizer)]
    findings += check_weights(folder, tokenizer)
    return tuple(sorted(findings, key=lambda finding: finding.severity != "error"))


def _check_files(folder: Path) -> Iterator[Finding]:
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    pickles = [name for name in names if name.endswith(PICKLE_SUFFIXES)]
    safe = any(name.endswith(".safetensors") for name in names)
    if pickles:
        yield Finding(
            "pickle-weights",
            "warning" if safe else "error",
            f"{', '.join(pickles)} can run code when loaded",
            str(folder),
            "delete them" if safe else "convert them to safetensors in a place you trust",
        )
    for name in ("config.json", "tokenizer_config.json"):
        if "auto_map" in settings_in(folder / name):
            yield error_found(
                "auto-map",
                "asks for code of the folder's own",
                folder / name,
                "use a model that transformers has the code for; nothing here runs such code",
            )


def _check_settings(folder: Path) -> Iterator[Finding]:
    for name in ("config.json", "generation_config.json", "tokenizer_config.json"):
        path = folder / name
        if not path.exists():
            if name == "config.json":
                yield error_found("config-missing", "there is no config.json", folder, FETCH_AGAIN)
            continue
        try:
            content = json.loads(path.read_bytes())
            if not isinstance(content, dict):
                raise ValueError("no object of settings")
        except ValueError as error:
            yield error_found("config-unreadable", f"not JSON settings: {error}", path, FETCH_AGAIN)
    chosen = settings_in(folder / "tokenizer_config.json").get("tokenizer_class")
    if chosen in _OWN_CLASSES:
        yield error_found(
            "tokenizer-class",
            f"tokenizer_class is {chosen!r}, which transformers 4 and llama.cpp cannot load",
            folder / "tokenizer_config.json",
            'set it to "PreTrainedTokenizerFast"',
        )


def _check_merges(folder: Path) -> Iterator[Finding]:
    """Merges of tokens that are not there: the tokenizers library refuses the whole file."""
    model = settings_in(folder / "tokenizer.json").get("model")
    if not isinstance(model, dict) or not isinstance(model.get("vocab"), dict):
        return
    vocabulary, missing = model["vocab"], []
    for merge in model.get("merges") or ():
        left, right = merge.split(" ", 1) if isinstance(merge, str) else merge
        if not all(part in vocabulary for part in (left, right, left + right)):
            missing.append(f"{left} {right}")
    if missing:
        yield error_found(
            "merge-parts-missing",
            f"{len(missing)} merges of tokens that are not in the vocabulary, {missing[0]!r} first",
            folder / "tokenizer.json",
            "remove the merges together with the tokens, leaves of the merge tree first",
        )


def _check_tokenizer(folder: Path, tokenizer: Tokenizer) -> Iterator[Finding]:
    try:
        load_tokenizer(folder)
    except LingraftError as error:
        yield refused_with("tokenizer-rewritten", error, folder / "tokenizer_config.json")
    for role, text in tokenizer.roles.items():
        if tokenizer.backend.token_to_id(text) is None:
            yield error_found(
                "role-unknown",
                f"{role} is {text!r}, which is no token",
                folder / "tokenizer_config.json",
                "name a token of the vocabulary, or add this one with a row of its own",
            )
    marks = [text for text in _CHAT_TOKENS if tokenizer.backend.token_to_id(text) is not None]
    if marks and tokenizer.chat_template is None:
        yield Finding(
            "chat-template-missing",
            "warning",
            f"there is {marks[0]} but no chat template",
            str(folder / "tokenizer_config.json"),
            "copy chat_template.jinja from the source model if that one could chat",
        )
    sampled, lost = _unreachable(tokenizer)
    if len(lost) > MAX_UNREACHABLE_SHARE * len(sampled):
        yield error_found(
            "unreachable-tokens",
            f"{len(lost)} of {len(sampled)} sampled tokens are never given when their own text is "
            f"encoded, {tokenizer.vocabulary.describe(lost[0])!r} first",
            folder / "tokenizer.json",
            "new tokens need merges; adding them to the vocabulary alone changes nothing",
        )


def _unreachable(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """A sample of tokens that are whole text, and those of them that encoding never gives."""
    vocabulary = tokenizer.vocabulary
    added = {entry["id"] for entry in tokenizer.to_json()["added_tokens"]}
    texts = {}
    for token, piece in enumerate(vocabulary.pieces):
        if piece and token not in added and token not in vocabulary.fallback:
            text = piece.decode("utf-8", errors="ignore")
            if text.encode("utf-8") == piece:
                texts[token] = text
    sampled = list(texts)[:: -(-len(texts) // NUM_SAMPLED_TOKENS) or 1]
    # SentencePiece and WordPiece put a space before a text themselves.
    alone = tokenizer.encode_batch([texts[token] for token in sampled])
    inside = tokenizer.encode_batch([texts[token].removeprefix(" ") for token in sampled])
    after = tokenizer.encode_batch(["a" + texts[token] for token in sampled])
    given = zip(sampled, alone, inside, after, strict=True)
    return sampled, [token for token, *ids in given if not any(token in part for part in ids)]


def _check_ids(folder: Path, tokenizer: Tokenizer) -> Iterator[Finding]:
    """Ids in the settings are special tokens: an ordinary one would end texts in their midst."""
    special = tokenizer.vocabulary.special
    for name in ("config.json", "generation_config.json"):
        for setting, number in _special_ids(settings_in(folder / name)):
            if tokenizer.backend.id_to_token(number) is None:
                yield error_found(
                    "special-id-unknown",
                    f"{setting} is {number}, which is no id of the tokenizer",
                    folder / name,
                    "set the id that the token has in tokenizer.json",
                )
            elif number not in special and tokenizer.backend.id_to_token(number) not in (
                tokenizer.roles.values()
            ):
                yield error_found(
                    "special-id-ordinary",
                    f"{setting} is {number}, the ordinary token "
                    f"{tokenizer.vocabulary.describe(number)!r}",
                    folder / name,
                    "set the id that the special token has in tokenizer.json",
                )


def _special_ids(settings: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    for name in _IDS:
        value = settings.get(name)
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, int) and number >= 0:
                yield name, number
