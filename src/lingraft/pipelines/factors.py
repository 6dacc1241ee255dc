"""The factors of the study of parallel data: tables of levels, each level one condition."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lingraft.alignment import METHODS
from lingraft.alignment.bitext import STEM_LETTERS
from lingraft.languages import Language
from lingraft.pipelines.conditions import RULES, Condition
from lingraft.training.loop import Objective
from lingraft.training.stages import PARTS

PAIR_METHODS = ("trans_tokenize", "wechsel")
"""Methods that learn from linked pairs: where they fail is asked of both."""

WITHOUT_PAIRS = ("pieces", "random")
DIRTY_NOISE, DIRTY_UNTRANSLATED = 0.3, 0.1
OBJECTIVES: tuple[Objective, ...] = ("causal", "masked")


@dataclass(frozen=True)
class Level:
    """One level of a factor, and the condition that it is compared with."""

    label: str
    condition: Condition
    reference: Condition


@dataclass(frozen=True)
class Factor:
    """A question and the levels that answer it; all else is as in the reference."""

    name: str
    question: str
    levels: tuple[Level, ...]


@dataclass(frozen=True)
class Range:
    """How far each factor is varied at one scale.

    Attributes:
        sizes: Numbers of pairs, beside the base's.
        noises: Shares of shuffled pairs.
        few: Pairs of a language with little text, with which a dictionary is weighed.
        equal: Pairs of each language where languages are compared.
        learning_rates: The rates at which each trainable part is tried, the first for the others.
        methods: The methods that learn from pairs.
        base: Pairs of the base; None for all.
    """

    sizes: tuple[int, ...]
    noises: tuple[float, ...]
    few: int
    equal: int
    learning_rates: tuple[float, ...]
    methods: tuple[str, ...] = PAIR_METHODS
    base: int | None = None


def size_factor(base: Condition, span: Range) -> Factor:
    """How many pairs does it take?"""
    levels = [
        Level(f"{_pairs(num)}, {method}", replace(base, num_pairs=num, method=method), base)
        for method in span.methods
        for num in (*span.sizes, base.num_pairs)
    ]
    return Factor("size", "How many pairs does it take?", tuple(levels))


def noise_factor(base: Condition, span: Range) -> Factor:
    """How much noise do the methods stand?"""
    levels = [
        Level(f"{share:.0%} shuffled, {method}", replace(base, noise=share, method=method), base)
        for method in span.methods
        for share in (0.0, *span.noises)
    ]
    return Factor("noise", "What do shuffled pairs cost?", tuple(levels))


def kind_factor(base: Condition, span: Range) -> Factor:
    """Parallel text, a dictionary, or both?"""
    few = replace(base, num_pairs=span.few)
    words = replace(base, kind="dictionary", method="dictionary")
    conditions = {
        "parallel text": base,
        "dictionary alone": words,
        "parallel text and dictionary": replace(base, kind="both"),
        f"{_pairs(span.few)}": few,
        f"{_pairs(span.few)} and dictionary": replace(few, kind="both"),
    }
    return Factor("kind", "Parallel text, a dictionary, or both?", _against(base, conditions))


def domain_factor(base: Condition, num_other: int) -> Factor:
    """Does the pairs' domain have to be the text's?"""
    own = replace(base, num_pairs=num_other)
    other = replace(base, domain="other", num_pairs=num_other)
    conditions = {f"own domain, {_pairs(num_other)}": own, "as many of another domain": other}
    return Factor(
        "domain", "What do as many pairs of another domain cost?", _against(own, conditions)
    )


def sources_factor(base: Condition, first: Language, second: Language) -> Factor:
    """One source language or two?"""
    conditions = {
        f"{first.name} alone": base,
        f"{second.name} alone": replace(base, sources="second"),
        "mean of both languages' rows": replace(base, sources="rows"),
        "one table of both": replace(base, sources="table"),
    }
    return Factor("sources", "One source language or two?", _against(base, conditions))


def cleaning_factor(base: Condition) -> Factor:
    """What does cleaning give back?"""
    dirty = replace(base, noise=DIRTY_NOISE, untranslated=DIRTY_UNTRANSLATED)
    spoilt = f"{DIRTY_NOISE:.0%} shuffled, {DIRTY_UNTRANSLATED:.0%} untranslated"
    conditions = {
        spoilt: dirty,
        **{f"cleaned by {rule}": replace(dirty, cleaning=(rule,)) for rule in RULES},
        "cleaned by all three": replace(dirty, cleaning=RULES),
        "clean pairs, cleaned by all three": replace(base, cleaning=RULES),
        "clean pairs": base,
    }
    return Factor("cleaning", "What does cleaning give back?", _against(dirty, conditions))


def language_factor(languages: Sequence[Language], span: Range) -> Factor:
    """What do stems and the split of words bring, language by language?"""
    levels = []
    for lang in languages:
        equal = Condition(str(lang), num_pairs=span.equal)
        variants = {
            "": equal,
            ", stems too": replace(equal, stems=STEM_LETTERS),
            ", split assumed": replace(equal, split="assumed"),
            **{
                f", aligner {name}": replace(equal, aligner=name)
                for name in METHODS
                if name != equal.aligner
            },
        }
        levels += [Level(f"{lang.name}{more}", at, equal) for more, at in variants.items()]
    return Factor(
        "language",
        f"By language, {_pairs(span.equal)} each: what do stems, in-word split and aligner bring?",
        tuple(levels),
    )


def control_factor(base: Condition) -> Factor:
    """What do rows without any pairs reach?"""
    conditions = {
        "pairs": base,
        **{f"no pairs, {method}": replace(base, method=method) for method in WITHOUT_PAIRS},
    }
    return Factor("controls", "What do rows without any pairs reach?", _against(base, conditions))


def training_factor(base: Condition, span: Range) -> Factor:
    """What should be trained?"""
    reference = replace(base, part="all", learning_rate=span.learning_rates[0])
    conditions = {
        f"{part}, rate {rate:g}": replace(base, part=part, learning_rate=rate)
        for part in PARTS
        for rate in span.learning_rates
    }
    return Factor("training", "What to train, at equal bytes?", _against(reference, conditions))


def lasting_factor(base: Condition, span: Range) -> Factor:
    """Does training make up for poor pairs?"""
    trained = replace(base, part="all", learning_rate=span.learning_rates[0])
    conditions = {
        _pairs(base.num_pairs): trained,
        _pairs(span.few): replace(trained, num_pairs=span.few),
        f"{span.noises[-1]:.0%} shuffled": replace(trained, noise=span.noises[-1]),
        "dictionary alone": replace(trained, kind="dictionary", method="dictionary"),
        **{f"no pairs, {method}": replace(trained, method=method) for method in WITHOUT_PAIRS},
    }
    return Factor("lasting", "Does training make up for poor pairs?", _against(trained, conditions))


def objective_factor(base: Condition, span: Range) -> Factor:
    """Do the same rows help a causal and a masked model alike?"""
    levels = []
    for objective in OBJECTIVES:
        trained = replace(
            base, objective=objective, part="all", learning_rate=span.learning_rates[-1]
        )
        random = replace(trained, method="random")
        levels += [
            Level(f"{objective}, {method}", replace(trained, method=method), random)
            for method in ("random", "pieces", "trans_tokenize")
        ]
    return Factor(
        "objective",
        "Do the same rows help a causal and a masked model alike? (tiny models)",
        tuple(levels),
    )


def _against(reference: Condition, conditions: dict[str, Condition]) -> tuple[Level, ...]:
    return tuple(Level(label, condition, reference) for label, condition in conditions.items())


def _pairs(num: int | None) -> str:
    return "all pairs" if num is None else f"{num:,} pairs"
