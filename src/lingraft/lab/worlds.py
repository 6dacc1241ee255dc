"""A synthetic multilingual world: what is true, what is told in which language, and questions.

The re-design of arXiv 2508.11017 in which every control is explicit: how much facts tell of the
language (informativeness) and how easily cues do (extractability).

Axes: B samples, P questions, T tokens, S subjects, R relations, V values of a relation,
K languages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from lingraft.lab.arguments import flag, optional, whole_number, whole_numbers
from lingraft.lab.facts import Facts, draw_facts
from lingraft.lab.information import Information, count_told, measure_information
from lingraft.lab.lexicon import SPECIAL_NAMES, build_lexicon
from lingraft.lab.probes import (
    Probes,
    build_probes,
    choose_questions,
    question_cues,
)
from lingraft.lab.samples import (
    Grammar,
    Pairs,
    Samples,
    draw_entries,
    draw_pairs,
    draw_samples,
    shown_pairs,
)
from lingraft.lab.sentences import draw_paraphrases
from lingraft.lab.settings import WorldSettings
from lingraft.lab.vocabulary import TokenTable, bpe_table, byte_table, symbol_table
from lingraft.seeds import derive

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_NUM_BPE_TEXTS = 1000  # of each language; merges of short words settle long before


def make_world(
    *,
    languages: int = 2,
    subjects: int = 400,
    relations: int = 5,
    values: int = 40,
    parallel_share: float = 0.0,
    parallel_by: str = "fact",
    informativeness: float = 1.0,
    template_cues: float = 1.0,
    template_tokens: int = 2,
    template_types: int = 8,
    tag_share: float = 0.0,
    subject_overlap: float = 1.0,
    relation_overlap: float = 1.0,
    value_overlap: float = 1.0,
    cue_flips: float = 0.0,
    home_language_share: float | Sequence[float] | None = None,
    exposure_shares: Sequence[float] | None = None,
    tokens: str = "symbols",
    bpe_merges: str = "shared",
    vocab_size: int | None = None,
    names: str = "single",
    name_pool: int | None = None,
    style: str = "triples",
    paraphrases: int = 5,
    repeat_names: bool = True,
    transliterated: bool = False,
    predict: str = "values",
    unseen_subjects: int = 40,
    seed: int,
) -> "World":
    """Makes a world; `WorldSettings` explains each argument.

    The defaults are those of the reference's pilot: 400 subjects, 5 relations with 40 values each,
    2 template tokens, and words other than those shared by both languages.

    Returns:
        The truth, and a generator of samples and questions about it.

    Raises:
        InputError: An argument is out of range, or two do not go together.

    Example:
        >>> world = make_world(subjects=20, informativeness=0.0, seed=1)
        >>> world.sample(3, np.random.default_rng(0)).tokens_BT.shape
        (3, 6)
    """
    return build_world(WorldSettings(**locals()))  # the arguments, and nothing else so far


def build_world(settings: WorldSettings) -> "World":
    """Makes the world of some settings, which always is the same one."""
    lexicon = build_lexicon(settings)
    paraphrases = draw_paraphrases(settings) if settings.style == "biographies" else None
    facts, grammar = draw_facts(settings), Grammar(settings, lexicon, paraphrases)
    pairs = shown_pairs(settings, facts)
    if settings.tokens == "symbols":
        table = symbol_table(settings, lexicon)
    elif settings.tokens == "bytes":
        table = byte_table(lexicon)
    else:
        rng = np.random.default_rng(derive(settings.seed, "lab", "bpe"))
        texts = [
            _texts(grammar, facts, pairs, _NUM_BPE_TEXTS, rng, lang=lang)
            for lang in range(settings.languages)
        ]
        table = bpe_table(settings, lexicon, texts)
    return World(
        settings=settings,
        vocabulary=table.names,
        home_S=facts.home_A[: settings.subjects],
        value_SR=facts.value_AR[: settings.subjects],
        is_parallel_SR=facts.is_parallel_SR,
        shown_SRK=facts.shown_SRK,
        half_V=facts.half_V,
        facts=facts,
        grammar=grammar,
        pairs=pairs,
        table=table,
    )


@dataclass(frozen=True, eq=False)
class World:
    """A world and all that is known of it.

    Attributes:
        settings: What it was made with.
        vocabulary: A readable name for every token id.
        home_S: Home language of every subject.
        value_SR: Value of every fact, 0 to V - 1.
        is_parallel_SR: Facts that are told in all languages.
        shown_SRK: Whether samples tell a fact in a language.
        half_V: The language whose own a value is; half of the values each, of two languages.
        facts: The same truth with the unseen subjects, which come last.
        grammar: Its words and sentences.
        pairs: The (fact, language) pairs that samples are drawn from.
        table: The tokens of its words.
    """

    settings: WorldSettings
    vocabulary: tuple[str, ...]
    home_S: Ints
    value_SR: Ints
    is_parallel_SR: Bools
    shown_SRK: Bools
    half_V: Ints
    facts: Facts
    grammar: Grammar
    pairs: Pairs
    table: TokenTable

    @property
    def num_tokens(self) -> int:
        """Size of the vocabulary: token ids are below it."""
        return len(self.vocabulary)

    @cached_property
    def max_tokens(self) -> int:
        """Tokens of the longest sample that there can be."""
        settings, lexicon = self.settings, self.grammar.lexicon

        def longest(entries: Ints) -> int:
            return int(self.table.length_I[entries].max(initial=0))

        words = max(longest(lexicon.own_WK), longest(lexicon.shared_WK))
        names = int(self.table.length_I[lexicon.subject_AKN].sum(axis=2).max())
        if not settings.repeat_names:
            names = max(names, longest(lexicon.pronoun_K))
        sentence = settings.template_tokens * words + names
        sentence += longest(lexicon.relation_RK) + longest(lexicon.value_RVK)
        tag = longest(lexicon.tag_K) if settings.tag_share else 0
        if settings.style == "triples":
            return 1 + tag + sentence
        return 1 + tag + settings.relations * (sentence + longest(lexicon.stop_K))

    def sample(self, num: int, rng: np.random.Generator, lang: int | None = None) -> Samples:
        """Draws training samples, padded to `max_tokens`.

        Every (fact, language) pair that is shown comes equally often, or every language as often as
        `exposure_shares` says and its pairs equally often; of biographies, (subject, language)
        pairs.

        Args:
            num: Samples.
            rng: Draws them.
            lang: The one language that they tell in; None takes all.

        Raises:
            InputError: There is no such language, or no such number.
        """
        return draw_samples(
            self.grammar,
            self.facts,
            self.pairs,
            self.table,
            whole_number(num, "num", smallest=0),
            rng,
            num_tokens=self.max_tokens,
            lang=self._lang(lang),
        )

    def probes(
        self,
        kind: str,
        *,
        max_facts: int | None = None,
        seed: int | None = None,
        full_cues: bool = True,
    ) -> Probes:
        """Returns questions of one kind, by fact, then by language.

        Args:
            kind: ``"same"``: monolingual facts in their home language; ``"cross"``: the same facts
                in every language in which they were never told; ``"parallel"``: parallel facts in
                every language; ``"unseen"``: subjects that no sample names, in every language.
            max_facts: Take no more facts than so many, drawn at random.
            seed: Of that draw and of the template words; None derives it from the world's own.
            full_cues: Show the language wherever a sample can: own template words, no flips, and
                the tag where there are tags. Otherwise cues are drawn as those of samples.

        Raises:
            InputError: The kind is unknown, or the world has no such fact.
        """
        given = optional(seed, "seed", read=whole_number)
        seed = derive(self.settings.seed, "probes") if given is None else given
        is_full = flag(full_cues, "full_cues")
        rng = np.random.default_rng(derive(seed, "facts", kind))
        fact_P, lang_P = choose_questions(self.facts, kind, max_facts=max_facts, rng=rng)
        rng = np.random.default_rng(derive(seed, "cues", kind))
        cues = question_cues(self.grammar, fact_P, lang_P, is_full=is_full, rng=rng)
        return build_probes(self.grammar, self.facts, self.table, fact_P, lang_P, cues)

    def documents(
        self, num: int, rng: np.random.Generator, lang: int | None = None
    ) -> tuple[str, ...]:
        """Returns samples as text, of one language or, with None, as training draws them.

        Raises:
            InputError: There is no such language, or no such number.
        """
        num = whole_number(num, "num", smallest=0)
        return _texts(self.grammar, self.facts, self.pairs, num, rng, lang=self._lang(lang))

    def _lang(self, lang: int | None) -> int | None:
        read = partial(whole_number, smallest=0, largest=self.settings.languages - 1)
        found: int | None = optional(lang, "lang", read=read)
        return found

    def information(self, samples: Samples | None = None) -> Information:
        """Returns how much facts and cues tell of the language, in bits.

        With samples, the plug-in estimates are those of what these samples told.

        Raises:
            InputError: There is no sample, or one is not of this world.
        """
        told_SRK = None
        if samples is not None:
            told_SRK = count_told(self.settings, self.facts, samples)
        return measure_information(self.grammar, self.facts, self.table, told_SRK=told_SRK)


def matched_probes(
    world: World, facts: Sequence[int] | Ints, *, full_cues: bool = True
) -> dict[int, Probes]:
    """Asks the same facts in the same order in every language, for unification scores.

    The template words are the same ones too, so that prompts differ in the language alone; without
    full cues, each language's are drawn as those of samples.

    Args:
        world: The world.
        facts: Numbers of facts, ``subject * R + relation``.
        full_cues: As `World.probes` has it.

    Returns:
        The questions of each language.

    Raises:
        InputError: There is no fact, or a number names none.
    """
    num_facts = len(world.facts.home_A) * world.settings.relations
    fact_P = whole_numbers(facts, "facts", largest=num_facts - 1)
    is_full = flag(full_cues, "full_cues")
    probes = {}
    for lang in range(world.settings.languages):
        rng = np.random.default_rng(derive(world.settings.seed, "matched probes"))
        lang_P = np.full(len(fact_P), lang)
        cues = question_cues(world.grammar, fact_P, lang_P, is_full=is_full, rng=rng)
        probes[lang] = build_probes(world.grammar, world.facts, world.table, fact_P, lang_P, cues)
    return probes


def _texts(
    grammar: Grammar,
    facts: Facts,
    pairs: Pairs,
    num: int,
    rng: np.random.Generator,
    *,
    lang: int | None,
) -> tuple[str, ...]:
    chosen = draw_pairs(grammar.settings, pairs, num, rng, lang=lang)
    entries_BX, _, _ = draw_entries(grammar, facts, pairs, chosen, rng)
    spellings = grammar.lexicon.spellings
    glue = " " if grammar.settings.tokens == "symbols" else ""
    rows = (row[row >= len(SPECIAL_NAMES)] for row in entries_BX)
    return tuple(glue.join(spellings[entry] for entry in row).strip() for row in rows)
