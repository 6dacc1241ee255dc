"""Any changed argument changes a job's fingerprint, and nothing else does."""

import copy
from dataclasses import dataclass
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import assume, example, given

from lingraft.runtime import Runtime
from lingraft.study import job

VERSION = 1

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=8)
)


@dataclass(frozen=True)
class Setting:
    value: object = None
    other: object = 0


@dataclass(frozen=True)
class Twin:
    value: object = None
    other: object = 0


def containers(inner):
    return (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(
            st.sampled_from(["a", "b", "dict", "tuple", "file", "fields"]), inner, max_size=3
        )
        | st.builds(Setting, inner, inner)
        | st.builds(Twin, inner, inner)
    )


values = st.recursive(scalars, containers, max_leaves=8)


def function(
    *, value: object, default: object = (1, "x"), out: Path, runtime: Runtime | None = None
) -> None:
    """Is never called."""


def function_twin(*, value: object, default: object = (1, "x"), out: Path) -> None:
    """Is never called either."""


def same(a, b):
    """Equality that tells types and the sign of zero apart: the meaning of "changed"."""
    if type(a) is not type(b):
        return False
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, Setting | Twin):
        return same((a.value, a.other), (b.value, b.other))
    return repr(a) == repr(b)


@given(values, values)
@example(1, 1.0)
@example(1, True)
@example(1, "1")
@example(0.0, -0.0)
@example(None, "null")
@example([], ())
@example([[1], [2]], [[1, 2]])
@example(("a",), {"tuple": ["a"]})
@example({"a": {"b": 1}}, {"a": {"c": 1}})
@example(Setting(), Twin())
@example("a\u0301", "\u00e1")
def test_fingerprints_differ_exactly_when_arguments_do(a, b):
    equal = job(function, value=a).fingerprint == job(function, value=b).fingerprint
    assert equal == same(a, b)


@given(values)
def test_a_default_that_is_spelled_out_changes_nothing(value):
    spelled = job(function, value=value, default=(1, "x"))
    assert spelled.fingerprint == job(function, value=value).fingerprint
    assert job(function, value=value, default=[1, "x"]) != spelled


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), scalars, min_size=2))
def test_the_order_of_a_dictionary_changes_nothing(value):
    turned = dict(reversed(value.items()))
    assert job(function, value=value) == job(function, value=turned)


@given(values, st.integers(0, 64), st.sampled_from(["cpu", "cuda", "auto"]))
def test_runtime_name_and_costs_change_nothing(value, num_threads, device):
    plain = job(function, value=value)
    other = job(
        function,
        name="other",
        costs={"flops": 1e12},
        runtime=Runtime(num_threads=num_threads, device=device),
        value=copy.deepcopy(value),
    )
    assert other.fingerprint == plain.fingerprint


@given(values)
def test_the_function_and_its_version_are_in_the_fingerprint(value):
    first = job(function, value=value)
    assert first != job(function_twin, value=value)
    function.VERSION = 2
    try:
        assert first != job(function, value=value)
    finally:
        del function.VERSION


@given(values, values)
def test_a_changed_input_changes_every_job_after_it(a, b):
    assume(not same(a, b))
    first, second = (job(function, value=[job(function, value=x)]) for x in (a, b))
    assert first != second
    assert job(function, value=first) != job(function, value=second)
    assert job(function, value=first) != job(function, value=first.fingerprint)
