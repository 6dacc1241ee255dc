"""What the texts of a data transfer study say of its languages: units, likeness, contamination."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lingraft.corpus import read_pairs
from lingraft.corpus.contamination import contamination
from lingraft.corpus.line_languages import (
    Identifier,
    LineLabels,
    installed_identifier,
    label_lines,
)
from lingraft.corpus.similarity import (
    TYPOLOGICAL_DISTANCES,
    Similarity,
    byte_premium,
    similarity,
)
from lingraft.files import read_json
from lingraft.languages import Language
from lingraft.pipelines.transfer_inputs import Source
from lingraft.pipelines.transfer_texts import read_part

BYTE_COVARIATES = (
    "script_overlap",
    "unigram_divergence_bits",
    "bigram_divergence_bits",
    "bytes_per_character_difference",
    "byte_premium",
)
"""What bytes alone say of a pair of languages; the byte premium needs parallel text."""

CONTAMINATION = "contamination"
COVARIATES = (*BYTE_COVARIATES, *TYPOLOGICAL_DISTANCES, CONTAMINATION)
"""Numbers of each pair of languages that transfer may go with."""

_MAX_LINES = 1_000
_HELD_OUT = ("valid", "test")


def language_units(
    targets: Sequence[str],
    texts: Mapping[str, Path],
    pairs: Mapping[str, Path],
    reference_lang: str,
    seed: int,
) -> dict[str, dict[str, Any]]:
    """Returns bytes per character and, where there are pairs, the byte premium of each target.

    Args:
        targets: Codes of the target languages.
        texts: Folders of `study_text` by code.
        pairs: Files of parallel text by code.
        reference_lang: Code of the pairs' other language.
        seed: Of the premium's interval.
    """
    units = {}
    for code in targets:
        facts, found = read_json(texts[code] / "facts.json"), None
        if code in pairs:
            parallel = read_pairs(
                pairs[code],
                source_lang=Language.parse(reference_lang),
                target_lang=Language.parse(code),
            )
            premium = byte_premium(parallel, text=pairs[code].name, seed=seed)
            interval = premium.interval
            found = {
                "value": premium.value,
                "interval": None if interval is None else list(interval),
                "text": premium.text,
            }
        units[code] = {
            "bytes_per_character": facts["train_bytes"] / facts["train_characters"],
            "byte_premium": found,
        }
    return units


def likeness(
    sources: Sequence[Source],
    targets: Sequence[str],
    source_texts: Mapping[str, Path],
    target_texts: Mapping[str, Path],
    *,
    pairs: Mapping[str, Path],
    reference_lang: str,
    units: Mapping[str, Mapping[str, Any]],
    contaminations: Sequence[Mapping[str, Any]],
    seed: int,
) -> list[dict[str, Any]]:
    """Returns the covariates of each pair, from equal amounts of held-out text.

    Divergences of small samples are larger, so that only equal amounts can be compared.

    Args:
        sources: What models were pretrained on.
        targets: Codes of the target languages.
        source_texts: Folders of `study_text` by the source's name.
        target_texts: The same by the target's code.
        pairs: Files of parallel text by code.
        reference_lang: Code of the pairs' other language.
        units: Of `language_units`.
        contaminations: Of `target_shares`.
        seed: For `similarity`.

    Returns:
        A row for each pair, with those of `COVARIATES` that have a value in any; where one has
        none, ``"reasons"`` says why.
    """
    texts = {code: pairs[code] for code in pairs if code in units}
    premiums = {code: units[code]["byte_premium"]["value"] for code in texts}
    shares = {(row["target"], row["source"]): row for row in contaminations}
    found = []
    for code in targets:
        target = read_part(target_texts[code], "test", Language.parse(code))
        for source in sources:
            text = read_part(source_texts[source.name], "test", Language.parse(source.lang))
            alike = similarity(text, target, seed=seed)
            measured = {name: getattr(alike, name) for name in BYTE_COVARIATES[:3]}
            values: dict[str, tuple[float | None, str]] = {
                name: (value, "a side has no text to measure it on")
                for name, value in measured.items()
            }
            values["bytes_per_character_difference"] = _difference(alike)
            values["byte_premium"] = _premium(source.lang, code, reference_lang, premiums, texts)
            for name in TYPOLOGICAL_DISTANCES:
                values[name] = (alike.typology or {}).get(name), alike.typology_reason
            values[CONTAMINATION] = _detected(shares.get((code, source.name)))
            found.append(
                {
                    "target": code,
                    "source": source.name,
                    **{name: value for name, (value, _) in values.items()},
                    "reasons": {
                        name: why for name, (value, why) in values.items() if value is None
                    },
                }
            )
    unknown = {name for name in COVARIATES if all(row[name] is None for row in found)}
    return [{key: row[key] for key in row if key not in unknown} for row in found]


def target_shares(
    sources: Sequence[Source],
    targets: Sequence[str],
    source_texts: Mapping[str, Path],
    target_texts: Mapping[str, Path],
    seed: int,
) -> list[dict[str, Any]]:
    """Returns the share of each source's lines in each target language.

    Controls are left out, for they are no text of a language; held-out text is the clean one.
    """
    identifier = installed_identifier()

    def labels(text: Path, parts: Sequence[str], code: str) -> LineLabels:
        return _labels(text, parts, code, identifier, seed)

    found = []
    clean_targets = {code: labels(target_texts[code], _HELD_OUT, code) for code in targets}
    for source in sources:
        if source.control is not None:
            continue
        lines = labels(source_texts[source.name], ("train",), source.lang)
        clean = labels(source_texts[source.name], _HELD_OUT, source.lang)
        for code in targets:
            if code == source.lang:
                continue
            share = contamination(
                lines,
                Language.parse(code),
                clean=clean,
                clean_target=clean_targets[code],
                seed=seed,
            )
            found.append(
                {
                    "target": code,
                    "source": source.name,
                    "described": share.describe(),
                    "amount": share.amount,
                    "share": share.share,
                    "limit": share.detection_limit,
                    "is_detected": share.is_detected,
                    "identifier": share.identifier,
                    "reason": share.reason,
                }
            )
    return found


def _difference(alike: Similarity) -> tuple[float | None, str]:
    source, target = alike.source_bytes_per_character, alike.target_bytes_per_character
    if source is None or target is None:
        return None, "a side has no text to measure it on"
    return abs(source - target), ""


def _premium(
    source: str,
    target: str,
    reference: str,
    premiums: Mapping[str, float | None],
    texts: Mapping[str, Path],
) -> tuple[float | None, str]:
    """Bytes of the target for a byte of the source, by what each takes for the reference."""
    ends: list[float] = []
    for code in (target, source):
        value = 1.0 if code == reference else premiums.get(code)
        if value is None:
            return None, f"no byte premium of {code}"
        ends.append(value)
    # Premiums of different texts cannot be compared.
    if len({texts[code] for code in (target, source) if code != reference}) > 1:
        return None, f"the byte premiums of {target} and {source} are of different texts"
    return ends[0] / ends[1], ""


def _detected(share: Mapping[str, Any] | None) -> tuple[float | None, str]:
    """A share that was told from none; a bound is no number that could be ranked."""
    if share is None:
        return None, "not measured in a control or in the target itself"
    if share["share"] is None:
        return None, share["reason"]
    if not share["is_detected"]:
        return None, f"under the detection limit, {share['amount']}"
    return share["share"], ""


def _labels(
    text: Path, parts: Sequence[str], code: str, identifier: Identifier, seed: int
) -> LineLabels:
    read = [read_part(text, part, Language.parse(code)) for part in parts]
    # `study_text` has seen to it that parts share no text; users' ids may be unique in a file only.
    named = tuple(
        replace(document, id=f"{part}/{document.id}")
        for part, documents in zip(parts, read, strict=True)
        for document in documents
    )
    return label_lines(
        replace(read[0], records=named), seed=seed, max_lines=_MAX_LINES, identifier=identifier
    )
