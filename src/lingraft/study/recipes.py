"""Recipes: Python files with a function ``plan(scale, **settings)``, one file per study."""

import importlib.util
import inspect
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from lingraft.errors import InputError
from lingraft.study.arguments import digest, encode
from lingraft.study.plans import Plan
from lingraft.study.settings import fitted_settings


def plan_recipe(path: Path, scale: str, settings: Mapping[str, Any] | None = None) -> Plan:
    """Returns a recipe's plan at one scale, named after the recipe, the scale and the settings.

    Args:
        path: The recipe.
        scale: One of the recipe's ``SCALES``.
        settings: Values for keyword parameters of its ``plan``.

    Raises:
        InputError: No such recipe, scale or setting, a setting of another kind than `plan`
            declares, or `plan` returns no plan.
    """
    given = dict(settings or {})
    module = load_recipe(path)
    _check_scale(module, scale)
    _check_settings(module, given)
    given = fitted_settings(module.plan, given, where=str(module.__file__))
    plan = module.plan(scale, **given)
    if not isinstance(plan, Plan):
        raise InputError(
            expected="a study.Plan", got=type(plan).__name__, where=f"{path}, plan({scale!r})"
        )
    parts = [Path(path).stem, scale]
    if given:
        parts.append(digest(encode(given, "settings"))[:8])
    return Plan(plan.targets, name="-".join(parts))


def load_recipe(path: Path) -> ModuleType:
    """Returns the module in a recipe's file, which has ``plan`` and ``SCALES``.

    Raises:
        InputError: The file is missing, is not Python, or lacks one of the two.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(expected="a recipe, a Python file", got="no such file", where=str(path))
    # The name cannot be imported: jobs must not name functions that only this process can find.
    name = f"<recipe {path.stem}>"
    spec = importlib.util.spec_from_file_location(name, path.absolute())
    if spec is None or spec.loader is None:
        raise InputError(expected="a recipe, a Python file (.py)", got=path.name, where=str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up while they are declared
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise InputError(
            expected="Python", got=error.msg, where=f"{path}, line {error.lineno}"
        ) from error
    finally:
        del sys.modules[name]
    if not inspect.isfunction(getattr(module, "plan", None)):
        raise InputError(expected="a function plan(scale, ...)", got="none", where=str(path))
    scales = getattr(module, "SCALES", None)
    if not isinstance(scales, tuple) or not scales:
        raise InputError(
            expected="SCALES, a tuple of names such as ('tiny', 'laptop', 'paper')",
            got=repr(scales),
            where=str(path),
        )
    return module


def parse_setting(text: str) -> tuple[str, Any]:
    """Returns name and value of ``"name=value"``; the value is read as JSON, else as text.

    Example:
        >>> parse_setting("steps=20"), parse_setting("to=el")
        (('steps', 20), ('to', 'el'))

    Raises:
        InputError: There is no ``=``, or no name before it.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise InputError(expected="name=value", got=repr(text), where="setting")
    try:
        # NaN and Infinity are not JSON: they stay text.
        return name, json.loads(value, parse_constant=str)
    except ValueError:
        return name, value


def _check_scale(module: ModuleType, scale: str) -> None:
    if scale not in module.SCALES:
        raise InputError(
            expected=f"one of the scales {', '.join(module.SCALES)}",
            got=repr(scale),
            where=str(module.__file__),
        )


def _check_settings(module: ModuleType, given: Mapping[str, Any]) -> None:
    parameters = list(inspect.signature(module.plan).parameters.values())[1:]
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    allowed = {p.name: p for p in parameters}
    problems = [f"an unknown {key}" for key in given if key not in allowed]
    problems += [
        f"no {key}" for key, p in allowed.items() if p.default is p.empty and key not in given
    ]
    if problems:
        raise InputError(
            expected=f"the settings {', '.join(allowed) or '(none)'}",
            got=", ".join(problems),
            where=str(module.__file__),
            hint="give each as --set name=value",
        )
