"""What a study of data transfer compares: texts, sources, targets, sizes and seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lingraft.errors import InputError
from lingraft.languages import Language
from lingraft.pipelines.transfer_arms import BYTES, Arm
from lingraft.pipelines.transfer_texts import CONTROLS, Control

_FROZEN = "frozen:"


@dataclass(frozen=True)
class TextFiles:
    """One language's text.

    Attributes:
        train: Files of documents.
        valid: File of held-out documents for choices.
        test: File of held-out documents for losses.
    """

    train: Sequence[Path]
    valid: Path
    test: Path


@dataclass(frozen=True)
class HubText:
    """One language's text on a hub.

    Attributes:
        name: Of the data set.
        config: Its subset.
        num_bytes: Training text to fetch.
    """

    name: str
    config: str | None
    num_bytes: int


@dataclass(frozen=True)
class Source:
    """What a model is pretrained on.

    Attributes:
        name: How tables call it.
        lang: Code of the language of its text.
        control: See `study_text`.
        injected_lang: Language of the text that is mixed in, or None.
        injected_share: Share of the lines that it replaces.
        reset: Part of the pretrained model that starts from random weights again, see
            `model.parts`, or None.
        frozen: Part that stays as it is while the others are trained on the target, or None.
    """

    name: str
    lang: str
    control: Control | None = None
    injected_lang: str | None = None
    injected_share: float = 0.0
    reset: str | None = None
    frozen: str | None = None

    @property
    def whole(self) -> "Source":
        """The source with no part drawn anew or frozen, by any name."""
        return replace(self, name="", reset=None, frozen=None)

    @classmethod
    def parse(cls, text: str, *, first: Language) -> "Source":
        """Returns what ``en``, ``shuffled``, ``en/mlp`` or ``en+nl:0.01`` stand for.

        Args:
            text: A language; a control, made from text of the first source; either of them
                without a part of the model, as ``en/mlp``, or with a part that the target does
                not change, as ``en/frozen:mlp``; or a language with a share of another's lines.
            first: The first source.

        Raises:
            InputError: A share that is not in (0, 1).
        """
        for control in CONTROLS:
            if text == control:
                return cls(control, str(first), control)
        whole, slash, part = text.partition("/")
        if slash:
            source = replace(cls.parse(whole, first=first), name=text)
            if part.startswith(_FROZEN):
                return replace(source, frozen=part.removeprefix(_FROZEN))
            return replace(source, reset=part)
        name, plus, mixed = text.partition("+")
        lang = str(Language.parse(name))
        if not plus:
            return cls(lang, lang)
        other, _, share = mixed.partition(":")
        try:
            value = float(share)
        except ValueError:
            value = 0.0
        if not 0.0 < value < 1.0:
            raise InputError(
                expected="a share of lines in (0, 1), such as en+nl:0.01", got=text, where="sources"
            )
        into = str(Language.parse(other))
        return cls(f"{lang}+{value:.2%} {into}", lang, None, into, value)


@dataclass(frozen=True)
class TransferInputs:
    """What the study compares.

    Attributes:
        sources: What models are pretrained on.
        targets: Codes of the target languages.
        texts: Files by code of the language.
        pairs: Files of parallel text by code of the target, for the byte premium.
        reference_lang: Code of the language on the pairs' other side.
        size: Of the byte model.
        scratch_sizes: Bytes of target text that random weights are trained on.
        finetuned_sizes: Bytes that pretrained weights are trained on; 0 for the zero-shot point.
        source_bytes: Text of a pretraining.
        source_epochs: Most often that a pretraining reads it.
        source_share: Share of the pages on the source side.
        held_out_bytes: Valid and test text, each.
        scratch_seeds: Seeds of the runs from random weights.
        most_seeded_bytes: Larger sizes from scratch have the first seed only, since scatter is
            pooled over sizes and costs least at the small ones.
        finetuned_seeds: Seeds of the runs from pretrained weights: of the choice and order of
            target text. One pretrained model is behind all of them, which intervals know.
        own_pretraining: Whether each of those seeds has a pretraining of its own instead, with
            other weights at the start and another choice and order of source text.
        one_pass: Whether text is read once, so that all sizes of a seed share a trunk, instead of
            each being trained to its best.
        content_factors: Bytes of each target that say as much as a byte of the reference
            language: its `finetuned_sizes` are multiplied by them. None for equal bytes.
        rule: How curves are read, see `data_transfer`.
        scale: Name of the scale.
        seed: Of texts, pretraining and intervals.
        arm: What text is cut into, and what runs may cost.
    """

    sources: Sequence[Source]
    targets: Sequence[str]
    texts: Mapping[str, TextFiles | HubText]
    pairs: Mapping[str, Path]
    reference_lang: str
    size: str
    scratch_sizes: Sequence[int]
    finetuned_sizes: Sequence[int]
    source_bytes: int
    source_epochs: float
    source_share: float
    held_out_bytes: int
    scratch_seeds: Sequence[int]
    most_seeded_bytes: int
    finetuned_seeds: Sequence[int]
    rule: str
    scale: str
    seed: int
    one_pass: bool = False
    own_pretraining: bool = False
    content_factors: Mapping[str, float] = field(default_factory=dict)
    arm: Arm = BYTES
