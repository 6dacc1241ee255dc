"""What can be done about facts that stay in one language, one change of a world at a time."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from lingraft.errors import InputError
from lingraft.lab import WorldSettings, template_cues_for
from lingraft.lab.contrast import ContrastSettings

BASE = "base"
SPELLINGS = {"bytes": "spelled in bytes", "bpe": "spelled in byte pairs"}


@dataclass(frozen=True)
class Arm:
    """One way to teach the facts of a world.

    Attributes:
        name: What tables call it.
        change: What it changes, in words.
        base: Name of the arm that lacks this change alone; None where nothing is changed.
        world: Its world; the seed is replaced by each member's own.
        contrast: An auxiliary loss on parallel facts, or none.
    """

    name: str
    change: str
    base: str | None
    world: WorldSettings
    contrast: ContrastSettings | None = None


@dataclass(frozen=True)
class Doses:
    """How much of every intervention there is, each dose an arm.

    Attributes:
        informativeness: Of facts, below that of the base.
        extractability: Of cues, below that of the base; by fewer template words of a language.
        parallel_shares: Of facts told in all languages.
        cue_flips: Chances of a word to come from the other language.
        tag_shares: Chances of a language tag, with cues shown and with the most hidden ones.
        contrasts: Auxiliary losses, on the first parallel share.
        spellings: Kinds of tokens, ``"bytes"`` and ``"bpe"``, in which worlds are spelled.
        spelled_informativeness: Of spelled worlds, one base each. Where facts tell all of their
            language and languages write values differently, the right answer of a
            cross-language question is a word that was never written: only worlds below 1 tell
            what a script of its own costs.
    """

    informativeness: tuple[float, ...]
    extractability: tuple[float, ...]
    parallel_shares: tuple[float, ...]
    cue_flips: tuple[float, ...]
    tag_shares: tuple[float, ...]
    contrasts: tuple[ContrastSettings, ...]
    spellings: tuple[str, ...]
    spelled_informativeness: tuple[float, ...]


def intervention_arms(base: WorldSettings, doses: Doses) -> list[Arm]:
    """Returns the base and one arm for each dose of each intervention.

    Args:
        base: A world of symbols; where transfer fails, there is something to buy.
        doses: Of the interventions.

    Raises:
        InputError: The base is spelled, there is no such spelling, an auxiliary loss lacks parallel
            facts, or two arms are the same.
    """
    if base.tokens != "symbols":
        raise InputError(
            expected="a base of symbols, which arms may spell", got=base.tokens, where="tokens"
        )
    unknown = [kind for kind in doses.spellings if kind not in SPELLINGS]
    if unknown:
        raise InputError(
            expected=f"kinds of {', '.join(SPELLINGS)}", got=unknown[0], where="spellings"
        )
    if doses.contrasts and not doses.parallel_shares:
        raise InputError(
            expected="a parallel share, for the auxiliary loss to have parallel facts",
            got="none",
            where="parallel_shares",
        )
    arms = [
        Arm(BASE, f"nothing: {_told(base)}", None, base),
        *_of_facts(base, doses),
        *_of_cues(base, doses),
        *_of_losses(base, doses),
        *_of_spellings(base, doses),
    ]
    names = [arm.name for arm in arms]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(expected="every dose once", got=f"{twice[0]} twice", where="doses")
    return arms


def _of_facts(base: WorldSettings, doses: Doses) -> Iterator[Arm]:
    for rho in doses.informativeness:
        change = f"values tell less of the language: informativeness {rho:g}"
        world = replace(base, informativeness=rho)
        yield Arm(f"balanced attributes, {rho:g}", change, BASE, world)
    for share in doses.parallel_shares:
        change = f"{100 * share:g} % of facts are told in all languages"
        yield Arm(_parallel(share), change, BASE, replace(base, parallel_share=share))


def _of_cues(base: WorldSettings, doses: Doses) -> Iterator[Arm]:
    for wanted in doses.extractability:
        change = f"more template words are shared: extractability {wanted:g}"
        yield Arm(_hidden(wanted), change, BASE, _hide(base, wanted))
    for share in doses.cue_flips:
        change = f"{100 * share:g} % of a language's words are another's"
        yield Arm(f"code-mixed text, {share:g}", change, BASE, replace(base, cue_flips=share))
    for share in doses.tag_shares:
        change = f"a language tag before {100 * share:g} % of samples"
        yield Arm(f"language tags, {share:g}", change, BASE, replace(base, tag_share=share))
        if doses.extractability:
            most = min(doses.extractability)
            world = replace(_hide(base, most), tag_share=share)
            name = f"language tags, {share:g}, on {_hidden(most)}"
            yield Arm(name, f"{change}, where other cues are hidden", _hidden(most), world)


def _of_losses(base: WorldSettings, doses: Doses) -> Iterator[Arm]:
    for contrast in doses.contrasts:
        share = doses.parallel_shares[0]
        change = (
            f"InfoNCE after layer {contrast.layer} between the prompts of {contrast.num_pairs} "
            f"parallel facts a step, weight {contrast.weight:g}"
        )
        world = replace(base, parallel_share=share)
        yield Arm(
            f"contrastive loss, {contrast.weight:g}", change, _parallel(share), world, contrast
        )


def _of_spellings(base: WorldSettings, doses: Doses) -> Iterator[Arm]:
    for kind, rho in product(doses.spellings, doses.spelled_informativeness):
        spelled = replace(base, tokens=kind, informativeness=rho)
        name = SPELLINGS[kind]
        name += "" if rho == base.informativeness else f", informativeness {rho:g}"
        merges = "" if kind == "bytes" else ", one list of merges"
        yield Arm(name, f"nothing: words are spelled in one script{merges}", None, spelled)
        change = "each language has a script of its own, letter by letter"
        yield Arm(f"{name}, transliterated", change, name, replace(spelled, transliterated=True))
        if kind == "bpe":
            change = "each language learns merges of its own"
            world = replace(spelled, bpe_merges="separate")
            yield Arm(f"{name}, separate merges", change, name, world)


def _parallel(share: float) -> str:
    return f"parallel facts, {share:g}"


def _hidden(wanted: float) -> str:
    return f"hidden cues, {wanted:g}"


def _hide(base: WorldSettings, wanted: float) -> WorldSettings:
    return replace(base, template_cues=template_cues_for(wanted, base.template_tokens))


def _told(base: WorldSettings) -> str:
    return (
        f"{base.subjects} subjects with {base.relations} facts, informativeness "
        f"{base.informativeness:g}, template cues {base.template_cues:g}, parallel share "
        f"{base.parallel_share:g}"
    )
