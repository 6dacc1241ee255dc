"""What the command line says about a folder that somebody else made."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lingraft.model.diagnosis import diagnose
from lingraft.model.findings import is_sound


@dataclass(frozen=True)
class Checked:
    """A checked folder.

    Attributes:
        sound: Whether nothing but warnings was found.
        record: Everything that was found, as JSON values.
        lines: The same for people, a line each.
    """

    sound: bool
    record: dict[str, Any]
    lines: tuple[str, ...]


def check_folder(folder: Path) -> Checked:
    """Checks a model folder; see `model.diagnosis.diagnose`.

    Raises:
        InputError: There is no such folder.
    """
    findings = diagnose(folder)
    sound = is_sound(findings)
    lines = tuple(
        " ".join(f"{f.severity}: {f.code}: {f.where}: {f.problem}; {f.advice}".split())
        for f in findings
    )
    listed = [dataclasses.asdict(finding) for finding in findings]
    return Checked(sound, {"folder": str(folder), "sound": sound, "findings": listed}, lines)
