"""Settings of small conditions of parallel data, and the links of one."""

from pathlib import Path
from typing import Any

from lingraft.languages import Language
from lingraft.pipelines.condition_figures import FigureSettings
from lingraft.pipelines.condition_rows import condition_links
from lingraft.runtime import Runtime

ENGLISH, GREEK = Language.parse("en"), Language.parse("el")
CODES = {"source_lang": str(ENGLISH), "target_lang": str(GREEK)}
ONE = Runtime(num_threads=1, device="cpu", precision="float32")
SETTINGS = FigureSettings(num_bytes=1_000, batch_bytes=500, num_calibration_rows=2)


def new_folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def links_of(condition: Path, out: Path, **changes: Any) -> Path:
    settings: dict[str, Any] = {"gold": None, "method": "hmm", "stems": (), "seed": 0} | changes
    condition_links(corpus=condition, out=new_folder(out), runtime=ONE, **CODES, **settings)
    return out
