"""The store trusts only what is done and whole, and touches only what is its own."""

import json
import logging
import shutil

import pytest
import study_functions as functions

from lingraft.errors import StoreError
from lingraft.study import Plan, Store, job, run


def built(store, **arguments):
    made = job(functions.world, **arguments)
    run(Plan([made]), store=store)
    return made, store.find(made)


def test_a_folder_that_is_not_ours_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(StoreError) as caught:
        Store(tmp_path)
    assert caught.value.got == "a folder that is not ours, with thesis.tex in it"
    assert caught.value.where == str(tmp_path)
    with pytest.raises(StoreError, match="got Not a directory"):
        Store(tmp_path / "thesis.tex")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_folder_that_became_somebody_elses_is_refused(store):
    store.root.mkdir()
    (store.root / "thesis.tex").write_text("x")
    with pytest.raises(StoreError, match=r"thesis\.tex"):
        run(Plan([job(functions.world, seed=1)]), store=store)


def test_a_store_of_another_format_is_refused(store):
    store.prepare()
    (store.root / ".lingraft-store").write_text('{"format": 9}')
    with pytest.raises(StoreError) as caught:
        Store(store.root)
    assert (caught.value.expected, caught.value.got) == ("a store of format 1", "{'format': 9}")


def test_looking_makes_no_folder(store):
    assert store.find(job(functions.world, seed=1)) is None
    assert store.prune() == []
    assert not store.root.exists()
    store.root.mkdir()
    (store.root / "..lingraft-store.abcdefgh.tmp").touch()  # another process is making the store
    Store(store.root).prepare()


def test_without_done_nothing_is_trusted(store, calls, caplog):
    made, artifact = built(store, seed=1)
    (artifact.path / "DONE").unlink()
    assert store.find(made) is None
    assert caplog.text == ""  # an interruption is no damage
    run(Plan([made]), store=store)
    assert store.find(made) == artifact
    assert calls == ["world 1", "world 1"]


def test_an_artifact_is_found_under_its_old_name(store, calls):
    _, artifact = built(store, seed=1)
    renamed = job(functions.world, name="other", seed=1)
    assert run(Plan([renamed]), store=store) == {"other": artifact}
    assert calls == ["world 1"]


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_flipped_bit_is_found_by_verify_and_built_again(store, caplog):
    made, artifact = built(store, seed=1)
    data = artifact.path / "numbers" / "all.txt"
    assert store.verify(artifact) == ()
    flip(data)
    assert store.find(made) is not None
    (problem,) = store.verify(artifact)
    assert problem.startswith("numbers/all.txt: sha256 ")
    assert f"moved to {store.root / 'damaged'}" in caplog.text
    assert store.find(made) is None
    again = run(Plan([made]), store=store)["world"]
    assert store.verify(again) == ()
    assert data.read_text() == "1 2 3 4"
    flip(data)
    assert sorted(path.name for path in (store.root / "damaged").iterdir()) == [f"{made.folder}.1"]
    run(Plan([made]), store=store, verify=True)
    assert data.read_text() == "1 2 3 4"
    assert len(list((store.root / "damaged").iterdir())) == 2


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda p: (p / "numbers" / "all.txt").write_text("1"), "file of 7 bytes, got 1 bytes"),
        (lambda p: (p / "numbers" / "all.txt").unlink(), "file of 7 bytes, got no file"),
        (lambda p: flip(p / "manifest.json"), ""),
        (lambda p: (p / "manifest.json").unlink(), "readable JSON file"),
        (lambda p: (p / "DONE").write_text(""), "readable JSON file"),
        (lambda p: (p / "DONE").write_text("{}"), "manifest of"),
        (lambda p: (p / "DONE").write_text("[1]"), "that DONE names, got another one"),
    ],
)
def test_other_damage_is_told_and_built_again(store, caplog, damage, message):
    made, artifact = built(store, seed=1)
    damage(artifact.path)
    with caplog.at_level(logging.WARNING):
        assert store.find(made) is None
    assert message in caplog.text
    assert "will be built again" in caplog.text
    assert store.verify(run(Plan([made]), store=store)["world"]) == ()


def test_verify_tells_what_is_missing(store):
    _, artifact = built(store, seed=1)
    (artifact.path / "numbers" / "all.txt").unlink()
    assert store.verify(artifact)[0] == "numbers/all.txt: missing"


