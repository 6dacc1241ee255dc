"""Jobs: calls of functions that are not made yet, each known by its fingerprint."""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lingraft.errors import InputError
from lingraft.runtime import Runtime
from lingraft.study.arguments import File, Input, digest, encode, module_attribute, walk
from lingraft.units import Budget

# Parameters that the executor fills in; none of them enters the fingerprint.
GIVEN = ("out", "runtime", "progress")
# Parameters of `job` itself, which a function therefore cannot have.
TAKEN = ("name", "costs")
FINGERPRINT_FORMAT = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")


@dataclass(frozen=True)
class Job(Input):
    """A call that will fill one artifact; equal to every job of the same fingerprint.

    Attributes:
        fingerprint: SHA-256, 64 hexadecimal digits, of function, version and arguments.
        name: What people call it; the first part of the artifact's folder.
        function: ``"module:function"``.
        version: The function's ``VERSION``, or its module's.
        arguments: Every argument, those left to their defaults included.
        encoded: The same as JSON, as the manifest tells them.
        costs: What it is expected to cost, e.g. ``{"num_bytes": 2e6, "flops": 1e12}``.
        runtime: Device and threads of this job alone, or None for those of the run.
        timed: Whether a clock ends this job or one it reads, so that a rerun may give other bytes.
    """

    fingerprint: str
    name: str = field(compare=False)
    function: str = field(compare=False)
    version: int | str = field(compare=False)
    arguments: Mapping[str, Any] = field(compare=False, repr=False)
    encoded: Mapping[str, Any] = field(compare=False, repr=False)
    costs: Mapping[str, float] = field(compare=False, repr=False)
    runtime: Runtime | None = field(compare=False, repr=False)
    timed: bool = field(compare=False, repr=False)

    @property
    def folder(self) -> str:
        """The name of the artifact's folder, ``name-<16 digits of the fingerprint>``."""
        return f"{self.name}-{self.fingerprint[:16]}"

    @property
    def inputs(self) -> tuple["Job", ...]:
        """The jobs whose artifacts this one reads, each once."""
        return tuple(dict.fromkeys(x for x in self._values() if isinstance(x, Job)))

    @property
    def files(self) -> tuple[File, ...]:
        """The files that this job reads."""
        return tuple(x for x in self._values() if isinstance(x, File))

    def identity(self) -> dict[str, str]:
        """Returns the fingerprint, which stands for the artifact's content."""
        return {"artifact": self.fingerprint}

    def _values(self) -> Iterable[Any]:
        return walk(list(self.arguments.values()))


def job(
    function: Callable[..., Mapping[str, Any] | None],
    /,
    *,
    name: str | None = None,
    costs: Mapping[str, float] | None = None,
    runtime: Runtime | None = None,
    **arguments: Any,
) -> Job:
    """Returns the job that will call ``function(out=folder, **arguments)``.

    The function writes files into the folder `out` and may return a dictionary of JSON values, kept
    as the artifact's `result`. Where its signature has them it also gets ``runtime=`` and
    ``progress=``. Each `File` and `Job` among the arguments, also inside lists, tuples and
    dictionaries, reaches it as a `Path`.

    Args:
        function: A function at the top level of an installed module which, or whose module, states
            a ``VERSION``: raise it whenever the function comes to mean something else.
        name: What people call the job; by default the function's name.
        costs: Expected costs for ``lingraft plan``; not in the fingerprint.
        runtime: Device and threads for this job alone; not in the fingerprint.
        arguments: JSON values, frozen dataclasses, `File`, other jobs, and lists of those.

    Raises:
        InputError: The function or an argument is of another kind, or they do not fit together.
    """
    target = function_name(function)
    job_name = function.__name__ if name is None else name
    if not _NAME.fullmatch(job_name):
        raise InputError(
            expected="a name of at most 80 letters, digits, '_', '.' and '-'",
            got=repr(job_name),
            where=f"name of a job of {target}",
        )
    version = _version(function, target)
    complete = _complete_arguments(function, target, arguments, has_runtime=runtime is not None)
    encoded = {key: encode(value, f"{target}({key})") for key, value in complete.items()}
    identity = {
        "format": FINGERPRINT_FORMAT,
        "function": target,
        "version": version,
        "arguments": encoded,
    }
    timed = any(isinstance(x, Budget | Job) and x.timed for x in walk(list(complete.values())))
    return Job(
        fingerprint=digest(identity),
        name=job_name,
        function=target,
        version=version,
        arguments=complete,
        encoded=encoded,
        costs=dict(costs or {}),
        runtime=runtime,
        timed=timed,
    )


def function_name(function: Callable[..., Any]) -> str:
    """Returns ``"module:function"``.

    Raises:
        InputError: No other process could find the function under that name.
    """
    module = getattr(function, "__module__", None) or "?"
    name = getattr(function, "__qualname__", type(function).__qualname__)
    if not inspect.isfunction(function) or module_attribute(module, name) is not function:
        raise InputError(
            expected="a function at the top level of an installed module",
            got=f"{module}:{name}",
            where="function of a job",
            hint="move it into a module that can be imported by name",
        )
    return f"{module}:{name}"


def find_function(target: str) -> Callable[..., Any]:
    """Returns the function that ``"module:function"`` names.

    Raises:
        InputError: There is none in the code installed here.
    """
    module, _, name = target.partition(":")
    function = module_attribute(module, name)
    if not inspect.isfunction(function):
        raise InputError(
            expected="a function of installed code", got=target, where="function of a job"
        )
    return function


def _version(function: Callable[..., Any], target: str) -> int | str:
    version = getattr(function, "VERSION", None)
    if version is None:
        version = module_attribute(function.__module__, "VERSION")
    if type(version) not in (int, str):
        raise InputError(
            expected="a VERSION that is a whole number or text, of the function or its module",
            got=repr(version),
            where=target,
            hint="write VERSION = 1 in the module; raise it when results change",
        )
    return version  # type: ignore[no-any-return]


def _complete_arguments(
    function: Callable[..., Any], target: str, given: dict[str, Any], *, has_runtime: bool
) -> dict[str, Any]:
    """Joins the given arguments with the signature's defaults."""
    parameters = inspect.signature(function).parameters
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    unfit = [p.name for p in parameters.values() if p.kind not in named or p.name in TAKEN]
    if unfit or "out" not in parameters:
        raise InputError(
            expected="a function with named parameters, one of them 'out', none of them "
            + " or ".join(map(repr, TAKEN)),
            got=f"parameters {', '.join(parameters) or '(none)'}",
            where=target,
        )
    own = {key: p for key, p in parameters.items() if key not in GIVEN}
    required = [key for key, p in own.items() if p.default is p.empty]
    unknown = [key for key in given if key not in own]
    if has_runtime and "runtime" not in parameters:
        unknown.append("runtime")
    missing = [key for key in required if key not in given]
    if unknown or missing:
        problems = [f"no {key}" for key in missing] + [f"an unknown {key}" for key in unknown]
        raise InputError(
            expected=f"the arguments {', '.join(own) or '(none)'}",
            got=", ".join(problems),
            where=target,
        )
    return {key: given.get(key, p.default) for key, p in own.items()}
