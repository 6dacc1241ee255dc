"""What may be a job, and what it remembers."""

import enum
import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
import study_functions as functions

from lingraft.errors import InputError
from lingraft.study import File, job
from lingraft.units import Budget


class Level(enum.IntEnum):
    LOW = 1


def refusal(*args, **kwargs):
    with pytest.raises(InputError) as caught:
        job(*args, **kwargs)
    return caught.value


def test_fingerprints_are_the_same_in_every_release(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("one")
    world = job(functions.world, seed=1)
    made = job(functions.join, parts=[File(text), world], options={"x": (1, 2.5, None, True, "ü")})
    # Written by hand. A change here makes every store worthless: raise FINGERPRINT_FORMAT then.
    world_json = (
        '{"arguments":{"seed":1,"size":4},"format":1,'
        '"function":"study_functions:world","version":3}'
    )
    world_hash = hashlib.sha256(world_json.encode()).hexdigest()
    join_json = (
        '{"arguments":{"options":{"dict":{"x":{"tuple":[1,2.5,null,true,"\\u00fc"]}}},"parts":['
        '{"file":"' + hashlib.sha256(b"one").hexdigest() + '","suffix":".txt"},'
        '{"artifact":"' + world_hash + '"}]},'
        '"format":1,"function":"study_functions:join","version":3}'
    )
    assert world.fingerprint == world_hash
    assert made.fingerprint == hashlib.sha256(join_json.encode()).hexdigest()
    assert made.folder == f"join-{made.fingerprint[:16]}"


def test_a_job_remembers_defaults_version_inputs_and_files(tmp_path):
    world = job(functions.world, name="greek", seed=1)
    made = job(functions.train, data=world)
    assert (made.name, made.function, made.version) == ("train", "study_functions:train", 3)
    assert json.loads(json.dumps(made.encoded)) == {
        "data": {"artifact": world.fingerprint},
        "shape": {
            "dataclass": "study_functions:Shape",
            "fields": {"num_layers": 2, "tags": {"tuple": []}},
        },
        "budget": None,
    }
    assert made.inputs == (world,)
    assert world.name == "greek"
    assert job(functions.versioned).version == "b2"
    (tmp_path / "a").write_text("a")
    file = File(tmp_path / "a")
    assert job(functions.join, parts=[file, world, world], options={}).files == (file,)
    assert job(functions.join, parts=[file, world, world], options={}).inputs == (world,)


def test_the_content_of_a_file_counts_and_its_name_does_not(tmp_path):
    def of(name, text):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return job(functions.join, parts=[File(path)], options={})

    first = of("a.txt", "one")
    assert of("a.txt", "two") != first
    assert of("else/b.txt", "one") == first
    assert of("b.TXT", "one") == first
    assert of("b.tsv", "one") != first  # readers choose the format by the suffix
    assert of("x.1.tsv.gz", "one") == of("y.tsv.gz", "one") != of("y.gz", "one")


def test_a_folder_counts_by_names_and_contents(tmp_path):
    def of(folder, **files):
        for name, text in files.items():
            path = tmp_path / folder / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return File(tmp_path / folder).identity()

    first = of("a", x="1", d__y="2")
    assert of("b", x="1", d__y="2") == first
    assert of("c", x="2", d__y="1") != first
    assert of("d", x="1", e__y="2") != first


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError) as caught:
        File(tmp_path / "none.txt")
    assert caught.value.got == "No such file or directory"
    assert caught.value.where == str(tmp_path / "none.txt")


@pytest.mark.parametrize(
    ("value", "got"),
    [
        (Path("x"), "PosixPath"),
        (io.BytesIO(), "BytesIO"),
        (iter([1]), "list_iterator"),
        ((x for x in "ab"), "generator"),
        (print, "builtin_function_or_method"),
        (b"x", "bytes"),
        ({1}, "set"),
        (np.float64(1), "float64"),
        (np.zeros(2), "ndarray"),
        (Level.LOW, "Level"),
        (functions.Shape, "type"),
    ],
)
def test_arguments_of_other_kinds_are_refused_by_name(value, got):
    error = refusal(functions.join, parts=[], options={"a": [1, (value,)]})
    assert error.got == got
    assert error.where == "study_functions:join(options)['a'][1][0]"
    assert error.hint == ("wrap a path in File(path)" if isinstance(value, Path) else "")


