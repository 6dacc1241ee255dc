"""Running plans: every job once, whatever stops it in between."""

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy
import pytest
import study_functions as functions

from lingraft.errors import InputError, StoreError
from lingraft.files import sha256_file
from lingraft.runtime import Runtime
from lingraft.study import EXECUTORS, File, Plan, Store, job, record_run, run


class Notes:
    """Progress that keeps what it was told."""

    def __init__(self):
        self.told = []

    def start(self, name, total, unit):
        self.told.append(("start", name, total, unit))

    def advance(self, amount):
        self.told.append(("advance", amount))

    def note(self, text):
        self.told.append(("note", text))


def wanted():
    data = job(functions.world, seed=1)
    return Plan({"model": job(functions.train, data=data), "data": data})


def content(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "run.json"
    }


def test_the_same_plan_twice_calls_each_function_once(store, calls):
    first = run(wanted(), store=store)
    assert calls == ["world 1", "train"]
    assert list(first) == ["model", "data"]
    assert run(wanted(), store=Store(store.root)) == first
    assert calls == ["world 1", "train"]
    assert first["data"].result == {"sum": 10}
    assert first["model"].result == {}
    assert (first["model"].path / "model.txt").read_text() == "2 of 1 2 3 4"
    assert list((store.root / "partial").iterdir()) == []


