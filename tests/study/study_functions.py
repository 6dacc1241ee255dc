"""Functions for jobs of the tests: jobs name functions of modules that can be imported."""

import time
from dataclasses import dataclass
from pathlib import Path

from lingraft.files import read_json, write_json, write_text
from lingraft.runtime import Runtime
from lingraft.study import Progress, record_run
from lingraft.units import Budget

VERSION = 3

calls: list[str] = []


@dataclass(frozen=True)
class Shape:
    num_layers: int = 2
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Training:
    shape: Shape
    budget: Budget | None = None
    source: object = None


@dataclass
class Loose:
    size: int = 1


def world(*, seed: int, size: int = 4, out: Path) -> dict:
    """Writes a few numbers."""
    calls.append(f"world {seed}")
    write_text(out / "numbers" / "all.txt", " ".join(str(seed + i) for i in range(size)))
    return {"sum": sum(seed + i for i in range(size))}


def train(*, data: Path, shape: Shape = Shape(), budget: Budget | None = None, out: Path) -> None:
    """Writes a result of its input and its settings."""
    calls.append("train")
    text = (data / "numbers" / "all.txt").read_text()
    write_text(out / "model.txt", f"{shape.num_layers} of {text}")


def join(*, parts: list[Path], options: dict, out: Path, runtime: Runtime, progress: Progress):
    """Looks at everything that a job can be given."""
    progress.start("reading", len(parts), "files")
    for part in parts:
        text = part.read_text() if part.is_file() else str(sorted(p.name for p in part.iterdir()))
        write_text(out / f"{parts.index(part)}.txt", text)
        progress.advance(1)
    progress.note("all read")
    record_run(seconds_reading=0.25)
    keys = list(options)
    options.clear()
    return {"keys": keys, "threads": runtime.threads}


def climb(*, steps: int, stop_at: int | None = None, out: Path, progress: Progress) -> dict:
    """Counts with checkpoints, and may be interrupted once."""
    state = out / "checkpoint.json"
    done = read_json(state)["done"] if state.exists() else []
    calls.append(f"from {len(done)}")
    for step in range(len(done), steps):
        if step == stop_at and not (out.parent.parent / "go-on").exists():
            raise KeyboardInterrupt
        done.append(step * step)
        write_json(state, {"done": done})
    return {"last": done[-1]}


climb.RESUMABLE = True  # type: ignore[attr-defined]


def restart(*, stop: bool, out: Path) -> dict:
    """Like `climb`, without checkpoints: it must find an empty folder."""
    found = sorted(path.name for path in out.iterdir() if not path.name.startswith("."))
    write_text(out / "half.txt", "half")
    if not (out.parent.parent / "go-on").exists():
        raise KeyboardInterrupt
    return {"found": found}


def slow(*, log: str, out: Path) -> None:
    """Takes long enough for a second process to come."""
    with Path(log).open("a") as stream:
        stream.write("called\n")
    time.sleep(0.3)
    write_text(out / "slow.txt", "slow")


def plain(*, text: str, out: Path) -> None:
    """Writes without flushing, as most libraries do."""
    (out / "folder").mkdir()
    (out / "folder" / "plain.txt").write_text(text)


def fail(*, code: int, out: Path) -> None:
    """Fails as a file system does."""
    raise OSError(code, "made up for the test")


def misbehave(*, how: str, out: Path) -> object:
    """Writes or returns what no artifact can hold."""
    if how == "manifest":
        write_text(out / "manifest.json", "{}")
    if how == "link":
        (out / "link").symlink_to("/")
    return {"set": {"x": {1}}, "nan": {"x": float("nan")}, "list": [1]}.get(how)


def rewrite(*, text: Path, out: Path) -> None:
    """Changes its own input."""
    text.write_text(text.read_text() + "!")


def versioned(*, out: Path) -> None:
    """States its own version."""


versioned.VERSION = "b2"  # type: ignore[attr-defined]


def no_out(*, seed: int) -> None:
    """Has nowhere to write."""


def loose_arguments(*, out: Path, **more: int) -> None:
    """Does not say what it takes."""


def own_name(*, name: str, out: Path) -> None:
    """Takes a parameter that belongs to `study.job`."""


def outer():
    """Returns a nested function."""

    def inner(*, out: Path) -> None: ...

    return inner
