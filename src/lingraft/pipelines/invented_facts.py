"""Facts that no text can hold: invented people with attributes, told and asked in two languages."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lingraft.corpus.fact_records import SLOT, Fact, FactData
from lingraft.corpus.records import Document
from lingraft.errors import InputError
from lingraft.languages import Language
from lingraft.seeds import derive

Group = Literal["taught", "parallel", "untaught"]
GROUPS: tuple[Group, ...] = ("taught", "parallel", "untaught")


@dataclass(frozen=True)
class _Relation:
    """How a language tells and asks one attribute: prompts that end before a value, and values."""

    prompts: tuple[str, ...]
    values: tuple[str, ...]


# Value n of a relation means the same in every language. Prompts fit all of their values: English
# ones begin with consonants, Dutch instruments have "de", Greek ones stand without an article.
_RELATIONS: dict[str, dict[str, _Relation]] = {
    "profession": {
        "en": _Relation(
            ("The profession of {x} is", "{x} works as a"),
            ("baker", "doctor", "teacher", "farmer", "lawyer", "fisherman", "tailor", "painter"),
        ),
        "nl": _Relation(
            ("Het beroep van {x} is", "{x} werkt als"),
            ("bakker", "dokter", "leraar", "boer", "advocaat", "visser", "kleermaker", "schilder"),
        ),
        "el": _Relation(
            ("Το επάγγελμα του προσώπου {x} είναι", "{x} εργάζεται ως"),
            ("φούρναρης", "γιατρός", "δάσκαλος", "αγρότης", "δικηγόρος", "ψαράς", "ράφτης",
             "ζωγράφος"),
        ),
    },
    "colour": {
        "en": _Relation(
            ("The favourite colour of {x} is", "The colour that {x} likes is"),
            ("red", "blue", "green", "yellow", "black", "white", "brown", "purple"),
        ),
        "nl": _Relation(
            ("De lievelingskleur van {x} is", "{x} houdt van de kleur"),
            ("rood", "blauw", "groen", "geel", "zwart", "wit", "bruin", "paars"),
        ),
        "el": _Relation(
            ("Το αγαπημένο χρώμα του προσώπου {x} είναι το",
             "Το χρώμα που αρέσει στο πρόσωπο {x} είναι το"),
            ("κόκκινο", "μπλε", "πράσινο", "κίτρινο", "μαύρο", "άσπρο", "καφέ", "μοβ"),
        ),
    },
    "instrument": {
        "en": _Relation(
            ("The instrument of {x} is the", "{x} plays the"),
            ("violin", "piano", "flute", "guitar", "drum", "harp", "trumpet", "cello"),
        ),
        "nl": _Relation(
            ("Het instrument van {x} is de", "{x} bespeelt de"),
            ("viool", "piano", "fluit", "gitaar", "trommel", "harp", "trompet", "cello"),
        ),
        "el": _Relation(
            ("Το όργανο του προσώπου {x} λέγεται", "{x} παίζει"),
            ("βιολί", "πιάνο", "φλάουτο", "κιθάρα", "τύμπανο", "άρπα", "τρομπέτα", "τσέλο"),
        ),
    },
    "pet": {
        "en": _Relation(
            ("The pet of {x} is a", "At home {x} keeps a"),
            ("dog", "cat", "horse", "rabbit", "parrot", "goat", "duck", "tortoise"),
        ),
        "nl": _Relation(
            ("Het huisdier van {x} is een", "Thuis heeft {x} een"),
            ("hond", "kat", "paard", "konijn", "papegaai", "geit", "eend", "schildpad"),
        ),
        "el": _Relation(
            ("Το κατοικίδιο του προσώπου {x} είναι", "Το ζώο στο σπίτι του προσώπου {x} είναι"),
            ("σκύλος", "γάτα", "άλογο", "κουνέλι", "παπαγάλος", "κατσίκα", "πάπια", "χελώνα"),
        ),
    },
}  # fmt: skip

LANGUAGES = tuple(map(Language.parse, ("en", "nl", "el")))
"""Languages that facts are told and asked in."""

NUM_SYLLABLES = 3
_CONSONANTS = {
    "b": "μπ", "d": "ντ", "k": "κ", "l": "λ", "m": "μ", "n": "ν", "p": "π", "r": "ρ", "s": "σ",
    "t": "τ", "v": "β", "z": "ζ",
}  # fmt: skip
_VOWELS = {"a": "α", "e": "ε", "i": "ι", "o": "ο", "u": "ου"}
_STRESSED = {"a": "ά", "e": "έ", "i": "ί", "o": "ό", "u": "ού"}


@dataclass(frozen=True)
class InventedFacts:
    """What is taught, and what is asked.

    Attributes:
        statements: Every statement as often as it is taught.
        questions: Every fact in both languages, the other values as its alternatives; a fact of
            the group taught states the language it is taught in as its source.
        groups: The group of each fact by its id.
    """

    statements: tuple[Document, ...]
    questions: FactData
    groups: dict[str, Group]

    def of(self, group: Group) -> FactData:
        """Returns the questions of one group."""
        return FactData(tuple(f for f in self.questions.facts if self.groups[f.id] == group))


def invent_facts(
    *,
    taught_lang: Language,
    asked_lang: Language,
    num_subjects: int,
    parallel_share: float,
    untaught_share: float,
    num_exposures: int,
    shared_names: bool,
    seed: int,
) -> InventedFacts:
    """Invents people with four attributes each, drawn uniformly and by themselves.

    A subject's facts are told in the first language alone (taught), in both, in statements of
    their own (parallel), or in none (untaught, the floor: what is right there was guessed). The
    prompts of a relation take turns; the first one is also the question, so that in the taught
    language recall is of a sentence that was read. The other language's prompts are learnt from
    the parallel subjects only.

    Args:
        taught_lang: Language that facts are taught in.
        asked_lang: Language that they are asked in besides.
        num_subjects: People of all groups.
        parallel_share: Share of the subjects in the group parallel (π of the reference, 3.1).
        untaught_share: Share of the subjects in the group untaught.
        num_exposures: How often each fact is told in a language.
        shared_names: Whether names are written in Latin letters in every language, instead of
            being spelt in the language's own (omega of the reference, 3.3).
        seed: Of names, attributes and groups.

    Raises:
        InputError: Languages without templates or twice the same, or shares or numbers that
            leave no subject to teach.
    """
    langs = (taught_lang, asked_lang)
    _check(langs, num_subjects, parallel_share, untaught_share, num_exposures)
    generator = np.random.default_rng(derive(seed, "invented facts"))
    names = _names(num_subjects, generator)
    num_parallel = round(parallel_share * num_subjects)
    num_untaught = round(untaught_share * num_subjects)
    statements: list[Document] = []
    questions: list[Fact] = []
    groups: dict[str, Group] = {}
    for place, name in enumerate(names):
        group: Group = "parallel" if place < num_parallel else "taught"
        if place >= num_subjects - num_untaught:
            group = "untaught"
        for relation, by_lang in _RELATIONS.items():
            value = int(generator.integers(len(by_lang["en"].values)))
            fact_id = f"{relation}:{_spelt(name, LANGUAGES[0], shared=True)}"
            groups[fact_id] = group
            for lang in langs:
                told = by_lang[lang.tag]
                subject = _spelt(name, lang, shared=shared_names)
                source = taught_lang if group == "taught" else None
                questions.append(_question(fact_id, lang, told, subject, value, source))
                if group == "parallel" or (group == "taught" and lang == taught_lang):
                    statements += [
                        Document(
                            _statement(told, subject, value, turn), f"{fact_id}:{lang.tag}:{turn}"
                        )
                        for turn in range(num_exposures)
                    ]
    return InventedFacts(tuple(statements), FactData(tuple(questions)), groups)


def _question(
    fact_id: str,
    lang: Language,
    told: _Relation,
    subject: str,
    value: int,
    source: Language | None,
) -> Fact:
    start = told.prompts[0].index(SLOT)
    return Fact(
        id=fact_id,
        lang=lang,
        prompt=told.prompts[0].replace(SLOT, subject),
        answer=told.values[value],
        alternatives=tuple(text for n, text in enumerate(told.values) if n != value),
        subject=(start, start + len(subject)),
        source_lang=source,
    )


def _statement(told: _Relation, subject: str, value: int, turn: int) -> str:
    prompt = told.prompts[turn % len(told.prompts)].replace(SLOT, subject)
    return f"{prompt} {told.values[value]}."


def _names(num: int, generator: np.random.Generator) -> list[tuple[tuple[str, str], ...]]:
    """Draws distinct names as (consonant, vowel) syllables."""
    consonants, vowels = list(_CONSONANTS), list(_VOWELS)
    syllables = [(c, v) for c in consonants for v in vowels]
    found: dict[tuple[tuple[str, str], ...], None] = {}
    while len(found) < num:
        drawn = generator.integers(len(syllables), size=NUM_SYLLABLES).tolist()
        found[tuple(syllables[n] for n in drawn)] = None
    return list(found)


def _spelt(name: Sequence[tuple[str, str]], lang: Language, *, shared: bool) -> str:
    if shared or lang.script == "Latn":
        return "".join(consonant + vowel for consonant, vowel in name).capitalize()
    stressed = len(name) - 2  # the last but one
    parts = [
        _CONSONANTS[consonant] + (_STRESSED if place == stressed else _VOWELS)[vowel]
        for place, (consonant, vowel) in enumerate(name)
    ]
    return "".join(parts).capitalize()


def _check(
    langs: Sequence[Language],
    num_subjects: int,
    parallel_share: float,
    untaught_share: float,
    num_exposures: int,
) -> None:
    if len(set(langs)) != len(langs) or any(lang not in LANGUAGES for lang in langs):
        raise InputError(
            expected=f"two languages of {', '.join(lang.tag for lang in LANGUAGES)}",
            got=", ".join(lang.tag for lang in langs),
            where="languages of invented facts",
        )
    num_parallel = round(parallel_share * num_subjects)
    num_taught = num_subjects - num_parallel - round(untaught_share * num_subjects)
    most = (len(_CONSONANTS) * len(_VOWELS)) ** NUM_SYLLABLES // 2
    if num_taught < 1 or min(parallel_share, untaught_share) < 0 or num_subjects > most:
        raise InputError(
            expected=f"1 to {most} subjects, and shares of 0 or more that leave one to be taught",
            got=f"{num_subjects} subjects, {parallel_share} parallel, {untaught_share} untaught",
            where="num_subjects",
        )
    if num_exposures < 1:
        raise InputError(
            expected="at least 1 exposure", got=str(num_exposures), where="num_exposures"
        )
