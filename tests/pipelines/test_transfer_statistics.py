"""Statistics over sources: plain languages only, every covariate, a reason for what is unknown."""

from lingraft.languages import Language
from lingraft.measurement.data_transfer import Transfer
from lingraft.pipelines.transfer_inputs import Source
from lingraft.pipelines.transfer_likeness import COVARIATES
from lingraft.pipelines.transfer_statistics import plain_languages, transfer_statistics

NAMES = ("en", "ru", "nl", "shuffled", "code", "en/mlp", "en/frozen:mlp", "en+nl:0.01")
SOURCES = [Source.parse(name, first=Language.parse("en")) for name in NAMES]
ENGLISH, RUSSIAN, DUTCH = "eng_Latn", "rus_Cyrl", "nld_Latn"
TARGETS = (DUTCH, "tur_Latn", "ell_Grek", "eus_Latn", "fin_Latn")
SIZE = 1_000
WORTH = {ENGLISH: 4.0, RUSSIAN: 2.0, DUTCH: 3.0}


def transfer(target, source, *, size=SIZE, worth=None):
    level = 1_000.0 * (2 + TARGETS.index(target))
    value = level * WORTH.get(source, 50.0) if worth is None else worth
    return Transfer(target, source, size, size + value, None, None, "log-log", {})


def likeness_row(target, source, **changes):
    number = WORTH.get(source, 9.0) + 0.1 * TARGETS.index(target)
    values = dict.fromkeys(COVARIATES, number) | changes
    reasons = changes.pop("reasons", {})
    values.pop("reasons", None)
    return {
        **{name: values[name] for name in COVARIATES if values[name] != "absent"},
        "target": target,
        "source": source,
        "reasons": {name: "unknown" for name, x in values.items() if x in (None, "absent")}
        | reasons,
    }


def statistics_of(transfers, sources, alike):
    nominal = {(x.target, x.data_finetuned_bytes): x.data_finetuned_bytes for x in transfers}
    return transfer_statistics(transfers, sources, alike, 0, nominal=nominal)


def study(**changes):
    pairs = [(target, source.name) for target in TARGETS for source in SOURCES]
    transfers = [transfer(*pair) for pair in pairs]
    alike = [likeness_row(*pair, **changes) for pair in pairs]
    return statistics_of(transfers, SOURCES, alike)


def rows_of(found, name):
    return [row for row in found["associations"] if row["covariate"] == name]


def test_plain_languages_are_no_controls_mixtures_or_parts():
    assert plain_languages(SOURCES) == [ENGLISH, RUSSIAN, DUTCH]


def test_statistics_leave_controls_and_the_target_itself_out():
    found = study()
    assert found["tested_sources"] == [ENGLISH, RUSSIAN, DUTCH]
    # Three languages for five targets, less Dutch for itself.
    assert found["variance"]["num_cells"] == 14
    assert {row["num_cells"] for row in found["associations"]} == {14}
    assert found["prediction"]["num_cells"] == 14
    only = [source for source in SOURCES if source.name in WORTH]
    pairs = [(t, s.name) for t in TARGETS for s in only if s.name != t]
    alone = statistics_of(
        [transfer(*pair) for pair in pairs], only, [likeness_row(*pair) for pair in pairs]
    )
    assert found == alone


def test_every_covariate_is_tested_within_each_size():
    found = study()
    assert found["untested"] == {}
    for name in COVARIATES:
        within, pooled = rows_of(found, name)
        assert (within["data_finetuned_bytes"], pooled["data_finetuned_bytes"]) == (SIZE, None)
        # English is worth most to every target, then Dutch, as the covariate has it.
        assert within["rho"] > 0.9
        assert within["p"] < 0.01
        assert within["reason"] == ""
        assert pooled["reason"].startswith("pooled over sizes")


def test_sizes_of_equal_content_are_one_size():
    pairs = [(target, source) for target in TARGETS for source in WORTH if source != target]
    sizes = {target: SIZE + 10 * TARGETS.index(target) for target in TARGETS}
    transfers = [transfer(*pair, size=sizes[pair[0]]) for pair in pairs]
    alike = [likeness_row(*pair) for pair in pairs]
    nominal = dict.fromkeys(sizes.items(), SIZE)
    found = transfer_statistics(transfers, SOURCES, alike, 0, nominal=nominal)
    for name in COVARIATES:
        within, _ = rows_of(found, name)
        assert (within["data_finetuned_bytes"], within["num_cells"]) == (SIZE, 14)
    assert found["variance"]["num_cells"] == 14
    apart = statistics_of(transfers, SOURCES, alike)
    assert len(rows_of(apart, "script_overlap")) == len(TARGETS) + 1


def test_unknown_covariates_are_no_numbers_and_have_their_reasons():
    pairs = [(t, s) for t in TARGETS for s in (ENGLISH, RUSSIAN) if s != t]
    transfers = [transfer(*pair) for pair in pairs]
    under = {"contamination": None, "reasons": {"contamination": "under the detection limit"}}
    alike = [
        likeness_row(t, s, **(under if t != DUTCH else {}), syntactic="absent") for t, s in pairs
    ]
    found = statistics_of(transfers, SOURCES, alike)
    within = rows_of(found, "contamination")[0]
    assert (within["rho"], within["p"], within["num_cells"]) == (None, None, 2)
    assert within["reason"] == (
        "2 cells in targets of two or more, at least 4 are needed; "
        "unknown in 8 of 10 cells (8: under the detection limit)"
    )
    assert rows_of(found, "syntactic") == []
    assert found["untested"] == {"syntactic": "unknown in 10 of 10 cells (10: unknown)"}
    told = found["prediction_from_all"]["left out, unknown in some cells"]
    assert told == "syntactic, contamination"


def test_predictions_take_covariates_in_their_order_as_many_as_cells_allow():
    found = study()
    assert found["prediction"]["features"].split(", ") == list(COVARIATES[:4])  # 14 cells
    assert found["prediction"]["left out, too few cells"] == "byte_premium"
    assert found["prediction_from_all"]["features"] == found["prediction"]["features"]
    assert study(script_overlap=None)["prediction"]["features"].split(", ") == list(COVARIATES[1:5])
    nothing = study(**dict.fromkeys(COVARIATES))
    assert nothing["prediction"]["reason"] == "no covariate is known in all cells"


def test_too_few_cells_are_told():
    pairs = [(target, ENGLISH) for target in TARGETS[:2]]
    found = statistics_of(
        [transfer(*pair) for pair in pairs], SOURCES, [likeness_row(*pair) for pair in pairs]
    )
    assert "expected at least 10 measured cells of 3 targets" in found["prediction"]["reason"]


def test_controls_alone_give_no_statistics_but_reasons():
    pairs = [(target, "shuffled") for target in TARGETS]
    zero_shot = [transfer(target, ENGLISH, size=0) for target in TARGETS]
    alike = [likeness_row(*pair) for pair in pairs]
    found = statistics_of([transfer(*pair) for pair in pairs] + zero_shot, SOURCES, alike)
    assert found["variance"] == {
        "target": None,
        "source": None,
        "num_cells": 0,
        "data_finetuned_bytes": None,
        "reason": "fewer than two cells",
    }
    assert found["commutativity"] == []
    assert [row["num_cells"] for row in found["associations"]] == [0] * len(COVARIATES)
