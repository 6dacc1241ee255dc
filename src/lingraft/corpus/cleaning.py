"""Pairs that are no translations, told by language, by length and by how well their words link."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lingraft.corpus.identification import identify, is_identifiable, is_same_language
from lingraft.corpus.records import Pair, Pairs
from lingraft.errors import InputError
from lingraft.languages import Language

MIN_CONFIDENCE = 0.9
"""An identification below it removes nothing: kin such as Dutch and Afrikaans share theirs."""

MAX_LENGTH_RATIO = 1.5
MIN_LINK_SCORE = 0.5
"""Chosen on Dutch software help, a third of it shuffled, without a log; what cleaning gains is in
docs/log.md, "what the rows owe to the parallel data"."""

SPARED_CHARACTERS = 10
"""Added to both lengths: short texts differ by more than a factor and still translate."""

WRONG_SOURCE = "source side in another language"
WRONG_TARGET = "target side in another language"
UNEQUAL_LENGTHS = "lengths of no translation"
POOR_LINKS = "words that hardly link"


@dataclass(frozen=True)
class Cleaned:
    """What cleaning kept and what it removed.

    Attributes:
        kept: The pairs that passed, in their order.
        removed: The others, in their order.
        reasons: Of each removed pair, the first rule that it broke.
    """

    kept: Pairs
    removed: tuple[Pair, ...]
    reasons: tuple[str, ...]


def clean_pairs(
    pairs: Pairs,
    *,
    languages: bool = False,
    max_length_ratio: float | None = None,
    link_scores: Sequence[float] | None = None,
    min_link_score: float = MIN_LINK_SCORE,
) -> Cleaned:
    """Removes pairs whose sides cannot be translations of each other.

    Rules in their order, each only if it is asked for: a side that is surely in another language
    (see `corpus.identify`; a language that the identifier does not know passes); lengths in
    characters whose ratio is further from the corpus's own than a factor, so that compact scripts
    are not punished; words that hardly link.

    Args:
        pairs: Pairs of two languages.
        languages: Whether to look at the languages; a third of a millisecond a side.
        max_length_ratio: The factor, such as `MAX_LENGTH_RATIO`; None for no look at lengths.
        link_scores: How well each pair's words link, from 0 to 1; None for no look at links.
        min_link_score: The least score that passes.

    Raises:
        InputError: A factor that is not above 1, or scores of another number of pairs.

    Example:
        >>> from lingraft.languages import Language
        >>> records = (Pair("two cats", "dos gatos", "1"), Pair("Cancel", "sí " * 20, "2"))
        >>> pairs = Pairs(records, Language.parse("en"), Language.parse("es"))
        >>> clean_pairs(pairs, max_length_ratio=2.0).reasons
        ('lengths of no translation',)
    """
    if max_length_ratio is not None and not max_length_ratio > 1:
        raise InputError(
            expected="a ratio above 1", got=str(max_length_ratio), where="max_length_ratio"
        )
    if link_scores is not None and len(link_scores) != len(pairs):
        raise InputError(
            expected=f"{len(pairs)} scores, one for each pair",
            got=str(len(link_scores)),
            where="link_scores",
        )
    usual = _usual_ratio(pairs)
    kept, removed, reasons = [], [], []
    for number, pair in enumerate(pairs):
        reason = _wrong_language(pair, pairs) if languages else ""
        if not reason and max_length_ratio is not None:
            reason = UNEQUAL_LENGTHS if _stretch(pair, usual) > max_length_ratio else ""
        if not reason and link_scores is not None:
            reason = POOR_LINKS if link_scores[number] < min_link_score else ""
        if reason:
            removed.append(pair)
            reasons.append(reason)
        else:
            kept.append(pair)
    return Cleaned(replace(pairs, records=tuple(kept)), tuple(removed), tuple(reasons))


def _wrong_language(pair: Pair, pairs: Pairs) -> str:
    if _is_surely_not(pair.source, pairs.source_lang):
        return WRONG_SOURCE
    return WRONG_TARGET if _is_surely_not(pair.target, pairs.target_lang) else ""


def _is_surely_not(text: str, lang: Language) -> bool:
    if not is_identifiable(lang):
        return False
    found = identify(text)
    sure = found.language is not None and found.probability >= MIN_CONFIDENCE
    return sure and not is_same_language(found.language, lang)


def _usual_ratio(pairs: Pairs) -> float:
    """Characters of all target sides for one of all source sides."""
    source = sum(len(pair.source) for pair in pairs)
    return sum(len(pair.target) for pair in pairs) / source if source else 1.0


def _stretch(pair: Pair, usual: float) -> float:
    expected = len(pair.source) * usual + SPARED_CHARACTERS
    ratio = (len(pair.target) + SPARED_CHARACTERS) / expected
    return max(ratio, 1 / ratio)
