"""The words of a world: which one each language has for every subject, relation, value and cue.

A word here is an entry with a number; entries 0 (nothing) and 1 (start of text) are reserved. Words
that languages share are one entry, or, where even those are spelled or cut differently in each
language, one entry a language with the same letters behind it.

Axes: A all subjects, N names of a subject, R relations, V values, W template words, K languages.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lingraft.lab.settings import WorldSettings
from lingraft.lab.spellings import draw_words, transliterate
from lingraft.seeds import derive

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

NOTHING, START = 0, 1
SPECIAL_NAMES = ("<pad>", "<bos>")


@dataclass(frozen=True, eq=False)
class Lexicon:
    """Entries of all words, and their spellings.

    Attributes:
        spellings: Of every entry; with a leading space where words are spelled in letters.
        langs: The language of every entry, None where it belongs to all.
        tag_K: Language tags.
        shared_WK: Template words of the shared set, as each language writes them.
        own_WK: Template words of each language's own set.
        subject_AKN: Names of the subjects.
        relation_RK: Relations.
        value_RVK: Values.
        stop_K: End of a sentence of a biography.
        pronoun_K: What stands for a subject that was named before.
        is_shared_R: Relations with the same word in all languages.
        is_shared_A: Subjects with the same names in all languages.
        is_shared_RV: Values with the same word in all languages.
    """

    spellings: tuple[str, ...]
    langs: tuple[int | None, ...]
    tag_K: Ints
    shared_WK: Ints
    own_WK: Ints
    subject_AKN: Ints
    relation_RK: Ints
    value_RVK: Ints
    stop_K: Ints
    pronoun_K: Ints
    is_shared_R: Bools
    is_shared_A: Bools
    is_shared_RV: Bools


def build_lexicon(settings: WorldSettings) -> Lexicon:
    """Gives every language its words; quotas of shared ones are exact."""
    entries = _Entries(settings)
    shared_R = _shared(settings, "relation", settings.relations, settings.relation_overlap)
    shared_RV = np.stack(
        [
            _shared(settings, f"value {relation}", settings.values, settings.value_overlap)
            for relation in range(settings.relations)
        ]
    )
    shared_A = np.concatenate(
        [
            _shared(settings, "subject", settings.subjects, settings.subject_overlap),
            _shared(settings, "unseen", settings.unseen_subjects, settings.subject_overlap),
        ]
    )
    types = range(settings.template_types)
    tag_K = entries.add("lang", False)
    shared_WK = np.array([entries.add(f"w{word}", True) for word in types])
    own_WK = np.array([entries.add(f"w{word}", False) for word in types])
    stop_K, pronoun_K = entries.add(".", True), entries.add("they", True)
    relation_RK = np.array([entries.add(f"r{r}", bool(shared_R[r])) for r in range(len(shared_R))])
    value_RVK = np.array(
        [
            [entries.add(f"r{r}v{v}", bool(shared_RV[r, v])) for v in range(settings.values)]
            for r in range(settings.relations)
        ]
    )
    subject_AKN = _subjects(settings, entries, shared_A)
    return Lexicon(
        spellings=entries.spell(),
        langs=tuple(entries.langs),
        tag_K=np.array(tag_K),
        shared_WK=shared_WK,
        own_WK=own_WK,
        subject_AKN=subject_AKN,
        relation_RK=relation_RK,
        value_RVK=value_RVK,
        stop_K=np.array(stop_K),
        pronoun_K=np.array(pronoun_K),
        is_shared_R=shared_R,
        is_shared_A=shared_A,
        is_shared_RV=shared_RV,
    )


@dataclass
class _Entries:
    """Entries in the order in which they are added."""

    settings: WorldSettings
    labels: list[str] = field(default_factory=lambda: list(SPECIAL_NAMES))
    words: list[int] = field(default_factory=lambda: [0, 0])
    langs: list[int | None] = field(default_factory=lambda: [None, None])
    num_words: int = 0

    def add(self, label: str, is_shared: bool) -> list[int]:
        """Returns the entry of a new word in each language."""
        num = self.settings.languages
        if is_shared and not self.settings.is_split_by_language:
            self._append(label, None)
            self.num_words += 1
            return [len(self.labels) - 1] * num
        first = len(self.labels)
        for lang in range(num):
            self._append(label if is_shared else f"{label}/{lang}", lang)
            self.num_words += not is_shared
        self.num_words += is_shared
        return list(range(first, first + num))

    def _append(self, label: str, lang: int | None) -> None:
        self.labels.append(label)
        self.words.append(self.num_words)
        self.langs.append(lang)

    def spell(self) -> tuple[str, ...]:
        """Returns the labels themselves, or made-up words where tokens are spelled."""
        if self.settings.tokens == "symbols":
            return tuple(self.labels)
        drawn = draw_words(
            self.num_words, np.random.default_rng(derive(self.settings.seed, "lab", "words"))
        )
        special = len(SPECIAL_NAMES)
        spelled = [
            "." if label == "." else self._spelled(drawn[word], lang)
            for label, word, lang in zip(self.labels, self.words, self.langs, strict=True)
        ]
        return ("", "", *spelled[special:])

    def _spelled(self, word: str, lang: int | None) -> str:
        script = (lang or 0) if self.settings.transliterated else 0
        return " " + transliterate(word, script)


def _shared(settings: WorldSettings, name: str, num: int, share: float) -> Bools:
    """Marks the exact share; a higher one marks all that a lower one does, and more."""
    rng = np.random.default_rng(derive(settings.seed, "lab", "overlap", name))
    is_shared = np.zeros(num, dtype=bool)
    is_shared[rng.permutation(num)[: round(share * num)]] = True
    return is_shared


def _subjects(settings: WorldSettings, entries: _Entries, is_shared_A: Bools) -> Ints:
    if settings.names == "single":
        labels = [f"s{s}" for s in range(len(is_shared_A))]
        single_AK = [
            entries.add(label, bool(is_shared))
            for label, is_shared in zip(labels, is_shared_A, strict=True)
        ]
        return np.array(single_AK)[:, :, None]
    names_NPK = [
        {is_shared: _pool(settings, entries, kind, is_shared) for is_shared in (True, False)}
        for kind in ("first", "last")
    ]
    rng = np.random.default_rng(derive(settings.seed, "lab", "names"))
    pairs = rng.choice(settings.num_names**2, size=len(is_shared_A), replace=False)
    parts = zip(names_NPK, np.divmod(pairs, settings.num_names), strict=True)
    columns = [np.where(is_shared_A[:, None], pool[True][i], pool[False][i]) for pool, i in parts]
    return np.stack(columns, axis=2)


def _pool(settings: WorldSettings, entries: _Entries, kind: str, is_shared: bool) -> Ints:
    names: Sequence[list[int]] = [
        entries.add(f"{kind}{i}", is_shared) for i in range(settings.num_names)
    ]
    return np.array(names)
