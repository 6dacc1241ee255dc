"""Translation memories (TMX 1.4), streamed: one translation unit at a time.

Expat is used directly: it tells line numbers, and refusing entity declarations closes the one
door to exponential expansion and to other files.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from xml.parsers import expat

from lingraft.corpus.streams import read_chunks
from lingraft.errors import InputError
from lingraft.languages import Language

# Elements whose content is code of the program that the text came from (TMX 1.4b, section 4).
_CODE = frozenset({"bpt", "ept", "it", "ph", "ut"})


@dataclass
class Unit:
    """One ``<tu>``.

    Attributes:
        line: 1-based line where it begins.
        id: Its ``tuid``, or an empty string.
        source: Text in the source language; None where it has none.
        target: Text in the target language; None where it has none.
    """

    line: int
    id: str
    source: str | None = None
    target: str | None = None


def read_tmx(
    path: Path, source_lang: Language, target_lang: Language, *, max_characters: int
) -> Iterator[Unit]:
    """Yields the units of a TMX file, plain or compressed, in any encoding that expat knows.

    A variant has to agree in language and script. Of several, the one that agrees in region too
    comes first, then the first in the file. Formatting codes are left out of the text. A text
    longer than `max_characters` is cut one character later: its reader sees that it is too long.

    Raises:
        InputError: The file cannot be read, is not well-formed XML, or declares entities.
    """
    reader = _Reader(path, source_lang, target_lang, max_characters)
    for chunk in read_chunks(path):
        reader.feed(chunk, is_last=False)
        yield from reader.take()
    reader.feed(b"", is_last=True)
    yield from reader.take()


@dataclass
class _State:
    """Where in a unit the parser is."""

    unit: Unit | None = None
    side: str | None = None
    rank: dict[str, int] = field(default_factory=dict)
    in_segment: bool = False
    num_code: int = 0
    text: list[str] = field(default_factory=list)
    num_characters: int = 0


class _Reader:
    def __init__(
        self, path: Path, source_lang: Language, target_lang: Language, max_characters: int
    ) -> None:
        self._path, self._max_characters = path, max_characters
        self._languages = {"source": source_lang, "target": target_lang}
        self._state, self._finished = _State(), list[Unit]()
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.EntityDeclHandler = self._refuse_entity
        # Reached for `&name;` where an external DTD, which is never read, might define the name.
        self._parser.SkippedEntityHandler = self._refuse_entity

    def feed(self, chunk: bytes, *, is_last: bool) -> None:
        try:
            self._parser.Parse(chunk, is_last)
        except expat.ExpatError as error:
            raise InputError(
                expected="well-formed XML",
                got=f"{expat.ErrorString(error.code)} at column {error.offset + 1}",
                where=f"{self._path}, line {error.lineno}",
                hint="export the translation memory again",
            ) from error

    def take(self) -> list[Unit]:
        units, self._finished = self._finished, []
        return units

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        state = self._state
        if name == "tu":
            line = self._parser.CurrentLineNumber
            self._state = _State(unit=Unit(line, attributes.get("tuid", "")))
        elif name == "tuv" and state.unit:
            tag = attributes.get("xml:lang") or attributes.get("lang", "")
            state.side = self._wanted_side(tag)
        elif name == "seg" and state.side:
            state.in_segment, state.num_code = True, 0
            state.text, state.num_characters = [], 0
        elif name in _CODE:
            state.num_code += 1

    def _end(self, name: str) -> None:
        state = self._state
        if name in _CODE:
            state.num_code -= 1
        elif name == "seg" and state.in_segment and state.unit and state.side:
            setattr(state.unit, state.side, "".join(state.text))
            state.in_segment = False
        elif name == "tuv":
            state.side = None
        elif name == "tu" and state.unit:
            self._finished.append(state.unit)
            self._state = _State()

    def _characters(self, data: str) -> None:
        state = self._state
        if state.in_segment and not state.num_code:
            room = self._max_characters + 1 - state.num_characters
            state.text.append(data[:room])
            state.num_characters += len(state.text[-1])

    def _wanted_side(self, tag: str) -> str | None:
        """Returns the side that a variant fills, if none before it fits the language better."""
        language = _parse(tag)
        for side, wanted in self._languages.items():
            if language is None or _written(language) != _written(wanted):
                continue
            rank = 2 if language == wanted else 1
            if rank > self._state.rank.get(side, 0):
                self._state.rank[side] = rank
                return side
        return None

    def _refuse_entity(self, name: str, *_: object) -> None:
        raise InputError(
            expected="a TMX file without entities of its own",
            got=f"the entity {name!r}",
            where=f"{self._path}, line {self._parser.CurrentLineNumber}",
            hint="export the translation memory again, without a document type",
        )


def _written(language: Language) -> tuple[str, str]:
    return language.iso639_3, language.script


@lru_cache(maxsize=256)
def _parse(tag: str) -> Language | None:
    try:
        return Language.parse(tag)
    except InputError:
        return None
