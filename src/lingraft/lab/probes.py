"""Questions about facts, whose answers are known.

Axes: P questions, T tokens of a question, V values of its relation, C tokens of a value,
S subjects of samples, U unseen subjects, R relations, K languages, X entries of a question.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from lingraft.errors import InputError
from lingraft.lab.arguments import choice, optional, whole_number
from lingraft.lab.facts import Facts
from lingraft.lab.lexicon import START
from lingraft.lab.samples import Grammar
from lingraft.lab.sentences import Cues, draw_cues, full_cues, sentence_entries, tag_entries
from lingraft.lab.vocabulary import TokenTable, compose

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Probes:
    """Some questions.

    Attributes:
        tokens_PT: The prompt up to and with the relation, `PAD` behind.
        length_P: Its tokens; the answer comes at this index, the prompt ends one before it.
        subject_at_P: Position of the subject's last token.
        fact_P: The fact, ``subject * R + relation``.
        subject_P: Its subject.
        relation_P: Its relation.
        lang_P: The language that the question is asked in.
        home_P: The home language of its subject.
        answer_P: The right value, 0 to V - 1.
        candidates_PVC: Tokens of every value of the relation in the asked language, `PAD` behind.
    """

    tokens_PT: Ints
    length_P: Ints
    subject_at_P: Ints
    fact_P: Ints
    subject_P: Ints
    relation_P: Ints
    lang_P: Ints
    home_P: Ints
    answer_P: Ints
    candidates_PVC: Ints


def choose_questions(
    facts: Facts, kind: str, *, max_facts: int | None, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """Returns the facts of a kind of question and the languages that each is asked in.

    Raises:
        InputError: There is no such kind, no fact of it, or no such number of them.
    """
    kind = choice(kind, "kind", choices=PROBE_KINDS)
    max_facts = optional(max_facts, "max_facts", read=partial(whole_number, smallest=1))
    asked_GK, first_fact = _KINDS[kind].asked(facts)
    chosen = np.flatnonzero(asked_GK.any(axis=1))
    if len(chosen) == 0:
        raise InputError(
            expected=_KINDS[kind].need, got="none in this world", where=f"probes {kind!r}"
        )
    if max_facts is not None and max_facts < len(chosen):
        chosen = np.sort(rng.choice(chosen, max_facts, replace=False))
    rows, lang_P = np.nonzero(asked_GK[chosen])
    return first_fact + chosen[rows], lang_P


def question_cues(
    grammar: Grammar, fact_P: Ints, lang_P: Ints, *, is_full: bool, rng: np.random.Generator
) -> Cues:
    """Draws the template words of questions, and what they show of the language."""
    cues = draw_cues(grammar.settings, lang_P, rng)
    if grammar.paraphrases is not None:
        relation_P = fact_P % grammar.settings.relations
        cues = replace(cues, word_MF=grammar.paraphrases.question_RF[relation_P])
    return full_cues(grammar.settings, lang_P, cues.word_MF) if is_full else cues


def build_probes(
    grammar: Grammar, facts: Facts, table: TokenTable, fact_P: Ints, lang_P: Ints, cues: Cues
) -> Probes:
    """Writes questions in the plain order: template words, subject, relation."""
    settings, lexicon = grammar.settings, grammar.lexicon
    subject_P, relation_P = np.divmod(fact_P, settings.relations)
    answer_P = facts.value_AR[subject_P, relation_P]
    told_PX = sentence_entries(
        lexicon, cues, subject_M=subject_P, relation_M=relation_P, value_M=answer_P, lang_M=lang_P
    )
    tag_P = tag_entries(lexicon, cues)
    prompt_PX = np.column_stack([np.full_like(tag_P, START), tag_P, told_PX[:, :-1]])
    tokens_PT, _, length_P = compose(table, prompt_PX, np.zeros(prompt_PX.shape, dtype=bool))
    values_PV = lexicon.value_RVK[relation_P, :, lang_P]
    longest = int(table.length_I[lexicon.value_RVK].max())
    return Probes(
        tokens_PT=tokens_PT,
        length_P=length_P,
        subject_at_P=length_P - table.length_I[prompt_PX[:, -1]] - 1,
        fact_P=fact_P,
        subject_P=subject_P,
        relation_P=relation_P,
        lang_P=lang_P,
        home_P=facts.home_A[subject_P],
        answer_P=answer_P,
        candidates_PVC=table.tokens_IL[values_PV, :longest],
    )


@dataclass(frozen=True)
class _Kind:
    """Which facts are asked in which languages: a table (facts, K) and its first fact's number."""

    asked: Callable[[Facts], tuple[Bools, int]]
    need: str


def _by_fact(table_SRK: Bools) -> Bools:
    return table_SRK.reshape(-1, table_SRK.shape[2])


def _same(facts: Facts) -> tuple[Bools, int]:
    return _by_fact(facts.shown_SRK & ~facts.is_parallel_SR[:, :, None]), 0


def _cross(facts: Facts) -> tuple[Bools, int]:
    return _by_fact(~facts.shown_SRK), 0


def _parallel(facts: Facts) -> tuple[Bools, int]:
    return _by_fact(facts.shown_SRK & facts.is_parallel_SR[:, :, None]), 0


def _unseen(facts: Facts) -> tuple[Bools, int]:
    num_subjects, num_relations, num_langs = facts.shown_SRK.shape
    num_unseen = len(facts.home_A) - num_subjects
    asked = np.ones((num_unseen * num_relations, num_langs), dtype=bool)
    return asked, num_subjects * num_relations


_KINDS = {
    "same": _Kind(_same, "monolingual facts, parallel_share below 1"),
    "cross": _Kind(_cross, "monolingual facts, parallel_share below 1"),
    "parallel": _Kind(_parallel, "parallel facts, parallel_share above 0"),
    "unseen": _Kind(_unseen, "subjects that no sample names, unseen_subjects above 0"),
}
PROBE_KINDS = tuple(_KINDS)
