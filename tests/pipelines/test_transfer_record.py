"""The record of a whole study of data transfer: complete, and the same as its table of losses."""

import csv
from typing import Any

import pytest
from transfer_study_cases import DUTCH, GREEK, MIXED, SIZES

from lingraft.files import read_json
from lingraft.measurement import data_transfer, read_losses
from lingraft.study import Artifact, Plan, Store

KEYS = {
    "format",
    "question",
    "scale",
    "rule",
    "model",
    "names",
    "targets",
    "sources",
    "sizes",
    "losses",
    "transfers",
    "repairs",
    "texts",
    "tested_sources",
    "untested",
    "prediction_from_all",
    "units",
    "similarity",
    "contamination",
    "associations",
    "variance",
    "commutativity",
    "prediction",
    "failures",
    "cost",
}


@pytest.fixture(scope="session")
def record(transfer_study: tuple[Plan, Store, Artifact]) -> dict[str, Any]:
    return dict(read_json(transfer_study[2].path / "record.json"))


def test_the_record_is_complete(record: dict[str, Any]) -> None:
    assert set(record) >= KEYS
    assert record["format"] == "lingraft-transfer-1"
    assert (record["scale"], record["rule"]) == ("test", "log-log")
    assert record["model"]["size"] == "1m"
    assert record["model"]["num_parameters"] > 1e6
    assert record["sizes"] == list(SIZES)
    assert record["names"] == {
        DUTCH: "Dutch",
        GREEK: "Greek",
        "eng_Latn": "English",
        "shuffled": "shuffled",
        MIXED: MIXED,
    }
    assert record["sources"] == ["eng_Latn", "shuffled", MIXED]
    # Two targets: from scratch one size with two seeds and two with one, three sources at two.
    assert len(record["losses"]) == 2 * (2 + 1 + 1 + 3 * 2)
    assert len(record["transfers"]) == 2 * 3 * 2
    assert all(cell["interval"] is not None for cell in record["transfers"])
    assert all(0 < row["nats_per_byte"] < 10 for row in record["losses"])
    assert all(row["processed_bytes"] > 0 for row in record["losses"] if row["dataset_bytes"])
    assert {row["trunk"] for row in record["losses"] if row["init"] == MIXED} == {
        f"pretrained on {MIXED}"
    }


def test_the_record_tells_what_goes_with_transfer(record: dict[str, Any]) -> None:
    greek = record["units"][GREEK]
    assert 1.5 < greek["bytes_per_character"] < 2
    assert greek["byte_premium"]["value"] > 1.5
    assert greek["byte_premium"]["text"] == "valid.jsonl"
    assert len(record["similarity"]) == 2 * 3
    overlap = {
        (row["target"], row["source"]): row["script_overlap"] for row in record["similarity"]
    }
    assert overlap[DUTCH, "eng_Latn"] > 0.9 > overlap[GREEK, "eng_Latn"]
    # No control, and no language in itself.
    assert [(row["source"], row["target"]) for row in record["contamination"]] == [
        ("eng_Latn", DUTCH),
        ("eng_Latn", GREEK),
        (MIXED, GREEK),
    ]
    assert {row["data_finetuned_bytes"] for row in record["associations"]} == {200, None}
    known = [
        x
        for x in record["transfers"]
        if x["data_finetuned_bytes"] and not x["censored"] and x["source"] == "eng_Latn"
    ]
    assert record["tested_sources"] == ["eng_Latn"]
    assert record["variance"]["num_cells"] == len(known)
    assert len(known) > 1 or record["variance"]["reason"]
    assert record["prediction"]
    processed = sum(x["processed_bytes"] for x in record["losses"])
    assert record["cost"]["processed_bytes"] == processed
    # Every run reads all of its text once, and a quarter of that again, at two rates.
    text = sum(x["dataset_bytes"] for x in record["losses"])
    assert text < processed < record["cost"]["naive_bytes"] == text * 1 * 1.25 * 2


def test_the_table_of_losses_gives_the_same_transfers(
    transfer_study: tuple[Plan, Store, Artifact], record: dict[str, Any]
) -> None:
    losses = read_losses(transfer_study[2].path / "losses.csv")
    again = [x.to_record() for x in data_transfer(losses, seed=0).transfers]
    assert len(again) == len(record["transfers"])
    for ours, theirs in zip(again, record["transfers"], strict=True):
        for key in ("target", "source", "data_finetuned_bytes", "censored"):
            assert ours[key] == theirs[key]
        for key in ("data_effective_bytes", "data_transferred_bytes"):
            assert ours[key] == pytest.approx(theirs[key], rel=1e-6)


def test_every_run_tells_what_ended_it_and_its_text(
    transfer_study: tuple[Plan, Store, Artifact], record: dict[str, Any]
) -> None:
    with (transfer_study[2].path / "losses.csv").open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    keys = ("stopped", "num_bytes", "num_characters", "num_documents")
    for row, line in zip(record["losses"], lines, strict=True):
        assert [line[key] for key in keys] == [
            "" if row[key] is None else str(row[key]) for key in keys
        ]
        size = row["dataset_bytes"]
        assert (row["stopped"] is None) == (size == 0)
        assert size - 3 <= row["num_bytes"] <= size
        assert (row["num_documents"] > 0) == (size > 0)
        wide = 1.4 if row["target"] == GREEK else 1.0
        assert wide * row["num_characters"] <= row["num_bytes"]
    # One epoch is all that the settings allow.
    starved = [x for x in record["failures"] if x["name"] == "a starved from-scratch curve"]
    ended = [x for x in record["losses"] if x["init"] == "scratch" and x["stopped"] == "epochs"]
    assert bool(starved) == bool(ended)
    assert ended
    assert "2 runs on 200 bytes of nld_Latn" in starved[0]["evidence"]


def test_texts_stand_in_the_record_with_what_was_done_to_them(record: dict[str, Any]) -> None:
    found = [(text["name"], text["side"]) for text in record["texts"]]
    assert found == [
        ("eng_Latn", "source"),
        ("shuffled", "source"),
        (MIXED, "source"),
        (DUTCH, "target"),
        (GREEK, "target"),
    ]
    assert all({"removed", "repairs", "train_bytes"} <= text.keys() for text in record["texts"])


def test_the_report_is_written(transfer_study: tuple[Plan, Store, Artifact]) -> None:
    page = (transfer_study[2].path / "report.html").read_text(encoding="utf-8")
    assert page.lower().startswith("<!doctype html>")
    assert transfer_study[2].result["num_runs"] == 20
    assert transfer_study[2].result["num_cells"] == 12
