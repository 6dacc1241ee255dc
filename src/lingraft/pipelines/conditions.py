"""One condition of the study of parallel data: its pairs, and what spoils and cleans them.

Each function writes one artifact, so that conditions which share a stage share its result.
"""

import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lingraft.alignment import DEFAULT_METHOD, Links
from lingraft.alignment.tables import Split, linked_words
from lingraft.corpus import Pair, Pairs, clean_pairs, hold_out, read_dictionary, read_pairs
from lingraft.corpus.cleaning import MAX_LENGTH_RATIO
from lingraft.errors import InputError
from lingraft.files import read_json, write_json, write_text
from lingraft.languages import Language
from lingraft.pipelines.corpora import corpus_documents, corpus_pairs, write_pairs
from lingraft.pipelines.vocabularies import ROW_STEMS
from lingraft.seeds import derive
from lingraft.training.loop import Objective
from lingraft.training.stages import Part

VERSION = 1
DICTIONARY = "dictionary.tsv"
Kind = Literal["parallel", "dictionary", "both"]
Domain = Literal["own", "other"]
Sources = Literal["first", "second", "rows", "table"]
Rule = Literal["language", "length", "links"]
RULES: tuple[Rule, ...] = ("language", "length", "links")


@dataclass(frozen=True)
class Condition:
    """Every factor of the study at one level; the defaults are the base of all comparisons.

    Attributes:
        target_lang: Code of the new language.
        kind: Parallel text, a dictionary alone, or the dictionary's entries among the pairs.
        num_pairs: Pairs of the pool to use; all of them if None.
        noise: Share of the pairs whose target sides are shuffled among each other.
        untranslated: Share of the pairs whose target side is a copy of the source side.
        domain: The pool: the domain of the test text, or another.
        cleaning: The rules of `corpus.clean_pairs` that are applied.
        sources: Pairs with the first source language, with the second, the mean of the rows that
            the two give, or the rows of their summed tables.
        aligner: A key of `alignment.METHODS`.
        stems: First letters by which words are seen too; see `alignment.align`.
        split: How tokens inside linked words are linked.
        method: A key of `vocabularies.ROW_METHODS`.
        objective: None for the given model; else the tiny model of that kind.
        part: What is trained; None for figures right after the swap alone.
        learning_rate: Of the training.
    """

    target_lang: str
    kind: Kind = "parallel"
    num_pairs: int | None = None
    noise: float = 0.0
    untranslated: float = 0.0
    domain: Domain = "own"
    cleaning: tuple[Rule, ...] = ()
    sources: Sources = "first"
    aligner: str = DEFAULT_METHOD
    stems: tuple[int, ...] = ROW_STEMS
    split: Split = "learned"
    method: str = "trans_tokenize"
    objective: Objective | None = None
    part: Part | None = None
    learning_rate: float = 3e-4