def test_another_jobs_folder_is_not_trusted(store, caplog):
    _, artifact = built(store, seed=1)
    other = job(functions.world, seed=2)
    shutil.copytree(artifact.path, store.root / other.folder)
    assert store.find(other) is None
    assert "that DONE names" in caplog.text
    result = run(Plan([other]), store=store)["world"]
    assert result.result == {"sum": 14}


def test_run_facts_cannot_damage(store):
    made, artifact = built(store, seed=1)
    (artifact.path / "run.json").write_text("{}")
    assert store.verify(store.find(made)) == ()


def test_prune_removes_what_no_plan_needs(store):
    data = job(functions.world, seed=1)
    run(Plan([job(functions.train, data=data)], name="first"), store=store)
    run(Plan([job(functions.world, seed=2)], name="second"), store=store)
    second = store.find(job(functions.world, seed=2))
    assert store.prune() == []
    assert store.roots()["second"] == {"world": second.path.name}
    store.forget("second")
    assert store.prune(dry_run=True) == [second.path]
    assert store.find(job(functions.world, seed=2)) == second
    assert store.prune(keep=[Plan([job(functions.world, seed=2)])]) == []
    assert store.prune() == [second.path]
    assert not second.path.exists()
    assert store.find(data) is not None
    # The next run of a plan's name lets go of what only the last one needed.
    run(Plan([data], name="first"), store=store)
    assert [path.name.split("-")[0] for path in store.prune()] == ["train"]
    assert store.prune() == []


def test_prune_removes_partial_and_damaged_folders(store):
    stopped = job(functions.climb, steps=3, stop_at=2)
    with pytest.raises(KeyboardInterrupt):
        run(Plan([stopped], name="climb"), store=store)
    _, artifact = built(store, seed=1)
    moved = store.set_aside(artifact.path)
    assert store.prune() == [moved]
    store.forget("climb")
    assert store.prune() == [store.root / "partial" / stopped.folder]
    assert not (store.root / "partial" / stopped.folder).exists()


def test_prune_leaves_what_is_not_ours_or_in_use(store):
    made, artifact = built(store, seed=1)
    store.forget(next(iter(store.roots())))
    fingerprint = made.fingerprint[:16]
    foreign = store.root / f"thesis-{fingerprint[::-1]}"
    foreign.mkdir()
    (foreign / "text.tex").write_text("x")
    copied = store.root / "thesis-final"
    copied.mkdir()
    (copied / "manifest.json").write_text("{}")
    link = store.root / f"link-{fingerprint[::-1]}"
    link.symlink_to(artifact.path)
    with store.lock(fingerprint):
        assert store.prune() == []
    assert store.prune() == [artifact.path]
    assert (foreign / "text.tex").exists()
    assert copied.exists()
    assert link.is_symlink()


def test_a_stopped_prune_can_be_taken_up(store, monkeypatch):
    made, artifact = built(store, seed=1)
    store.forget(next(iter(store.roots())))

    def fail(path):
        raise OSError(5, "I/O")

    listed = type(store.root).iterdir
    # The data folder comes first, and cannot be removed.
    monkeypatch.setattr(
        type(store.root),
        "iterdir",
        lambda path: iter(sorted(listed(path), key=lambda x: x.is_file())),
    )
    monkeypatch.setattr(shutil, "rmtree", fail)
    with pytest.raises(StoreError, match="got I/O"):
        store.prune()
    assert not (artifact.path / "DONE").exists()
    assert store.find(made) is None
    monkeypatch.undo()
    assert store.prune() == [artifact.path]


def test_prune_stops_where_the_record_is_damaged(store):
    _, artifact = built(store, seed=1)
    (store.root / "roots" / "bad.json").write_text("{")
    with pytest.raises(StoreError, match=r"bad\.json"):
        store.prune()
    assert artifact.path.exists()


def test_forget_wants_a_plan_that_was_run(store):
    built(store, seed=1)
    with pytest.raises(StoreError) as caught:
        store.forget("none")
    assert caught.value.got == "'none'"
    assert "plan-" in caught.value.expected


def test_nothing_in_the_store_is_pickled(store):
    built(store, seed=1)
    for path in store.root.rglob("*"):
        if path.suffix == ".json" or path.name == "DONE":
            json.loads(path.read_bytes())
        assert not path.is_file() or not path.read_bytes().startswith(b"\x80")
