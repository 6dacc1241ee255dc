"""Several workers on one plan: each job once, what one worker would give, errors told once."""

import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from lingraft.errors import InputError
from lingraft.files import write_text
from lingraft.study import NullProgress, Plan, Store, job, run

VERSION = 1


def note(log, text):
    """Adds a line to a file that processes share."""
    with Path(log).open("a") as stream:
        stream.write(f"{text}\n")


def lines(log):
    return Path(log).read_text().splitlines() if Path(log).exists() else []


class Lines(NullProgress):
    """Progress that writes its notes into a file."""

    def __init__(self, log):
        self.log = log

    def note(self, text):
        note(self.log, text)


def letter(*, text: str, log: str, after: list[Path], how: str, out: Path) -> dict:
    """May wait for the call of another, fail, end its process the first time, or never end."""
    note(log, f"{text} {os.getpid()}")
    if how.startswith("meet "):
        for _ in range(600):
            if calls_of(how.removeprefix("meet "), log):
                break
            time.sleep(0.05)
        else:
            raise TimeoutError(how)
    if how == "fail":
        raise ZeroDivisionError(f"{text} cannot be built")
    if how == "die" and len(calls_of(text, log)) == 1:
        os._exit(9)
    while how == "linger":
        time.sleep(0.05)
    write_text(out / "text.txt", text + "".join((x / "text.txt").read_text() for x in after))
    return {"text": text}


def calls_of(text, log):
    """The processes that called `letter` for a text."""
    return [line.split()[1] for line in lines(log) if line.split()[0] == text]


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


@pytest.fixture
def make(log):
    def made(text, *after, how=""):
        return job(letter, name=text, text=text, log=str(log), after=list(after), how=how)

    return made


@pytest.fixture
def diamond(make):
    """One root, four jobs that need it, two of which meet, and one that needs those."""
    root = make("a")
    leaves = [make("b", root, how="meet c"), make("c", root, how="meet b")]
    leaves += [make("d", root), make("e", root)]
    return Plan({"top": make("f", *leaves)})


def test_workers_build_each_job_once_and_what_one_would(store, tmp_path, diamond, log):
    made = run(diamond, store=store, workers=2)["top"]
    assert sorted(line.split()[0] for line in lines(log)) == list("abcdef")
    assert calls_of("b", log) != calls_of("c", log)
    assert str(os.getpid()) not in {line.split()[1] for line in lines(log)}
    alone = run(diamond, store=Store(tmp_path / "alone"))["top"]
    assert (made.path / "text.txt").read_text() == "fbacadaea"
    assert made.manifest == alone.manifest
    assert run(diamond, store=store, workers=2) == {"top": made}
    assert len(lines(log)) == 12  # the second store's six, nothing for the third run


def test_a_failure_is_raised_once_and_what_does_not_need_it_is_built(store, make, log, capfd):
    bad = make("bad", how="fail")
    above = make("above", bad)
    others = [make(text) for text in "xyz"]
    plan = Plan({"top": make("top", above)} | {f"other-{n}": x for n, x in enumerate(others)})
    with pytest.raises(ZeroDivisionError, match="bad cannot be built") as caught:
        run(plan, store=store, workers=2)
    assert caught.value.__notes__ == [f"while building {bad.folder}"]
    tries = calls_of("bad", log)
    assert len(tries) == 2  # by one worker, and by this process to tell it
    assert tries[1] == str(os.getpid())
    assert all(store.find(x) is not None for x in others)
    assert store.find(above) is None
    assert calls_of("above", log) == calls_of("top", log) == []
    assert capfd.readouterr() == ("", "")


def test_what_was_done_before_is_told_once_and_what_workers_make_is_told_as_built(
    store, diamond, tmp_path
):
    root = diamond.order[0]
    run(Plan([root]), store=store)
    told = tmp_path / "told"
    run(diamond, store=store, workers=2, progress=Lines(told))
    new = [f"{x.folder}: building" for x in diamond.order[1:]]
    assert sorted(lines(told)) == sorted([f"{root.folder}: done before", *new])


def test_workers_verify_what_is_there(store, diamond, log):
    top = run(diamond, store=store, workers=2)["top"]
    root = store.find(diamond.order[0])
    (root.path / "text.txt").write_text("x")  # as long as it was
    assert run(diamond, store=store, workers=2, verify=True) == {"top": top}
    assert (root.path / "text.txt").read_text() == "a"
    assert len(calls_of("a", log)) == 2
    assert len(lines(log)) == 7


def test_a_worker_takes_other_jobs_while_another_process_is_at_one(store, make):
    first, second = make("first"), make("second")
    store.prepare()
    locked, seen = threading.Event(), []

    def hold():
        with store.lock(first.fingerprint[:16]):
            locked.set()
            for _ in range(600):
                if store.find(second) is not None:
                    break
                time.sleep(0.05)
            seen.append((store.find(first) is None, store.find(second) is not None))

    holder = threading.Thread(target=hold)
    holder.start()
    assert locked.wait(30)
    run(Plan([first, second]), store=store, workers=2)
    holder.join(60)
    assert seen == [(True, True)]
    assert store.find(first) is not None


def test_a_worker_that_dies_stops_nobody(store, make, log):
    deadly = make("deadly", how="die")
    run(Plan([deadly, make("x"), make("y")]), store=store, workers=2)
    assert len(calls_of("deadly", log)) == 2
    assert store.find(deadly) is not None


def test_an_interruption_ends_the_workers(store, make, log):
    lingering = make("lingering", how="linger")

    def interrupt(signum, frame):
        if lines(log):
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
        with pytest.raises(KeyboardInterrupt):
            run(Plan([lingering]), store=store, workers=2)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert multiprocessing.active_children() == []
    assert store.find(lingering) is None
    assert not store.is_locked(lingering.fingerprint[:16])


def test_workers_are_refused_where_processes_cannot_be_forked(store, diamond, monkeypatch):
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    with pytest.raises(InputError) as caught:
        run(diamond, store=store, workers=2)
    assert caught.value.expected == "1 worker on a system without fork"
    assert (caught.value.got, caught.value.where) == ("2", "workers")


def test_a_store_knows_what_is_locked(store):
    store.prepare()
    assert not store.is_locked("one")
    with store.lock("one"):
        assert store.is_locked("one")
        assert not store.is_locked("two")
        with store.claim("one") as free:
            assert not free
        assert store.is_locked("one")  # a claim in vain lets go of nothing
    assert not store.is_locked("one")
    with store.claim("one") as free:
        assert free
        assert store.is_locked("one")
    assert not store.is_locked("one")
