"""The errors that lingraft raises on purpose; all else is a bug.

Each message is one line and says what was expected, what came, where, and what to do.
"""


class LingraftError(Exception):
    """Something that lingraft refuses, told in one line.

    Args:
        expected: What must hold, e.g. ``"UTF-8 text"``.
        got: What came instead, e.g. ``"byte 0xff"``.
        where: File and line, id, parameter or language; empty when there is no place.
        hint: What the user can do about it; may be empty.
    """

    def __init__(self, *, expected: str, got: str, where: str = "", hint: str = "") -> None:
        self.expected, self.got, self.where, self.hint = expected, got, where, hint
        place = f"{where}: " if where else ""
        advice = f"; {hint}" if hint else ""
        super().__init__(" ".join(f"{place}expected {expected}, got {got}{advice}".split()))


class InputError(LingraftError):
    """A file, a parameter or a text of the user's is not what it has to be."""


class ModelError(LingraftError):
    """A model folder is unsafe, inconsistent or of a kind that lingraft cannot treat."""


class StoreError(LingraftError):
    """The artifact store or an output folder is not ours, damaged, or cannot be written."""
