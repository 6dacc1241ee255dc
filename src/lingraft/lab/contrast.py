"""A contrastive loss on parallel facts, after the one of InfoXLM (arXiv 2007.07834).

InfoXLM contrasts translated sentences with a queue of others and a momentum encoder; here the
other facts of the step are the strangers.
Axes: M models of a stack, N pairs of prompts, T tokens, D width, F parallel facts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from math import inf

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy, normalize

from lingraft.errors import InputError
from lingraft.lab.arguments import Reader, number, whole_number
from lingraft.lab.decoders import TinyDecoder, at, states
from lingraft.lab.probes import Probes, build_probes, question_cues
from lingraft.lab.vocabulary import PAD
from lingraft.lab.worlds import World
from lingraft.seeds import derive

LANGUAGES = (0, 1)
"""The two languages whose states `measurement.unification` compares."""


@dataclass(frozen=True)
class ContrastSettings:
    """How states of two languages are drawn together.

    Attributes:
        weight: Factor of the loss.
        temperature: By which cosines are divided.
        num_pairs: N, facts of a step; the other ones are each fact's strangers.
        layer: After which layer the states are taken; 0 for the embeddings.

    Raises:
        InputError: A value is of the wrong kind or out of range.
    """

    weight: float
    temperature: float
    num_pairs: int
    layer: int

    def __post_init__(self) -> None:
        for name, read in _READERS.items():
            object.__setattr__(self, name, read(getattr(self, name), name))


_READERS: dict[str, Reader] = {
    "weight": partial(
        number, expected="a number of 0 or more", is_allowed=lambda given: 0 <= given < inf
    ),
    "temperature": partial(
        number, expected="a number above 0", is_allowed=lambda given: 0 < given < inf
    ),
    "num_pairs": partial(whole_number, smallest=2),
    "layer": partial(whole_number, smallest=0),
}


class Contrast:
    """Adds InfoNCE between the states of parallel facts' prompts in two languages to a loss.

    Each fact has to be told from the other facts of the step by the cosine of its states in both
    languages, from either side. Facts and template words depend on the member's seed and the step
    alone, so that company changes nothing.

    Args:
        model: Shape of the decoders.
        worlds: One for each member.
        seeds: One for each member.
        settings: Of the loss.

    Raises:
        InputError: A world has fewer parallel facts than pairs are asked for, there is no such
            layer, or there are not as many seeds as worlds.
    """

    def __init__(
        self,
        model: TinyDecoder,
        worlds: Sequence[World],
        seeds: Sequence[int],
        settings: ContrastSettings,
    ) -> None:
        if settings.layer > model.num_layers:
            raise InputError(
                expected=f"a layer from 0 to {model.num_layers}",
                got=str(settings.layer),
                where="layer",
            )
        if len(seeds) != len(worlds):
            raise InputError(
                expected=f"{len(worlds)} seeds, one for each world",
                got=str(len(seeds)),
                where="seeds",
            )
        self._model, self._worlds, self._seeds = model, worlds, seeds
        self._settings = settings
        self._parallel = [np.flatnonzero(world.is_parallel_SR.ravel()) for world in worlds]
        for world, parallel_F in zip(worlds, self._parallel, strict=True):
            if len(parallel_F) < settings.num_pairs:
                raise InputError(
                    expected=f"at least {settings.num_pairs} parallel facts, one for each pair",
                    got=str(len(parallel_F)),
                    where=f"parallel_share={world.settings.parallel_share}",
                )

    def __call__(
        self, weights: Mapping[str, torch.Tensor], members: Sequence[int], step: int
    ) -> torch.Tensor:
        """Returns the weighted loss of each member, (M,) nats.

        Args:
            weights: Of the members, stacked.
            members: Their numbers.
            step: From 0.
        """
        asked = [self.prompts(member, step) for member in members]
        states_by_lang = [
            self._states(weights, [probes[lang] for probes in asked]) for lang in LANGUAGES
        ]
        nats_M = info_nce(*states_by_lang, temperature=self._settings.temperature)
        return self._settings.weight * nats_M

    def prompts(self, member: int, step: int) -> list[Probes]:
        """Returns a member's prompts at a step: the same parallel facts in both languages.

        Cues are drawn as those of training samples.
        """
        world = self._worlds[member]
        rng = np.random.default_rng(derive(self._seeds[member], "contrast", step))
        fact_N = rng.permutation(self._parallel[member])[: self._settings.num_pairs]
        found = []
        for lang in LANGUAGES:
            lang_N = np.full(len(fact_N), lang)
            cues = question_cues(world.grammar, fact_N, lang_N, is_full=False, rng=rng)
            found.append(
                build_probes(world.grammar, world.facts, world.table, fact_N, lang_N, cues)
            )
        return found

    def _states(
        self, weights: Mapping[str, torch.Tensor], probes: Sequence[Probes]
    ) -> torch.Tensor:
        """The states at the prompts' last tokens, (M, N, D)."""
        device = weights["embedding"].device
        length = max(one.tokens_PT.shape[1] for one in probes)
        tokens_MNT = torch.from_numpy(np.stack([_padded(one.tokens_PT, length) for one in probes]))
        last_MN = torch.from_numpy(np.stack([one.length_P - 1 for one in probes])).to(device)
        layers = states(self._model, weights, tokens_MNT.to(device))
        return at(next(islice(layers, self._settings.layer, None)), last_MN)


def info_nce(a_MND: torch.Tensor, b_MND: torch.Tensor, *, temperature: float) -> torch.Tensor:
    """Returns the mean nats that it takes to find each state's partner, from either side, (M,).

    Args:
        a_MND: States in one language.
        b_MND: States of the same facts in the other.
        temperature: By which cosines are divided.
    """
    a_MND, b_MND = normalize(a_MND, dim=-1), normalize(b_MND, dim=-1)
    logits_MNN = a_MND @ b_MND.transpose(-1, -2) / temperature
    if logits_MNN.dtype != torch.float64:
        logits_MNN = logits_MNN.float()
    models, num_pairs, _ = logits_MNN.shape
    partner_MN = torch.arange(num_pairs, device=logits_MNN.device).repeat(models)

    def nats(from_MNN: torch.Tensor) -> torch.Tensor:
        flat = cross_entropy(from_MNN.flatten(0, 1), partner_MN, reduction="none")
        return flat.view(models, num_pairs).mean(1)

    return (nats(logits_MNN) + nats(logits_MNN.transpose(-1, -2))) / 2


def _padded(tokens_NT: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    room = ((0, 0), (0, length - tokens_NT.shape[1]))
    return np.pad(tokens_NT, room, constant_values=PAD)
