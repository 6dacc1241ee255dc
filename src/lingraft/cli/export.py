"""lingraft export"""

from pathlib import Path
from typing import Annotated

import typer

from lingraft.cli.console import print_json


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A model folder.")],
    to: Annotated[str, typer.Option(help="gguf (for llama.cpp, Ollama) or safetensors.")],
    out: Annotated[Path, typer.Option(help="The file, or for safetensors the folder.")],
) -> None:
    """Write a model for other programs: see docs/deploy.md.

    Example: lingraft export ./smollm2-el --to gguf --out smollm2-el.gguf
    """
    from lingraft.pipelines.exports import export as run_export

    print_json(run_export(folder, to=to, out=out))