def condition_corpus(
    *,
    corpus: Path,
    other_pairs: Path | None,
    dictionary: Path | None,
    kind: Kind,
    num_pairs: int | None,
    noise: float,
    untranslated: float,
    num_probe: int,
    source_lang: str,
    target_lang: str,
    seed: int,
    out: Path,
) -> dict[str, Any]:
    """Writes a prepared corpus whose pairs are those of one condition.

    The pairs of `corpus` are shuffled once; the last `num_probe` are the probe, which no condition
    aligns or learns from, and the first `num_pairs` of the others are the condition's. Smaller
    conditions are therefore parts of larger ones.

    Args:
        corpus: A prepared corpus.
        other_pairs: File of pairs to draw from instead of the corpus's own.
        dictionary: Folder of a dictionary, for the kinds that have one.
        kind: What the pairs are.
        num_pairs: Pairs to take; None for all.
        noise: Share of them whose target sides are shuffled.
        untranslated: Share of them whose target side becomes a copy of the source side.
        num_probe: Pairs of the probe.
        source_lang: Code of the source language.
        target_lang: Code of the new language.
        seed: Of the shuffles.
        out: Folder for `pairs.jsonl`, `probe.jsonl`, `spoilt.json` and the corpus's documents.

    Returns:
        Number of pairs, of spoilt ones, and of dictionary entries.

    Raises:
        InputError: No pair is left, or a share is none.
    """
    _check_shares(noise, untranslated)
    source, target = Language.parse(source_lang), Language.parse(target_lang)
    for name in ("train.jsonl", "valid.jsonl", "test.jsonl"):
        shutil.copyfile(corpus / name, out / name)
    own = corpus_pairs(corpus, source, target)
    shuffled = list(own)
    random.Random(derive(seed, "pool")).shuffle(shuffled)
    probe = shuffled[len(shuffled) - min(num_probe, len(shuffled) // 5) :]
    pool = shuffled[: len(shuffled) - len(probe)]
    if other_pairs is not None:
        pool = _other_pool(other_pairs, corpus, probe, source, target, seed)
    taken = [] if kind == "dictionary" else pool[:num_pairs]
    chosen, spoilt = spoil(taken, noise=noise, untranslated=untranslated, seed=seed)
    entries = _entries(dictionary, source, target) if kind != "parallel" else []
    if kind == "both":
        chosen = [*chosen, *entries]
    if kind == "dictionary":
        assert dictionary is not None
        shutil.copyfile(dictionary / DICTIONARY, out / DICTIONARY)
    elif not chosen:
        raise InputError(
            expected="pairs to align", got="none", where=f"pairs of {target.name}, {kind}"
        )
    write_pairs(out / "pairs.jsonl", Pairs(tuple(chosen), source, target))
    write_pairs(out / "probe.jsonl", Pairs(tuple(probe), source, target))
    write_json(out / "spoilt.json", sorted(spoilt))
    return {"num_pairs": len(taken), "num_spoilt": len(spoilt), "num_entries": len(entries)}


def spoil(
    pairs: Sequence[Pair], *, noise: float, untranslated: float, seed: int
) -> tuple[list[Pair], set[str]]:
    """Makes a share of pairs wrong.

    Args:
        pairs: Clean pairs with distinct ids.
        noise: Share that gets the target side of another pair of this share.
        untranslated: Share, of the others, that gets a copy of the source side.
        seed: Of the choice.

    Returns:
        The pairs in their order, and the ids of those that changed.
    """
    order = list(range(len(pairs)))
    random.Random(derive(seed, "noise")).shuffle(order)
    num_shuffled = round(noise * len(pairs))
    num_copied = min(round(untranslated * len(pairs)), len(pairs) - num_shuffled)
    wrong, copied = order[:num_shuffled], order[num_shuffled : num_shuffled + num_copied]
    changed = list(pairs)
    # One place on in a random order: no pair keeps its own side, as a plain shuffle would let it.
    for place, donor in zip(wrong, [*wrong[1:], *wrong[:1]], strict=True):
        changed[place] = replace(pairs[place], target=pairs[donor].target)
    for place in copied:
        changed[place] = replace(pairs[place], target=pairs[place].source)
    spoilt = {
        pair.id for pair, before in zip(changed, pairs, strict=True) if pair.target != before.target
    }
    return changed, spoilt


def make_dictionary(
    *,
    file: Path | None,
    corpus: Path,
    links: Path | None,
    source_lang: str,
    target_lang: str,
    out: Path,
) -> dict[str, Any]:
    """Writes `dictionary.tsv`: the user's own, or the words that are linked most in all pairs.

    Args:
        file: A TSV of words and translations; None takes the links.
        corpus: The pairs that were linked.
        links: Folder of their links.
        source_lang: Code of the source language.
        target_lang: Code of the new language.
        out: Folder for the dictionary.
    """
    source, target = Language.parse(source_lang), Language.parse(target_lang)
    if file is not None:
        entries = list(read_dictionary(file, source_lang=source, target_lang=target))
    else:
        assert links is not None
        entries = linked_words(
            Links.load(links / "links.safetensors"), corpus_pairs(corpus, source, target)
        )
    lines = [f"{_flat(entry.source)}\t{_flat(entry.target)}\n" for entry in entries]
    write_text(out / DICTIONARY, "".join(lines))
    return {"num_entries": len(entries), "origin": "given" if file else "linked words"}


def clean_corpus(
    *,
    corpus: Path,
    links: Path | None,
    rules: tuple[Rule, ...],
    source_lang: str,
    target_lang: str,
    out: Path,
) -> dict[str, Any]:
    """Writes a condition's corpus without the pairs that cleaning removes.

    Args:
        corpus: The condition's corpus.
        links: Folder of the links of its pairs, for the rule ``"links"``.
        rules: The rules to apply.
        source_lang: Code of the source language.
        target_lang: Code of the new language.
        out: Folder for the corpus.

    Returns:
        Pairs kept; and, since it is known which pairs were spoilt, how many of the removed were,
        and how many spoilt ones there are.
    """
    source, target = Language.parse(source_lang), Language.parse(target_lang)
    scores = None
    if "links" in rules:
        assert links is not None
        scores = link_scores(Links.load(links / "links.safetensors")).tolist()
    cleaned = clean_pairs(
        corpus_pairs(corpus, source, target),
        languages="language" in rules,
        max_length_ratio=MAX_LENGTH_RATIO if "length" in rules else None,
        link_scores=scores,
    )
    for name in ("train.jsonl", "valid.jsonl", "test.jsonl", "probe.jsonl", "spoilt.json"):
        shutil.copyfile(corpus / name, out / name)
    write_pairs(out / "pairs.jsonl", cleaned.kept)
    spoilt = set(read_json(corpus / "spoilt.json"))
    return {
        "num_pairs": len(cleaned.kept),
        "num_removed": len(cleaned.removed),
        "num_removed_spoilt": sum(pair.id in spoilt for pair in cleaned.removed),
        "num_spoilt": len(spoilt),
    }


def link_scores(links: Links) -> NDArray[np.float64]:
    """Returns how well each pair's words link: 2 · sum of posteriors / words of both sides, ≤ 1.

    0 for a pair without words.
    """
    num_words = np.diff(links.source_starts) + np.diff(links.target_starts)
    sums = np.bincount(links.pair, weights=links.posterior, minlength=links.num_pairs)
    scores: NDArray[np.float64] = np.minimum(2 * sums / np.maximum(num_words, 1), 1.0)
    return scores


def read_probe(corpus: Path, source: Language, target: Language) -> Pairs:
    """Reads the pairs of a condition's corpus that no condition learns from; maybe none."""
    path = corpus / "probe.jsonl"
    if path.stat().st_size == 0:
        return Pairs((), source, target)
    return read_pairs(path, source_lang=source, target_lang=target)


def _check_shares(noise: float, untranslated: float) -> None:
    if min(noise, untranslated) < 0 or noise + untranslated > 1:
        raise InputError(
            expected="shares of at least 0 that sum to at most 1",
            got=f"noise {noise}, untranslated {untranslated}",
            where="condition",
        )


def _other_pool(
    path: Path, corpus: Path, probe: list[Pair], source: Language, target: Language, seed: int
) -> list[Pair]:
    """Pairs of another file, shuffled, without what is measured on."""
    held_out = [corpus_documents(corpus, split, target) for split in ("valid", "test")]
    found = read_pairs(path, source_lang=source, target_lang=target)
    pool = list(hold_out(found, [*held_out, Pairs(tuple(probe), source, target)]).kept)
    random.Random(derive(seed, "pool")).shuffle(pool)
    return pool


def _entries(dictionary: Path | None, source: Language, target: Language) -> list[Pair]:
    assert dictionary is not None
    path = dictionary / DICTIONARY
    entries = read_dictionary(path, source_lang=source, target_lang=target)
    return [replace(entry, id=f"{DICTIONARY}:{entry.id}") for entry in entries]


def _flat(text: str) -> str:
    return " ".join(text.split())
