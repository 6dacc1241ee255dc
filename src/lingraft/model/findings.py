"""One thing that is wrong with a model folder, and how it is told."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lingraft.errors import LingraftError

FETCH_AGAIN = "fetch or write the folder again"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        code: Which check found it, e.g. ``"zero-rows"``.
        severity: ``"error"`` if some program will fail or give other output than was trained,
            ``"warning"`` if a sound model may look so too.
        problem: What is wrong, with the numbers.
        where: File, tensor or setting.
        advice: What to do.
    """

    code: str
    severity: str
    problem: str
    where: str
    advice: str


def is_sound(findings: Iterable[Finding]) -> bool:
    """Whether nothing that was found is an error."""
    return not any(finding.severity == "error" for finding in findings)


def settings_in(path: Path) -> dict[str, Any]:
    """Returns the settings in a file, or none where there is no such file or it is no object."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def error_found(code: str, problem: str, where: Path, advice: str) -> Finding:
    """Returns a finding of severity ``"error"``."""
    return Finding(code, "error", problem, str(where), advice)


def refused_with(code: str, error: LingraftError, where: Path) -> Finding:
    """Returns what lingraft itself refuses in a folder as a finding."""
    problem = f"expected {error.expected}, got {error.got}"
    return Finding(code, "error", problem, error.where or str(where), error.hint or FETCH_AGAIN)
