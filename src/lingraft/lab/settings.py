"""All that a world depends on, checked where it is stated."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import comb, isclose

from lingraft.errors import InputError
from lingraft.lab.arguments import (
    Reader,
    choice,
    flag,
    optional,
    share,
    share_or_shares,
    shares,
    whole_number,
)
from lingraft.lab.spellings import NUM_SCRIPTS

CHOICES = {
    "parallel_by": ("fact", "subject"),
    "tokens": ("symbols", "bytes", "bpe"),
    "bpe_merges": ("shared", "separate"),
    "names": ("single", "multi"),
    "style": ("triples", "biographies"),
    "predict": ("values", "all"),
}
_SHARES = (
    "parallel_share",
    "informativeness",
    "template_cues",
    "tag_share",
    "subject_overlap",
    "relation_overlap",
    "value_overlap",
    "cue_flips",
)
_SMALLEST = {
    "languages": 2,
    "subjects": 1,
    "relations": 1,
    "values": 1,
    "template_tokens": 0,
    "template_types": 1,
    "paraphrases": 1,
    "unseen_subjects": 0,
}
DEFAULT_BPE_SIZE = 512
_NUM_BYTES = 256


@dataclass(frozen=True, kw_only=True)
class WorldSettings:
    """The arguments of `make_world`; the same ones make the same world.

    Attributes:
        languages: K, how many languages there are.
        subjects: Subjects that samples tell of.
        relations: Relations; each subject has one fact for each.
        values: Values of one relation; K divides it. Every relation has its own.
        parallel_share: pi, share of the facts (or subjects) that are written in all languages.
        parallel_by: What that is a share of: ``"fact"`` or ``"subject"``. The quotas are exact,
            and within each home language as near as whole numbers come.
        informativeness: rho. A monolingual fact of a language takes its value from that language's
            own part of the values with probability (1 + (K - 1) rho) / K, else from one of the
            other parts. For two languages that is (1 + rho) / 2.
        template_cues: epsilon, chance of each template token to come from the language's own set
            instead of the shared one.
        template_tokens: Template tokens of a sentence.
        template_types: Size of the shared set and of each language's own one.
        tag_share: tau, chance of an explicit language tag as the first token of a sample.
        subject_overlap: Share of subjects whose tokens are the same in all languages; the others
            have their own in each. The quota is exact, here and in the next two.
        relation_overlap: The same of relations.
        value_overlap: The same of the values of each relation.
        cue_flips: eta, chance of a language's own tag, template or relation token to be replaced by
            the corresponding token of another language. Relations that languages share but write
            or cut in a way of their own count among these; template words of the shared set don't.
        home_language_share: Shares of subjects at home in each language, as exact quotas. One
            number is the share of the first of two languages; None means equal shares.
        exposure_shares: Share of the samples in each language; None draws all shown (fact,
            language) pairs equally often.
        tokens: One token for each word (``"symbols"``), or words spelled in bytes or byte pairs.
        bpe_merges: Whether all languages share one list of merges or each learns its own.
        vocab_size: Of symbols, the most token ids there may be; of byte pairs, the ids to train,
            without the special tokens (None: `DEFAULT_BPE_SIZE`).
        names: Subjects of one token or word, or of two (first and last name).
        name_pool: First names, and as many last names, of ``names="multi"``; None takes the
            smallest that leaves half of the pairs unused.
        style: One fact a sample (``"triples"``), or all facts of a subject that are shown in a
            language, in any order (``"biographies"``, after arXiv 2309.14316).
        paraphrases: Sentence templates of each relation in biographies.
        repeat_names: Whether each sentence of a biography repeats the full name, or only the first
            one has it and the others a pronoun.
        transliterated: Spell every language in a script of its own, letter by letter, so that no
            letter's byte occurs in two languages.
        predict: Positions with a loss: ``"values"``, or ``"all"`` but start and padding.
        unseen_subjects: Subjects that no sample names, as a floor.
        seed: Of the world; samples are drawn with a generator of the caller's.

    Raises:
        InputError: A value is of the wrong kind or out of range, or two do not go together.
    """

    languages: int
    subjects: int
    relations: int
    values: int
    parallel_share: float
    parallel_by: str
    informativeness: float
    template_cues: float
    template_tokens: int
    template_types: int
    tag_share: float
    subject_overlap: float
    relation_overlap: float
    value_overlap: float
    cue_flips: float
    home_language_share: float | Sequence[float] | None
    exposure_shares: Sequence[float] | None
    tokens: str
    bpe_merges: str
    vocab_size: int | None
    names: str
    name_pool: int | None
    style: str
    paraphrases: int
    repeat_names: bool
    transliterated: bool
    predict: str
    unseen_subjects: int
    seed: int

    def __post_init__(self) -> None:
        for name, read in _READERS.items():
            object.__setattr__(self, name, read(getattr(self, name), name))
        _check_values(self)
        _check_home_shares(self)
        _check_exposures(self)
        _check_tokens(self)
        _check_names(self)
        _check_paraphrases(self)

    @property
    def home_shares(self) -> tuple[float, ...]:
        """Share of subjects at home in each language."""
        given = self.home_language_share
        if given is None:
            return (1 / self.languages,) * self.languages
        return (given, 1 - given) if isinstance(given, int | float) else tuple(given)

    @property
    def own_part_probability(self) -> float:
        """Chance of a monolingual fact to take its value from its language's own part."""
        return (1 + (self.languages - 1) * self.informativeness) / self.languages

    @property
    def num_names(self) -> int:
        """First names that there are for ``names="multi"``, and as many last names."""
        if self.name_pool is not None:
            return self.name_pool
        return int((2 * (self.subjects + self.unseen_subjects)) ** 0.5) + 1

    @property
    def is_split_by_language(self) -> bool:
        """Whether even a word that languages share gets tokens of its own in each of them."""
        return self.transliterated or self.bpe_merges == "separate"


