"""The command line called in this process, and a model folder to call it on."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_models import save_tiny_llama

from lingraft.cli import main


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Calls `lingraft` with arguments; returns the exit code, stdout and stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        code = stopped.value.code
        return (code if isinstance(code, int) else 0), printed.out, printed.err

    return call


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Folder of a tiny model, the caller's own."""
    save_tiny_llama(tmp_path / "model")
    return tmp_path / "model"
