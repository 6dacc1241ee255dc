"""What a graft was worth in bytes: jobs, figures, and settings that are refused."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

import lingraft
from lingraft.errors import InputError
from lingraft.files import read_json, write_json
from lingraft.measurement import Score
from lingraft.measurement.data_transfer import Transfer
from lingraft.pipelines.settings import ArmSettings
from lingraft.pipelines.weighing import (
    WeighSettings,
    describe,
    nats_per_byte,
    random_model,
    weigh_graft,
    weigh_sizes,
)
from lingraft.runtime import Runtime
from lingraft.tokenizer import Tokenizer
from lingraft.training import Stage
from lingraft.training.best_loss import BestLossSettings
from lingraft.units import Budget, format_bytes

CPU = Runtime(num_threads=1, device="cpu", precision="float32")
ARM = ArmSettings(
    budget=Budget(num_bytes=2_000),
    batch_bytes=1_000,
    learning_rates=(3e-3,),
    stages=(Stage("all", 1.0),),
    trial_bytes=1_000,
    num_choice_rows=2,
    num_curve_rows=2,
    num_evaluations=1,
)
WEIGH = WeighSettings(
    (1_000, 2_000, 4_000),
    batch_bytes=500,
    learning_rates=(1e-3, 3e-3),
    best_loss=BestLossSettings(evaluation_bytes=1_000, patience=1, max_epochs=2),
    num_valid_rows=3,
)


@pytest.fixture(scope="module")
def weighed(
    tiny_model: Path, greek: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Any:
    return lingraft.adapt(
        tiny_model,
        to="el",
        text=greek["text"],
        pairs=greek["pairs"],
        out=tmp_path_factory.mktemp("weighed") / "out",
        controls=False,
        settings=ARM,
        weigh=WEIGH,
        runtime=CPU,
    )


def test_the_graft_is_weighed_on_the_from_scratch_curve(weighed: Any) -> None:
    weight = weighed.record["weight"]
    transfer = weight["transfer"]
    scratch = [loss for loss in weight["losses"] if loss["init"] == "scratch"]
    assert sorted((loss["dataset_bytes"], loss["seed"]) for loss in scratch) == [
        (1_000, "0"),
        (1_000, "1"),
        (1_000, "2"),
        (2_000, "0"),
        (4_000, "0"),
    ]
    # Whole documents: a little less than the budget.
    trained = weighed.record["budget_bytes"]
    assert 1_000 < transfer["data_finetuned_bytes"] == trained <= 2_000
    assert " Its vocabulary and rows were made with " in weight["described"]
    assert transfer["interval"] is not None
    [graft] = [loss for loss in weight["losses"] if loss["init"] == "graft"]
    [row] = [row for row in weighed.record["table"] if row["arm"] == "trans_tokenize"]
    assert graft["bits_per_byte"] == pytest.approx(row["after_bytes"]["value"])
    # Random weights learn from the text: the curve is one of this text, not of noise.
    uniform = math.log2(len(Tokenizer.load(weighed.model_path)))
    assert all(loss["bits_per_byte"] < uniform for loss in scratch)
    assert "What the graft was worth" in weighed.report_path.read_text(encoding="utf-8")
    assert weight["described"] in weighed.report_path.read_text(encoding="utf-8")


def test_every_size_chooses_its_own_rate(weighed: Any) -> None:
    store = weighed.model_path / ".lingraft" / "store"
    found = [read_json(folder / "manifest.json") for folder in store.glob("scratch-*")]
    told = {(x["arguments"]["num_bytes"], x["arguments"]["seed"]): x for x in found}
    assert set(told) == {(1_000, 0), (1_000, 1), (1_000, 2), (2_000, 0), (4_000, 0)}
    for (num_bytes, seed), manifest in told.items():
        tuned = manifest["arguments"]["tuned"]
        if seed:  # takes the rate of the first run on as much text
            [theirs] = store.glob(f"*-{tuned['artifact'][:16]}")
            assert read_json(theirs / "manifest.json")["arguments"]["num_bytes"] == num_bytes
        else:
            assert tuned is None


@pytest.mark.parametrize("trained", [2_000, 10**9])
@pytest.mark.parametrize("own_vocabulary", [True, False])
def test_the_graft_stands_beside_the_text_that_it_was_trained_on(
    corpus: Path, tmp_path: Path, trained: int, own_vocabulary: bool
) -> None:
    """Also where the budget was in steps or seconds, and each byte once."""
    runs = []
    for num_bytes, seed, nats in ((1_000, 0, 2.0), (1_000, 1, 2.1), (9_000, 0, 1.5), (10**6, 0, 1)):
        folder = tmp_path / f"scratch-{num_bytes}-{seed}"
        write_json(folder / "result.json", {"nats_per_byte": nats})
        runs.append({"num_bytes": num_bytes, "seed": seed, "run": folder})
    score = Score("bits_per_byte", "bits/byte", 1.2, 1.0)
    arm = {"after": score.to_record(), "trained_bytes": trained}
    write_json(tmp_path / "arm" / "scores.json", arm)
    weigh_graft(
        runs=runs,
        arm=tmp_path / "arm",
        corpus=corpus,
        max_epochs=2,
        own_vocabulary=own_vocabulary,
        source_lang="eng_Latn",
        target_lang="ell_Grek",
        seed=0,
        out=tmp_path,
    )
    weight = read_json(tmp_path / "weight.json")
    text_bytes = read_json(corpus / "facts.json")["train_bytes"]
    assert weight["transfer"]["data_finetuned_bytes"] == min(trained, text_bytes)
    # The pairs translate the same documents: they are no more text.
    made = "vocabulary and rows" if own_vocabulary else "rows"
    origin = f" Its {made} were made with {format_bytes(text_bytes)} of Greek text."
    assert (origin in weight["described"]) == (trained < text_bytes)


def test_random_weights_have_the_graft_s_shape_and_nothing_of_its_values(
    weighed: Any, tiny_model: Path
) -> None:
    store = weighed.model_path / ".lingraft" / "store"
    [rows] = store.glob("rows-trans_tokenize-*")
    target = Tokenizer.load(weighed.model_path)
    one, again, other = (random_model(tiny_model, target, rows, seed=seed) for seed in (0, 0, 1))
    assert one.get_input_embeddings().weight.shape[0] == len(target)
    same = [torch.equal(a, b) for a, b in zip(one.parameters(), again.parameters(), strict=True)]
    assert all(same)
    matrices = zip(one.parameters(), other.parameters(), strict=True)
    assert not any(torch.equal(a, b) for a, b in matrices if a.dim() > 1)


@pytest.mark.parametrize(
    ("trained", "text", "sizes"),
    [
        (10_000, 1_000_000, (10_000, 100_000, 1_000_000)),
        (900_000, 900_000, (100_000, 300_000, 900_000)),
    ],
)
def test_sizes_go_up_to_all_the_text(trained: int, text: int, sizes: tuple[int, ...]) -> None:
    assert weigh_sizes(trained, text) == sizes


@pytest.mark.parametrize("sizes", [(), (1_000, 2_000), (3_000, 2_000, 1_000), (0, 1, 2)])
def test_sizes_that_make_no_curve_are_refused(sizes: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="weigh sizes: expected at least 3 rising sizes") as caught:
        WeighSettings(sizes)
    assert caught.value.got == (", ".join(map(str, sizes)) or "none")


def transfer(**changes: Any) -> Transfer:
    settings: dict[str, Any] = {
        "target": "ell_Grek",
        "source": "graft",
        "data_finetuned_bytes": 20_000,
        "data_effective_bytes": 120_000.0,
        "censored": None,
        "interval": (80_000.0, None),
        "rule": "log-log",
        "signature": {},
    }
    return Transfer(**(settings | changes))


def test_bounds_are_told_as_bounds() -> None:
    assert describe(transfer()) == (
        "The graft was worth 100 kB of Greek text beside the 20 kB that it was trained on (95 % "
        "interval 80 kB to beyond the sizes tried)."
    )
    bound = describe(transfer(censored="at_least", interval=None, reason="one seed"))
    assert bound.startswith("The graft was worth at least 100 kB of Greek text")
    assert bound.endswith("; no interval: one seed.")
    assert "at most −15 kB" in describe(transfer(censored="at_most", data_effective_bytes=5_000.0))


def test_a_vocabulary_that_loses_bytes_is_refused() -> None:
    lost = Score("bits_per_byte", "bits/byte", 1.0, 2.0, reason="unknown tokens")
    with pytest.raises(InputError, match="weighing: expected a vocabulary that spells all"):
        nats_per_byte(lost)
    assert nats_per_byte(Score("bits_per_byte", "bits/byte", 1.0, 2.0)) == 0.5