_READERS: dict[str, Reader] = {
    **{name: partial(whole_number, smallest=smallest) for name, smallest in _SMALLEST.items()},
    **dict.fromkeys(_SHARES, share),
    **{name: partial(choice, choices=choices) for name, choices in CHOICES.items()},
    **dict.fromkeys(("repeat_names", "transliterated"), flag),
    **dict.fromkeys(
        ("vocab_size", "name_pool"), partial(optional, read=partial(whole_number, smallest=1))
    ),
    "home_language_share": partial(optional, read=share_or_shares),
    "exposure_shares": partial(optional, read=shares),
    "seed": whole_number,
}


def quotas(total: int, parts: Sequence[float]) -> list[int]:
    """Returns whole numbers that sum to `total`, by the largest remainder; ties to the first.

    Args:
        total: Of the numbers.
        parts: Share of each, which sum to 1.
    """
    exact = [total * part for part in parts]
    counts = [int(value) for value in exact]
    by_remainder = sorted(range(len(parts)), key=lambda i: counts[i] - exact[i])
    for i in by_remainder[: total - sum(counts)]:
        counts[i] += 1
    return counts


def _check_values(settings: WorldSettings) -> None:
    if settings.values % settings.languages:
        raise InputError(
            expected=f"a multiple of {settings.languages}, one part for each language",
            got=str(settings.values),
            where="values",
        )


def _check_home_shares(settings: WorldSettings) -> None:
    given, where = settings.home_language_share, "home_language_share"
    if isinstance(given, int | float) and settings.languages != 2:
        raise InputError(
            expected=f"{settings.languages} shares, one for each language",
            got=repr(given),
            where=where,
        )
    _check_sum(where, settings.home_shares, settings.languages)
    counts = quotas(settings.subjects, settings.home_shares)
    if min(counts) == 0:
        raise InputError(
            expected="a subject at home in every language",
            got=f"{counts} of {settings.subjects} subjects",
            where=where,
        )


def _check_exposures(settings: WorldSettings) -> None:
    given = settings.exposure_shares
    if given is None:
        return
    _check_sum("exposure_shares", given, settings.languages)
    if min(given) == 0:
        raise InputError(
            expected="shares above 0, since every language is shown",
            got=repr(given),
            where="exposure_shares",
        )


def _check_sum(name: str, given: Sequence[float], num: int) -> None:
    if len(given) != num:
        raise InputError(
            expected=f"{num} shares, one for each language", got=str(len(given)), where=name
        )
    if not isclose(sum(given), 1, abs_tol=1e-9):
        raise InputError(expected="shares that sum to 1", got=str(sum(given)), where=name)


def _check_tokens(settings: WorldSettings) -> None:
    if settings.transliterated and settings.tokens == "symbols":
        raise InputError(
            expected="tokens that are spelled, bytes or bpe, to transliterate",
            got="symbols",
            where="tokens",
        )
    if settings.transliterated and settings.languages > NUM_SCRIPTS:
        raise InputError(
            expected=f"at most {NUM_SCRIPTS} languages, one for each script, to transliterate",
            got=str(settings.languages),
            where="languages",
        )
    if settings.bpe_merges == "separate" and settings.tokens != "bpe":
        raise InputError(
            expected="tokens='bpe' where languages have separate merges",
            got=repr(settings.tokens),
            where="tokens",
        )
    if settings.vocab_size is None:
        return
    if settings.tokens == "bytes":
        raise InputError(
            expected="None, since there are always 256 bytes",
            got=str(settings.vocab_size),
            where="vocab_size",
        )
    if settings.tokens == "bpe" and settings.vocab_size < _NUM_BYTES:
        raise InputError(
            expected=f"at least the {_NUM_BYTES} bytes",
            got=str(settings.vocab_size),
            where="vocab_size",
        )


def _check_names(settings: WorldSettings) -> None:
    if settings.names != "multi":
        if settings.name_pool is not None:
            raise InputError(
                expected="None, since names='single' draws from no pool",
                got=str(settings.name_pool),
                where="name_pool",
            )
        return
    num = settings.subjects + settings.unseen_subjects
    if settings.num_names**2 < num:
        raise InputError(
            expected=f"a pool with at least {num} pairs of first and last name",
            got=f"{settings.num_names} names of each kind, {settings.num_names**2} pairs",
            where="name_pool",
        )


def _check_paraphrases(settings: WorldSettings) -> None:
    if settings.style != "biographies":
        return
    # Choices of words in any order, of which one is kept back for the question.
    num_types, num_words = settings.template_types, settings.template_tokens
    most = comb(num_types + num_words - 1, num_words) - 1
    if settings.paraphrases > most:
        raise InputError(
            expected=f"at most {most}, with {num_words} template tokens of {num_types} types and "
            "one choice of them kept back for questions",
            got=str(settings.paraphrases),
            where="paraphrases",
        )
