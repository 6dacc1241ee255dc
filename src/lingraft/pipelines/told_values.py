"""How samples tell values: how often, in how many tokens, and what statistics alone foretell.

Axes: S subjects, R relations, V values, K languages.
"""

import numpy as np
from numpy.typing import NDArray

from lingraft.lab import World
from lingraft.lab.extractability import extractability
from lingraft.lab.facts import exposures
from lingraft.lab.information import entropy_bits, mutual_information_bits

Floats = NDArray[np.float64]


def statistics_nats(world: World) -> float:
    """Returns the entropy, in nats, of a told value given its relation and its sentence's cues.

    A model that knows no fact, but how often values are told in each language, has this loss. Of V
    equally likely values it is ln V less what cues tell of the value. Cues either show the
    language (a share E of the time) or nothing, which is exact where languages are told equally
    often and no cue is flipped. Parallel facts, whose values tell nothing, are among the told ones
    and dilute what the language tells. Where languages write a value differently and cues are
    hidden, the word has to be guessed as well.

    Args:
        world: Of samples whose loss is on values alone.
    """
    joint_KK = _language_and_part(world)
    part_K, lang_K = joint_KK.sum(axis=0), joint_KK.sum(axis=1)
    told = mutual_information_bits(joint_KK)
    value_bits = entropy_bits(part_K) + np.log2(world.settings.values / world.settings.languages)
    words_RVK = world.grammar.lexicon.value_RVK
    apart = float((words_RVK != words_RVK[:, :, :1]).any(axis=2).mean())
    hidden = value_bits + apart * (entropy_bits(lang_K) - told)
    shown = extractability(world.grammar, world.table)
    return float(np.log(2) * (shown * (value_bits - told) + (1 - shown) * hidden))


def tokens_per_value(world: World) -> float:
    """Returns the mean number of tokens of a told value.

    Losses of spelled worlds are means over tokens: so many of them make one value.
    """
    settings = world.settings
    length_RVK = world.table.length_I[world.grammar.lexicon.value_RVK]
    length_SRK = length_RVK[np.arange(settings.relations), world.value_SR]
    return float((exposures(settings, world.facts) * length_SRK).sum())


def told_per_sample(world: World) -> Floats:
    """Returns how often one training sample tells each fact in each language, (S, R, K).

    Of triples these sum to 1; a biography tells all that its language shows of a subject.
    """
    num_K, shares = world.pairs.num_K, world.settings.exposure_shares
    share_K = num_K / num_K.sum() if shares is None else np.asarray(shares)
    return np.asarray(world.shown_SRK * (share_K / num_K), dtype=np.float64)


def _language_and_part(world: World) -> Floats:
    """Shares of told facts by language (rows) and by the language whose part the value is in."""
    num, own = world.settings.languages, world.settings.own_part_probability
    weight_SRK = exposures(world.settings, world.facts)
    is_mono_SR1 = ~world.is_parallel_SR[:, :, None]
    mono_K = (weight_SRK * is_mono_SR1).sum(axis=(0, 1))
    parallel_K = (weight_SRK * ~is_mono_SR1).sum(axis=(0, 1))
    part_KK = np.full((num, num), (1 - own) / (num - 1))
    np.fill_diagonal(part_KK, own)
    return np.asarray(mono_K[:, None] * part_KK + parallel_K[:, None] / num)