@pytest.mark.parametrize(
    ("value", "expected", "got"),
    [
        (float("nan"), "a finite number", "nan"),
        (float("-inf"), "a finite number", "-inf"),
        ("\ud800", "text that UTF-8 can hold", "'\\ud800'"),
        ({1: 2}, "a dictionary with text keys", "1"),
        (functions.Loose(), "a frozen dataclass", "Loose, which can change"),
    ],
)
def test_values_without_a_meaning_of_their_own_are_refused(value, expected, got):
    error = refusal(functions.join, parts=[], options=value)
    assert (error.expected, error.got) == (expected, got)
    assert error.where == "study_functions:join(options)"


def test_dataclasses_must_be_importable_and_hold_no_inputs():
    import dataclasses

    @dataclasses.dataclass(frozen=True)
    class Local:
        x: int = 1

    error = refusal(functions.join, parts=[], options=Local())
    assert error.expected == "a dataclass at the top level of an installed module"
    assert error.got.endswith("<locals>.Local")
    training = functions.Training(functions.Shape(), source=job(functions.world, seed=1))
    error = refusal(functions.join, parts=[], options=training)
    assert (error.got, error.where) == ("Job", "study_functions:join(options).source")
    assert error.hint == "pass it as an argument of its own"


def test_only_functions_that_another_process_finds_are_jobs(monkeypatch):
    nested = functions.outer()
    assert refusal(nested).got == "study_functions:outer.<locals>.inner"
    assert refusal(lambda out: None).got.endswith("<lambda>")
    assert refusal(functions.Shape).expected == "a function at the top level of an installed module"
    assert refusal(len).got == "builtins:len"
    monkeypatch.setattr(functions.world, "__module__", "__main__")
    assert refusal(functions.world, seed=1).got == "__main__:world"
    monkeypatch.setattr(functions.world, "__module__", "no_such_module")
    assert refusal(functions.world, seed=1).got == "no_such_module:world"


def test_a_version_must_be_stated(monkeypatch):
    monkeypatch.delattr(functions, "VERSION")
    error = refusal(functions.world, seed=1)
    assert (error.got, error.where) == ("None", "study_functions:world")
    monkeypatch.setattr(functions.world, "VERSION", 1.5, raising=False)
    assert refusal(functions.world, seed=1).got == "1.5"


@pytest.mark.parametrize("name", ["no_out", "loose_arguments", "own_name"])
def test_functions_must_name_what_they_take(name):
    error = refusal(getattr(functions, name))
    assert error.where == f"study_functions:{name}"
    assert error.expected.startswith("a function with named parameters, one of them 'out'")


def test_arguments_must_fit_the_signature():
    error = refusal(functions.world, sead=1)
    assert (error.expected, error.got) == (
        "the arguments seed, size",
        "no seed, an unknown sead",
    )
    assert refusal(functions.world, seed=1, out="x").got == "an unknown out"
    assert refusal(functions.world, seed=1, runtime=functions.Runtime()).got == "an unknown runtime"


@pytest.mark.parametrize("name", ["", "a/b", "..", "é", "x" * 81])
def test_a_name_must_fit_a_folder(name):
    assert refusal(functions.world, name=name, seed=1).got == repr(name)


def test_budgets_in_seconds_mark_a_job_and_those_after_it():
    data = job(functions.world, seed=1)
    timed = job(functions.train, data=data, budget=Budget(num_seconds=3))
    assert timed.timed
    assert job(functions.join, parts=[timed], options={}).timed
    deep = functions.Training(functions.Shape(), budget=Budget(num_seconds=3))
    assert job(functions.join, parts=[], options={"x": (deep,)}).timed
    assert not job(functions.train, data=data, budget=Budget(num_steps=3)).timed
