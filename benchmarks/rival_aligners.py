"""The rivals' own way from a tokenized bitext to links, each in a process of its own.

    python benchmarks/rival_aligners.py eflomal SOURCE TARGET FORWARD BACKWARD

writes one Pharaoh file for each direction, source word first. systran-align and thot give links
that they have symmetrized themselves; both files are the same then.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

BATCH = 1000


def eflomal(source: Path, target: Path, forward: Path, backward: Path) -> None:
    """eflomal 2 with its defaults: model 3 (HMM and fertility), three samplers."""
    import eflomal as package

    with source.open(encoding="utf-8") as sources, target.open(encoding="utf-8") as targets:
        package.Aligner().align(
            sources, targets, links_filename_fwd=str(forward), links_filename_rev=str(backward)
        )


def systran_align(source: Path, target: Path, forward: Path, backward: Path) -> None:
    """fast_align as a library, with the options that its authors advise (-d -o -v)."""
    import systran_align as package

    pairs = list(zip(_sentences(source), _sentences(target), strict=True))
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder, "text")
        lines = [f"{' '.join(a)} ||| {' '.join(b)}\n" for a, b in pairs]
        text.write_text("".join(lines), encoding="utf-8")
        tables = [str(Path(folder, name)) for name in ("forward", "backward")]
        package.generate_alignment_probabilities(
            str(text),
            *tables,
            favor_diagonal=True,
            optimize_tension=True,
            variational_bayes=True,
        )
        aligner = package.Aligner(*tables)
        results = aligner.align_batch([a for a, _ in pairs], [b for _, b in pairs])
    links = "".join(
        " ".join(f"{i}-{j}" for i, j in result["alignments"]) + "\n" for result in results
    )
    forward.write_text(links)
    backward.write_text(links)


def _sentences(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


RIVALS: dict[str, Callable[[Path, Path, Path, Path], None]] = {
    "eflomal": eflomal,
    "systran-align": systran_align,
}

if __name__ == "__main__":
    RIVALS[sys.argv[1]](*map(Path, sys.argv[2:]))
