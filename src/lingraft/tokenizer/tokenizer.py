"""A tokenizer as the file `tokenizer.json` has it, with the roles of its special tokens.

Token ids come from the `tokenizers` library alone: transformers 5 loads some files under a class
whose own rules give other ids (transformers#45488), so the file is the truth here and the model
loader compares the two.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import tokenizers

from lingraft.errors import InputError, ModelError
from lingraft.files import write_json, write_text
from lingraft.tokenizer.vocabulary import Vocabulary

ROLE_NAMES = (
    "bos_token",
    "eos_token",
    "pad_token",
    "unk_token",
    "cls_token",
    "sep_token",
    "mask_token",
)


@dataclass(frozen=True, eq=False)
class Tokenizer:
    """A tokenizer and what a model needs to know about it.

    Attributes:
        backend: The rules, from `tokenizer.json`.
        roles: Role name (``"bos_token"`` …) to the token's text.
        chat_template: Jinja template of conversations, or None.
        settings: Other settings of `tokenizer_config.json` that have to survive.
    """

    backend: tokenizers.Tokenizer
    roles: Mapping[str, str] = field(default_factory=dict)
    chat_template: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Text that spells a special token is text: a corpus must not be able to say "end here".
        self.backend.encode_special_tokens = True

    def __len__(self) -> int:
        return len(self.vocabulary)  # one above the highest id, also where some are not used

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The bytes or the role of every id."""
        return Vocabulary.from_backend(self.backend)

    def encode(self, text: str) -> list[int]:
        """Returns the ids of a text, without start or end tokens."""
        return list(self.backend.encode(text, add_special_tokens=False).ids)

    def encode_batch(self, texts: Iterable[str]) -> list[list[int]]:
        """Returns the ids of many texts, each as `encode` does it."""
        encodings = self.backend.encode_batch_fast(list(texts), add_special_tokens=False)
        return [list(encoding.ids) for encoding in encodings]

    def encode_with_offsets(
        self, texts: Iterable[str]
    ) -> list[tuple[list[int], list[tuple[int, int]]]]:
        """Returns for each text its ids and each token's half-open span of characters."""
        encodings = self.backend.encode_batch(list(texts), add_special_tokens=False)
        return [(list(encoding.ids), list(encoding.offsets)) for encoding in encodings]

    def decode(self, ids: Iterable[int]) -> str:
        """Returns the text of some ids; special tokens are left out."""
        return str(self.backend.decode(list(ids), skip_special_tokens=True))

    def role_id(self, role: str) -> int | None:
        """Returns the id of ``"bos_token"``, ``"eos_token"`` …, or None where there is none."""
        token = self.roles.get(role)
        return None if token is None else self.backend.token_to_id(token)

    def to_json(self) -> dict[str, Any]:
        """Returns the content of `tokenizer.json`."""
        content: dict[str, Any] = json.loads(self.backend.to_str())
        return content

    def save(self, folder: Path) -> None:
        """Writes `tokenizer.json`, `tokenizer_config.json` and the chat template.

        The class is written as ``PreTrainedTokenizerFast``, which every version of transformers
        loads with the file's own rules (transformers 5 itself would write a name that version 4
        and llama.cpp's converter refuse, unsloth#8444).
        """
        config = dict(self.settings) | dict(self.roles)
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
        write_text(folder / "tokenizer.json", self.backend.to_str(pretty=False))
        write_json(folder / "tokenizer_config.json", config)
        if self.chat_template is not None:
            write_text(folder / "chat_template.jinja", self.chat_template)
        else:
            (folder / "chat_template.jinja").unlink(missing_ok=True)

    @classmethod
    def load(cls, folder: Path) -> "Tokenizer":
        """Reads a folder's tokenizer.

        Raises:
            InputError: There is no readable `tokenizer.json`.
            ModelError: The folder asks for custom code.
        """
        path = folder / "tokenizer.json"
        try:
            backend = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises bare Exception
            raise InputError(
                expected="a readable tokenizer.json",
                got=str(error),
                where=str(path),
                hint="a tokenizer without that file can be saved with one by transformers",
            ) from error
        config_path = folder / "tokenizer_config.json"
        config = _read_config(config_path)
        if "auto_map" in config:
            raise ModelError(
                expected="a tokenizer that needs no code of its own",
                got="auto_map in tokenizer_config.json",
                where=str(config_path),
                hint="lingraft never runs code from a model folder",
            )
        # Padding and truncation belong to a call, not to the vocabulary: a file that stores them
        # would lengthen or cut every text silently.
        backend.no_padding()
        backend.no_truncation()
        return cls(
            backend=backend,
            roles={role: _token_text(config[role]) for role in ROLE_NAMES if config.get(role)},
            chat_template=_chat_template(folder / "chat_template.jinja", config),
            settings={
                key: config[key]
                for key in ("model_max_length", "clean_up_tokenization_spaces", "padding_side")
                if key in config
            },
        )


def _read_config(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        config = json.loads(path.read_bytes())
    except ValueError as error:
        raise InputError(expected="JSON", got=str(error), where=str(path)) from error
    if not isinstance(config, dict):
        raise InputError(
            expected="a JSON object of settings", got=type(config).__name__, where=str(path)
        )
    return config


def _chat_template(path: Path, config: dict[str, Any]) -> str | None:
    """The file wins; older versions keep the template, or a list of named ones, in the settings."""
    if path.exists():
        return path.read_text(encoding="utf-8")
    template = config.get("chat_template")
    if isinstance(template, list):
        named = {entry["name"]: entry["template"] for entry in template}
        template = named.get("default")
    return template if isinstance(template, str) else None


def _token_text(value: Any) -> str:
    """Special tokens are stored as text or, by older versions, as an object with `content`."""
    return str(value["content"]) if isinstance(value, dict) else str(value)
