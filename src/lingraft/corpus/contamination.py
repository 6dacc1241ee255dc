"""How much of a source corpus is in the target language, beyond what the classifier invents?

Lines are labelled one by one. The classifier's own errors are measured on clean text and taken
out, since at shares of a tenth of a percent most of what it finds is its own mistakes. A share
that such a measurement cannot tell from none is printed as a bound.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lingraft.corpus.line_languages import MIN_CHARACTERS, LineLabels, is_long
from lingraft.corpus.records import Document, Documents
from lingraft.errors import InputError
from lingraft.languages import Language
from lingraft.seeds import derive

COVERAGE = 0.95
NUM_DRAWS = 10_000

_Z = 1.6448536269514722  # one-sided 5 %: Currie's risk of a false alarm and of a miss


@dataclass(frozen=True)
class LineRate:
    """Which share of some lines got the label.

    Attributes:
        num_labelled: Lines with the label.
        num_lines: All lines.
        design_effect: By how much the lines' clustering in documents widens the variance of the
            share over that of independent lines, at least 1 (Rao and Scott 1992).
    """

    num_labelled: int
    num_lines: int
    design_effect: float = 1.0

    @property
    def share(self) -> float | None:
        """Lines with the label by all lines; None without lines."""
        return self.num_labelled / self.num_lines if self.num_lines else None

    @property
    def effective(self) -> tuple[float, float]:
        """Labelled and all lines, as many as independent lines would tell as much."""
        return self.num_labelled / self.design_effect, self.num_lines / self.design_effect


@dataclass(frozen=True)
class Contamination:
    """The share of a source corpus's lines that is in the target language.

    Attributes:
        source_lang: Language of the corpus.
        target_lang: Language looked for.
        found: Lines of the corpus labelled as the target, errors included.
        false_positives: The same in clean text of the source language.
        true_positives: The same in clean text of the target; None where it was not measured and
            the classifier is taken to find every such line.
        share: The corrected share, 0 to 1; None where `reason` says why.
        interval: 95 % interval of `share`.
        detection_limit: Smallest share that a test with 5 % false alarms tells from none in 95 %
            of samples, nominally, at the measured error rate and these numbers of lines.
        identifier: Name of the classifier.
        min_confidence: Least probability that counts as its answer.
        reason: Why the share is undefined, or empty.
    """

    source_lang: Language
    target_lang: Language
    found: LineRate
    false_positives: LineRate
    true_positives: LineRate | None
    share: float | None
    interval: tuple[float, float] | None
    detection_limit: float | None
    identifier: str
    min_confidence: float
    reason: str = ""

    @property
    def is_detected(self) -> bool:
        """Whether the share reaches the detection limit; False where it is undefined.

        Stricter than Currie's decision level, so that false alarms are far rarer than 5 %.
        """
        if self.share is None or self.detection_limit is None:
            return False
        return self.share >= self.detection_limit

    @property
    def amount(self) -> str:
        """The share with its interval, or the bound below which it lies; empty if undefined.

        The bound is the detection limit or the interval's upper end, whichever is larger.
        """
        if self.share is None or self.interval is None or self.detection_limit is None:
            return ""
        low, high = self.interval
        if self.is_detected:
            return f"{self.share:.3%} ({low:.3%} to {high:.3%})"
        return f"< {max(high, self.detection_limit):.3%}"

    def describe(self) -> str:
        """Returns one line: the `amount`, and what was taken out of it."""
        head = f"{self.target_lang} in {self.source_lang}: "
        if not self.amount:
            return f"{head}undefined, {self.reason}"
        hits = "not measured, taken as 100 %"
        if self.true_positives is not None and self.true_positives.share is not None:
            hits = f"{self.true_positives.share:.1%} of {self.true_positives.num_lines} lines"
        return (
            f"{head}{self.amount} of {self.found.num_lines} lines; "
            f"{self.found.num_labelled} labelled, "
            f"false positives {self.false_positives.share or 0:.3%} of "
            f"{self.false_positives.num_lines} clean lines, true positives {hits}; "
            f"detection limit {self.detection_limit:.3%}; {self.identifier}"
        )


@dataclass(frozen=True)
class Injected:
    """A corpus with some lines of another language, for the control of the detector.

    Attributes:
        documents: The corpus under its old language and ids.
        num_replaced: Lines that were replaced.
        num_lines: Lines that could have been.
        num_replaced_bytes: UTF-8 bytes of the lines put in; the texts' total changes with them.
    """

    documents: Documents
    num_replaced: int
    num_lines: int
    num_replaced_bytes: int

    @property
    def share(self) -> float | None:
        """The true share of lines; None without lines."""
        return self.num_replaced / self.num_lines if self.num_lines else None


def contamination(
    source: LineLabels,
    target: Language,
    *,
    clean: LineLabels,
    clean_target: LineLabels | None = None,
    seed: int,
) -> Contamination:
    """Measures the share of a corpus's lines that are in another language.

    The share is (raw − fpr) / (tpr − fpr), Rogan and Gladen 1978, cut to 0 to 1. Its interval
    takes each of the three rates from its own posterior Beta(hits + ½, misses + ½), Jeffreys 1946,
    with counts divided by their design effects. The detection limit is Currie's for a measured
    blank (Anal. Chem. 40, 1968): with n lines, m clean lines and B = n·fpr̂ false positives
    expected, (z² + 2 z √(B (1 + n/m))) / (n (tpr − fpr)), z = 1.645. There fpr̂ is
    (hits + ½) / (m + 1), for no false positive in few clean lines does not promise none.
    Currie takes the blank as normal: with less than about ten false positives more is missed.

    Args:
        source: Lines of the corpus.
        target: The language to look for.
        clean: Lines of the source language, from documents that are not in the corpus and hold no
            target language. Of the same kind of text: error rates differ between kinds.
        clean_target: Lines of the target language, for the true-positive rate.
        seed: Of the draws behind the interval.

    Raises:
        InputError: The labellings do not fit together, or `clean` shares documents with `source`.
    """
    _check(source, target, clean, clean_target)
    found, false = _rate(source, target), _rate(clean, target)
    true = None if clean_target is None else _rate(clean_target, target)
    reason = _undefined(source, target, found, false, true)
    share = interval = limit = None
    if not reason:
        share = _corrected(found, false, true)
        interval = _interval(found, false, true, seed=derive(seed, "contamination", str(target)))
        limit = _detection_limit(found, false, true)
    return Contamination(
        source.lang,
        target,
        found,
        false,
        true,
        share,
        interval,
        limit,
        source.identifier.name,
        source.min_confidence,
        reason,
    )


def inject(documents: Documents, other: Documents, *, share: float, seed: int) -> Injected:
    """Replaces a share of a corpus's lines by lines of another language.

    Only lines of more than `MIN_CHARACTERS` characters are replaced and put in: the share is of
    those, and is rounded to whole lines. No line of `other` is used twice.

    Args:
        documents: The corpus; it stays as it is.
        other: Where the other lines come from.
        share: Share of lines, 0 to 1; the control of a detector wants 0 to 0.01.
        seed: Draws the lines on both sides.

    Raises:
        InputError: The share is not within 0 and 1, or `other` has too few lines.
    """
    if not 0 <= share <= 1:
        raise InputError(expected="a share of lines from 0 to 1", got=str(share), where="share")
    texts = [record.text.splitlines(keepends=True) for record in documents]
    places = [(i, j) for i, x in enumerate(texts) for j, line in enumerate(x) if is_long(line)]
    strangers = [line for x in other for line in x.text.splitlines() if is_long(line)]
    number = round(share * len(places))
    if number > len(strangers):
        raise InputError(
            expected=f"at least {number} lines of more than {MIN_CHARACTERS} characters",
            got=str(len(strangers)),
            where=f"text of {other.lang} to inject",
            hint="give more text or a smaller share",
        )
    generator = random.Random(derive(seed, "inject"))
    taken = generator.sample(strangers, number)
    for (i, j), line in zip(generator.sample(places, number), taken, strict=True):
        ending = texts[i][j][len(texts[i][j].splitlines()[0]) :]
        texts[i][j] = line + ending
    records = (Document("".join(x), y.id) for x, y in zip(texts, documents, strict=True))
    return Injected(
        documents=replace(documents, records=tuple(records)),
        num_replaced=number,
        num_lines=len(places),
        num_replaced_bytes=sum(len(line.encode("utf-8")) for line in taken),
    )


def _check(
    source: LineLabels, target: Language, clean: LineLabels, clean_target: LineLabels | None
) -> None:
    if source.identifier.is_same(source.lang, target) or source.lang == target:
        raise InputError(
            expected="another language than the corpus's own", got=str(target), where="target"
        )
    wanted = [("clean", clean, source.lang)]
    if clean_target is not None:
        wanted.append(("clean_target", clean_target, target))
    for name, labels, lang in wanted:
        if labels.lang != lang:
            raise InputError(expected=f"lines of {lang}", got=str(labels.lang), where=name)
        ours = (source.identifier.name, source.min_confidence)
        theirs = (labels.identifier.name, labels.min_confidence)
        if ours != theirs:
            raise InputError(
                expected=f"labels by {ours[0]} at a confidence of {ours[1]}",
                got=f"{theirs[0]} at {theirs[1]}",
                where=name,
            )
    shared = sorted(set(source.ids) & set(clean.ids))
    if shared:
        raise InputError(
            expected="clean text from other documents than the corpus's",
            got=f"{len(shared)} documents in both, such as {shared[0]}",
            where="clean",
            hint="contamination of shared documents would be subtracted from itself",
        )


def _undefined(
    source: LineLabels,
    target: Language,
    found: LineRate,
    false: LineRate,
    true: LineRate | None,
) -> str:
    if not source.identifier.is_known(target):
        return f"{source.identifier.name} does not know {target}"
    if not found.num_lines:
        return "the corpus has no line that is long enough"
    if not false.num_lines:
        return "the clean text has no line that is long enough"
    if true is not None and not true.num_lines:
        return "the clean target text has no line that is long enough"
    if _share(true) <= _share(false):
        return "the classifier finds the target no more often in target text than in clean text"
    return ""


def _rate(labels: LineLabels, target: Language) -> LineRate:
    names = set(labels.languages)
    same = {name for name in names if labels.identifier.is_same(name, target)}
    hits = [language in same for language in labels.languages]
    return LineRate(sum(hits), len(hits), _design_effect(hits, labels.ids))


def _design_effect(hits: Sequence[bool], ids: Sequence[str]) -> float:
    clusters = [_cluster(name) for name in ids]
    sizes = Counter(clusters)
    num, count, total = len(sizes), len(hits), sum(hits)
    if num < 2 or total in (0, count):
        return 1.0
    share = total / count
    found = Counter(name for name, hit in zip(clusters, hits, strict=True) if hit)
    squares = sum((found[name] - share * size) ** 2 for name, size in sizes.items())
    variance = num / (num - 1) * squares / count**2
    return max(1.0, variance / (share * (1 - share) / (count - 1)))


def _cluster(name: str) -> str:
    # Ids such as page#7 name the seventh row of a page: rows of a page are no independent draws.
    return name.partition("#")[0]


def _share(rate: LineRate | None) -> float:
    """Returns a rate's share; 1 where the true positives were not measured."""
    return 1.0 if rate is None or rate.share is None else rate.share


