"""Several workers on one plan: each job once, what one worker would give, errors told once."""

import multiprocessing
import os
import threading
import time
from pathlib import Path

import pytest

from lingraft.errors import InputError
from lingraft.files import write_text
from lingraft.study import Plan, Store, job, run

VERSION = 1


def note(log, text):
    """Adds a line to a file that processes share."""
    with Path(log).open("a") as stream:
        stream.write(f"{text}\n")


def lines(log):
    return Path(log).read_text().splitlines() if Path(log).exists() else []


def letter(*, text: str, log: str, after: list[Path], how: str, out: Path) -> dict:
    """May wait for the call of another, fail, or end its process the first time."""
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


def diamond_of(log):
    """One root, four jobs that need it, two of which meet, and one that needs those."""

    def made(text, *after, how=""):
        return job(letter, name=text, text=text, log=str(log), after=list(after), how=how)

    root = made("a")
    leaves = [made("b", root, how="meet c"), made("c", root, how="meet b")]
    leaves += [made("d", root), made("e", root)]
    return Plan({"top": made("f", *leaves)})


@pytest.fixture
def diamond(log):
    return diamond_of(log)


def beside(root, log):
    """What another process does: the same plan on the same store."""
    run(diamond_of(log), store=Store(root), on="shared")


def test_processes_build_each_job_once_and_what_one_would(store, tmp_path, diamond, log):
    other = multiprocessing.get_context("spawn").Process(target=beside, args=(store.root, log))
    other.start()
    made = run(diamond, store=store, on="shared")["top"]
    other.join(60)
    assert other.exitcode == 0
    assert sorted(line.split()[0] for line in lines(log)) == list("abcdef")
    assert calls_of("b", log) != calls_of("c", log)  # they wait for each other
    alone = run(diamond, store=Store(tmp_path / "alone"), on="shared")["top"]
    assert (made.path / "text.txt").read_text() == "fbacadaea"
    assert made.manifest == alone.manifest
    assert run(diamond, store=store, on="shared") == {"top": made}


def test_a_failure_is_raised_in_the_end_and_what_does_not_need_it_is_built(store, make, log):
    bad = make("bad", how="fail")
    above = make("above", bad)
    others = [make(text) for text in "xyz"]
    plan = Plan({"top": make("top", above)} | {f"other-{n}": x for n, x in enumerate(others)})
    with pytest.raises(ZeroDivisionError, match="bad cannot be built") as caught:
        run(plan, store=store, on="shared")
    assert caught.value.__notes__ == [f"while building {bad.folder}"]
    assert len(calls_of("bad", log)) == 2
    assert all(store.find(x) is not None for x in others)
    assert store.find(above) is None
    assert calls_of("above", log) == calls_of("top", log) == []


def test_other_jobs_are_taken_while_another_process_is_at_one(store, make):
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
    run(Plan([first, second]), store=store, on="shared")
    holder.join(60)
    assert seen == [(True, True)]
    assert store.find(first) is not None


def test_a_process_that_died_at_a_job_stops_nobody(store, make, log):
    deadly = make("deadly", how="die")
    context = multiprocessing.get_context("spawn")
    other = context.Process(target=run_alone, args=(store.root, log, "deadly", "die"))
    other.start()
    other.join(60)
    assert other.exitcode == 9
    run(Plan([deadly, make("x")]), store=store, on="shared")
    assert len(calls_of("deadly", log)) == 2
    assert store.find(deadly) is not None


def run_alone(root, log, text, how):
    alone = job(letter, name=text, text=text, log=str(log), after=[], how=how)
    run(Plan([alone]), store=Store(root), on="shared")


def test_each_process_is_one_worker(store, diamond):
    with pytest.raises(InputError) as caught:
        run(diamond, store=store, on="shared", workers=2)
    assert caught.value.expected == "1 worker for each process on 'shared'"
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