def test_the_manifest_tells_what_was_run_and_run_json_when(store, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("hello")
    world = job(functions.world, seed=1)
    made = job(functions.join, parts=[File(text), world], options={"b": 1, "a": (2,)})
    notes = Notes()
    used = Runtime(num_threads=3, device="cpu")
    artifact = run(Plan([made]), store=store, runtime=used, progress=notes)["join"]
    manifest = artifact.manifest
    libraries = manifest.pop("libraries")
    assert libraries["numpy"] == numpy.__version__
    assert set(libraries) >= {"python", "torch", "transformers", "tokenizers", "numba", "lingraft"}
    assert manifest == {
        "fingerprint": made.fingerprint,
        "name": "join",
        "function": "study_functions:join",
        "version": 3,
        "arguments": made.encoded,
        "inputs": {world.folder: world.fingerprint},
        "runtime": {"num_threads": 3, "device": "cpu", "precision": "auto", "threads": 3},
        "files": {
            name: {
                "sha256": sha256_file(artifact.path / name),
                "num_bytes": (artifact.path / name).stat().st_size,
            }
            for name in ("0.txt", "1.txt")
        },
        "result": {"keys": ["a", "b"], "threads": 3},
        "timed": False,
    }
    assert (artifact.path / "0.txt").read_text() == "hello"
    assert (artifact.path / "1.txt").read_text() == str(
        ["DONE", "manifest.json", "numbers", "run.json"]
    )
    facts = artifact.run
    assert facts.pop("wall_seconds") >= 0
    assert facts.pop("process_peak_rss_bytes") > 2**20
    assert facts.pop("started_at").endswith("+00:00")
    assert facts == {"seconds_reading": 0.25, "input_files": [str(text)]}
    assert made.arguments["options"] == {"b": 1, "a": (2,)}  # the function emptied its copy
    assert notes.told[-5:] == [
        ("note", f"{made.folder}: building"),
        ("start", "join: reading", 2, "files"),
        ("advance", 1),
        ("advance", 1),
        ("note", "join: all read"),
    ]


def test_a_jobs_own_runtime_counts(store):
    made = job(functions.join, runtime=Runtime(num_threads=2), parts=[], options={})
    assert run(Plan([made]), store=store)["join"].result["threads"] == 2


def test_timed_artifacts_are_marked(store):
    data = job(functions.world, seed=1)
    budget = functions.Budget(num_seconds=1)
    made = job(functions.train, data=data, budget=budget)
    artifacts = run(Plan([made, data]), store=store)
    assert artifacts["train"].timed
    assert not artifacts["world"].timed


def test_record_run_outside_of_a_job_does_nothing(store):
    record_run(seconds=1)
    artifact = run(Plan([job(functions.world, seed=1)]), store=store)["world"]
    assert "seconds" not in artifact.run


@pytest.mark.parametrize(
    ("settings", "expected", "got"),
    [
        ({"on": "ray"}, "one of the executors local, shared", "'ray'"),
        ({"workers": 2}, "1 worker on 'local', which is this process", "2"),
    ],
)
def test_unknown_executors_and_workers_are_refused(store, settings, expected, got):
    with pytest.raises(InputError) as caught:
        run(wanted(), store=store, **settings)
    assert (caught.value.expected, caught.value.got) == (expected, got)
    assert caught.value.where == next(iter(settings))
    assert list(EXECUTORS) == ["local", "shared"]


def test_an_interrupted_job_goes_on_where_it_was(store, calls):
    plan = Plan([job(functions.climb, steps=5, stop_at=3)])
    with pytest.raises(KeyboardInterrupt):
        run(plan, store=store)
    assert store.find(plan.order[0]) is None
    partial = store.root / "partial" / plan.order[0].folder
    (partial / ".checkpoint.json.abcd1234.tmp").touch()  # as a killed process leaves it
    (store.root / "go-on").touch()
    artifact = run(plan, store=store)["climb"]
    assert calls == ["from 0", "from 3"]
    assert artifact.result == {"last": 16}
    assert set(artifact.manifest["files"]) == {"checkpoint.json"}
    assert not partial.exists()


def test_a_job_without_checkpoints_starts_from_an_empty_folder(store):
    plan = Plan([job(functions.restart, stop=True)])
    with pytest.raises(KeyboardInterrupt):
        run(plan, store=store)
    assert (store.root / "partial" / plan.order[0].folder / "half.txt").exists()
    (store.root / "go-on").touch()
    assert run(plan, store=store)["restart"].result == {"found": []}


def test_a_finished_resumable_job_that_lacks_only_done_is_not_begun_again(store, calls):
    plan = Plan([job(functions.climb, steps=3)])
    artifact = run(plan, store=store)["climb"]
    (artifact.path / "DONE").unlink()
    assert run(plan, store=store)["climb"] == artifact
    assert calls == ["from 0", "from 3"]
    (artifact.path / "DONE").unlink()
    (store.root / "partial" / artifact.path.name).mkdir()
    run(plan, store=store)
    assert calls == ["from 0", "from 3", "from 0"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_full_disk_is_told_with_its_place(store, code):
    made = job(functions.fail, code=code)
    with pytest.raises(StoreError) as caught:
        run(Plan([made]), store=store)
    assert caught.value.got == "made up for the test"
    assert caught.value.where == str(store.root / "partial" / made.folder)


def test_other_failures_stay_what_they_are_and_name_the_job(store):
    made = job(functions.fail, code=errno.ENOENT)
    with pytest.raises(FileNotFoundError) as caught:
        run(Plan([made]), store=store)
    assert caught.value.__notes__ == [f"while building {made.folder}"]
    broken = job(functions.climb, steps=0)
    with pytest.raises(IndexError) as index:
        run(Plan([broken]), store=store)
    assert index.value.__notes__ == [f"while building {broken.folder}"]


@pytest.mark.parametrize(
    ("how", "expected", "got"),
    [
        ("manifest", "plain files, none of them called", "manifest.json"),
        ("link", "plain files, none of them called", "a link"),
        ("set", "a result of JSON values", "Object of type set is not JSON serializable"),
        ("nan", "a result of JSON values", "Out of range float values are not JSON compliant"),
        ("list", "a dictionary or None as result", "list"),
    ],
)
def test_what_no_artifact_can_hold_is_refused(store, how, expected, got):
    made = job(functions.misbehave, how=how)
    with pytest.raises(InputError) as caught:
        run(Plan([made]), store=store)
    assert caught.value.expected.startswith(expected)
    assert caught.value.got.startswith(got)
    assert "study_functions:misbehave" in caught.value.where
    assert store.find(made) is None


def test_a_file_that_changed_after_planning_is_refused(store, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("one")
    made = job(functions.join, parts=[File(text)], options={})
    text.write_text("two")
    with pytest.raises(InputError) as caught:
        run(Plan([made]), store=store)
    assert caught.value.expected == "the content with sha256 7692c3ad3540bb80"
    assert caught.value.got == "sha256 3fc4ccfe745870e2"
    changes = job(functions.rewrite, text=File(text))
    with pytest.raises(InputError, match="the file changed after it was planned"):
        run(Plan([changes]), store=store)
    assert store.find(changes) is None


def test_an_argument_that_changed_after_planning_is_refused(store):
    options = {"a": [1]}
    made = job(functions.join, parts=[], options=options)
    options["a"][0] = True
    with pytest.raises(InputError) as caught:
        run(Plan([made]), store=store)
    assert caught.value.where == "study_functions:join(options)"
    assert caught.value.got == "{'a': [True]}"


def test_a_function_that_is_gone_is_refused(store, monkeypatch):
    made = job(functions.world, seed=1)
    monkeypatch.delattr(functions, "world")
    with pytest.raises(InputError) as caught:
        run(Plan([made]), store=store)
    assert caught.value.got == "study_functions:world"


class Saboteur:
    """Calls `harm` in place of the nth call that changes the disk; counts from 0."""

    NAMES = ("fsync", "replace", "rename", "mkdir", "open", "unlink", "rmdir", "chmod")

    def __init__(self, monkeypatch, nth, harm):
        self.left, self.harm = nth, harm
        for name in self.NAMES:
            monkeypatch.setattr(os, name, self.guarded(getattr(os, name)))
        fdopen = os.fdopen
        monkeypatch.setattr(os, "fdopen", lambda *a, **k: self.watched(fdopen(*a, **k)))

    @property
    def struck(self):
        return self.left < 0

    def guarded(self, function):
        def call(*args, **kwargs):
            self.left -= 1
            if self.left == -1:
                self.harm()
            return function(*args, **kwargs)

        return call

    def watched(self, stream):
        saboteur = self

        class Stream:
            write = staticmethod(saboteur.guarded(stream.write))

            def __enter__(self):
                stream.__enter__()
                return self

            def __exit__(self, *what):
                return stream.__exit__(*what)

            def __getattr__(self, name):
                return getattr(stream, name)

        return Stream()


def disk_full():
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def each_call():
    """Numbers of the calls to harm, until the test says that there are no more."""
    yield from range(10_000)
    pytest.fail("the harm never came to an end")


def check_store_after_harm(root, old, clean):
    """Old or new, never a mixture; and the next run ends as if nothing had happened."""
    store = Store(root)
    assert store.verify(store.find(old)) == ()
    for made in wanted().order:
        artifact = store.find(made)
        assert artifact is None or store.verify(artifact) == ()
    artifacts = run(wanted(), store=store)
    assert {name: content(artifact.path) for name, artifact in artifacts.items()} == clean
    assert list((root / "damaged").iterdir()) == []
    assert list((root / "partial").iterdir()) == []


@pytest.fixture
def clean(tmp_path, monkeypatch):
    # Thousands of real flushes would take most of the time, and no test can see their effect.
    monkeypatch.setattr(os, "fsync", os.fstat)
    artifacts = run(wanted(), store=Store(tmp_path / "clean"))
    return {name: content(artifact.path) for name, artifact in artifacts.items()}


def test_a_disk_full_at_any_call_leaves_old_or_new(tmp_path, clean):
    old = job(functions.world, seed=7)
    for nth in each_call():
        root = tmp_path / str(nth)
        run(Plan([old]), store=Store(root))
        with pytest.MonkeyPatch.context() as patch:
            saboteur = Saboteur(patch, nth, disk_full)
            refusal = None
            try:
                run(wanted(), store=Store(root))
            except StoreError as error:
                refusal = error
        if refusal is not None:
            assert saboteur.struck
            assert refusal.got == "No space left on device"
            assert str(root) in refusal.where
        check_store_after_harm(root, old, clean)
        if not saboteur.struck:
            break
    assert nth > 60  # every file of two artifacts is opened, written, flushed and renamed


def test_a_process_killed_at_any_call_leaves_old_or_new(tmp_path, clean):
    old = job(functions.world, seed=7)
    for nth in each_call():
        root = tmp_path / str(nth)
        run(Plan([old]), store=Store(root))
        child = os.fork()
        if child == 0:
            with pytest.MonkeyPatch.context() as patch:
                Saboteur(patch, nth, lambda: os._exit(9))
                try:
                    run(wanted(), store=Store(root))
                finally:
                    os._exit(0)
        _, status = os.waitpid(child, 0)
        check_store_after_harm(root, old, clean)
        if os.waitstatus_to_exitcode(status) == 0:
            break
    assert nth > 60


def test_a_new_store_survives_a_full_disk_at_any_call(tmp_path, clean):
    for nth in each_call():
        root = tmp_path / str(nth)
        with pytest.MonkeyPatch.context() as patch:
            saboteur = Saboteur(patch, nth, disk_full)
            try:
                Store(root).prepare()
            except StoreError:
                assert saboteur.struck
        artifacts = run(wanted(), store=Store(root))
        assert {name: content(artifact.path) for name, artifact in artifacts.items()} == clean
        if not saboteur.struck:
            break


def test_data_is_flushed_before_the_rename_and_done_comes_last(store, monkeypatch):
    events = []
    fsync, replace = os.fsync, os.replace

    def flush(descriptor):
        events.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def rename(source, target, **kwargs):
        replace(source, target, **kwargs)
        events.append(Path(target).name)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "replace", rename)
    artifact = run(Plan([job(functions.plain, text="x")]), store=store)["plain"]
    renamed = events.index(artifact.path.name)
    for name in ("folder/plain.txt", "folder", "manifest.json", "run.json", "."):
        assert (artifact.path / name).stat().st_ino in events[:renamed]
    after = events[renamed + 1 :]
    assert after.index(store.root.stat().st_ino) < after.index("DONE")
    assert after[-1] == artifact.path.stat().st_ino  # DONE's own folder


def test_whoever_comes_second_waits_and_says_so(store):
    made = job(functions.world, seed=1)
    notes = Notes()
    name = made.fingerprint[:16]
    waiting = ("note", f"another process works on {name}; waiting")
    noted = threading.Event()
    notes.note = lambda text: (notes.told.append(("note", text)), noted.set())
    store.prepare()
    second = threading.Thread(
        target=run, args=[Plan([made])], kwargs={"store": store, "progress": notes}
    )
    with store.lock(name):
        second.start()
        assert noted.wait(30)
        assert notes.told == [waiting]
        assert store.find(made) is None
    second.join(30)
    assert store.find(made) is not None


def test_threads_build_once(store, tmp_path):
    log = tmp_path / "log"
    made = job(functions.slow, log=str(log))
    found = []

    def work():
        found.append(run(Plan([made]), store=Store(store.root))["slow"])

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.read_text() == "called\n"
    assert found[0] == found[1] == found[2]


def test_two_processes_build_once(store, tmp_path):
    log = tmp_path / "log"
    code = (
        "import sys; import study_functions as f; from lingraft.study import *\n"
        "made = job(f.slow, log=sys.argv[2])\n"
        "print(run(Plan([made]), store=Store(sys.argv[1]))['slow'].path)"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(functions.__file__).parent)}
    command = [sys.executable, "-c", code, str(store.root), str(log)]
    processes = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    paths = {process.communicate(timeout=60)[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    assert log.read_text() == "called\n"
    assert paths == {str(store.find(job(functions.slow, log=str(log))).path)}


def test_study_brings_no_torch():
    code = "import sys, lingraft.study; print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"