def _corrected(found: LineRate, false: LineRate, true: LineRate | None) -> float:
    share = (_share(found) - _share(false)) / (_share(true) - _share(false))
    return min(max(share, 0.0), 1.0)


def _interval(
    found: LineRate, false: LineRate, true: LineRate | None, *, seed: int
) -> tuple[float, float]:
    generator = np.random.default_rng(seed)
    raw, wrong = (_draws(rate, generator) for rate in (found, false))
    right = np.ones(NUM_DRAWS) if true is None else _draws(true, generator)
    # Where the two rates cross, no share fits; the widest answer is the honest one there.
    gap = np.maximum(right - wrong, np.finfo(np.float64).tiny)
    shares = np.clip((raw - wrong) / gap, 0.0, 1.0)
    low, high = np.quantile(shares, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return float(low), float(high)


def _draws(rate: LineRate, generator: np.random.Generator) -> NDArray[np.float64]:
    hits, lines = rate.effective
    return generator.beta(hits + 0.5, lines - hits + 0.5, size=NUM_DRAWS)


def _detection_limit(found: LineRate, false: LineRate, true: LineRate | None) -> float:
    lines = found.effective[1]
    hits, clean_lines = false.effective
    blank = lines * (hits + 0.5) / (clean_lines + 1)
    counts: float = _Z**2 + 2 * _Z * (blank * (1 + lines / clean_lines)) ** 0.5
    return min(counts / (lines * (_share(true) - _share(false))), 1.0)
