"""Each failure signature fires on the table that has its trouble, and on no sound one."""

import math

from lingraft.measurement import Loss, data_transfer
from lingraft.measurement.data_transfer import DataTransfer, Repair, Transfer
from lingraft.measurement.failure_signatures import failure_signatures

SIZES = (1_000, 10_000, 100_000)


def scratch(target="nl", *, bits=(3.0, 2.5, 2.0)):
    return [
        Loss(target, "scratch", size, x * math.log(2), seed)
        for size, x in zip(SIZES, bits, strict=True)
        for seed in ("0", "1")
    ]


def transfer(source="en", *, size=1_000, effective=5_000.0, censored=None, interval=(3e3, 5e3)):
    return Transfer("nl", source, size, effective, censored, interval, "log-log", {})


def signatures(losses, weighed, *, ended_by_epochs=(), languages=("en", "ru", "nl")):
    return failure_signatures(losses, weighed, ended_by_epochs=ended_by_epochs, languages=languages)


def found(losses=(), transfers=(), repairs=(), **settings):
    weighed = DataTransfer(tuple(transfers), tuple(repairs))
    return [
        (one.name, one.evidence) for one in signatures(losses or scratch(), weighed, **settings)
    ]


def test_a_sound_study_has_none():
    losses = [*scratch(), Loss("nl", "en", 1_000, 2.6 * math.log(2)), Loss("nl", "en", 0, 2.0)]
    assert signatures(losses, data_transfer(losses, seed=0)) == ()


def test_high_loss_in_all_languages():
    poor = scratch("nl", bits=(4.9, 4.5, 4.2)) + scratch("tr", bits=(4.6, 4.0, 3.6))
    name = "high loss in all languages"
    assert found(poor) == [(name, "best 3.60 bits per byte")]
    assert found(poor + scratch("el")) == []  # one language is learnt


def test_a_curve_that_does_not_fall():
    losses = [*scratch(bits=(3.0, 2.0, 2.2)), Loss("nl", "en", 1_000, 2.6 * math.log(2))]
    weighed = data_transfer(losses, seed=0)
    (one,) = signatures(losses, weighed)
    assert one.name == "a from-scratch curve that does not fall"
    assert one.evidence == weighed.repairs[0].describe()
    assert "10,000, 100,000 bytes" in one.evidence
    repairs = [Repair("nl", (1,)), Repair("tr", (2,))]
    assert len(found(repairs=repairs)) == 2


def test_sources_whose_intervals_do_not_touch():
    low, high = transfer("ru", interval=(0.0, 2e3)), transfer("en", interval=(3e3, 5e3))
    name = "transfer that differs between sources"
    assert found(transfers=[low, high]) == [(name, "nl at 1,000 bytes: ru under en")]
    assert found(transfers=[high, low]) == found(transfers=[low, high])
    touching = transfer("ru", interval=(0.0, 3e3))
    open_above = transfer("ru", interval=(0.0, None))
    unknown = transfer("ru", interval=None)
    elsewhere = transfer("ru", size=2_000, interval=(0.0, 2e3))
    for other in (touching, open_above, unknown, elsewhere):
        assert found(transfers=[other, high]) == []
    open_below = transfer("ru", interval=(None, 2e3))
    assert found(transfers=[open_below, high]) == [(name, "nl at 1,000 bytes: ru under en")]


def test_controls_and_the_target_itself_are_no_sources_that_differ():
    high, low = transfer("en", interval=(3e3, 5e3)), (0.0, 2e3)
    controls = [
        transfer(name, interval=low) for name in ("shuffled", "code", "en/mlp", "en+nl:0.01", "nl")
    ]
    assert found(transfers=[high, *controls]) == []
    assert len(found(transfers=[high, transfer("ru", interval=low)])) == 1


def test_runs_from_scratch_that_epochs_ended():
    losses = scratch()
    tuned = Loss("nl", "en", 1_000, 2.0, "0")
    at_one = found(losses, ended_by_epochs=[losses[0], losses[1], losses[2], tuned])
    assert at_one == [
        (
            "a starved from-scratch curve",
            "2 runs on 1,000 bytes of nl ended by the number of epochs; "
            "1 run on 10,000 bytes of nl ended by the number of epochs",
        )
    ]
    assert found(losses, ended_by_epochs=[tuned]) == []
    (one,) = signatures(losses, DataTransfer((), ()), ended_by_epochs=losses[:1])
    assert "raise max_epochs" in one.cause


def test_pretraining_that_costs_bytes():
    worse = transfer(size=10_000, effective=6_000.0, interval=(-8e3, -1e3))
    name = "pretraining that costs bytes"
    assert found(transfers=[worse]) == [(name, "en for nl at 10,000 bytes")]
    perhaps = transfer(size=10_000, effective=6_000.0, interval=(-8e3, 1e3))
    unsure = transfer(size=10_000, effective=6_000.0, interval=None)
    open_above = transfer(size=10_000, effective=6_000.0, interval=(-8e3, None))
    for other in (perhaps, unsure, open_above):
        assert found(transfers=[other]) == []


def test_cells_that_are_bounds():
    high = transfer(effective=100_000.0, censored="at_least", interval=(3e3, None))
    low = transfer("ru", effective=1_000.0, censored="at_most", interval=(None, 4e3))
    assert found(transfers=[high, low]) == [
        (
            "cells that are bounds",
            "en for nl at 1,000 bytes is better than every model from scratch; "
            "ru for nl at 1,000 bytes is worse than every model from scratch",
        )
    ]
    before_any_text = transfer(size=0, effective=1_000.0, censored="at_most", interval=None)
    assert found(transfers=[before_any_text]) == []


def test_a_signature_is_told_with_its_cause():
    (one,) = signatures(scratch(bits=(5.0, 4.5, 4.0)), DataTransfer((), ()))
    assert one.to_record() == {
        "name": "high loss in all languages",
        "evidence": "best 4.00 bits per byte",
        "cause": "tokenization or capacity: too small a model, too few steps, or text that is no "
        "text",
    }
