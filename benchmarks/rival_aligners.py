"""The rivals' own way from a tokenized bitext to links, each in a process of its own.

    python benchmarks/rival_aligners.py eflomal SOURCE TARGET FORWARD BACKWARD

writes one Pharaoh file for each direction, source word first. systran-align gives links that it
has symmetrized itself; both files are the same then.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

THOT_ITERATIONS = 5  # fast_align's default


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


def thot_fast_align(source: Path, target: Path, forward: Path, backward: Path) -> None:
    """fast_align's model in the C++ library behind sil-thot, five iterations."""
    from thot.alignment import FastAlignModel

    _thot(FastAlignModel, source, target, forward, backward)


def thot_eflomal(source: Path, target: Path, forward: Path, backward: Path) -> None:
    """The Eflomal model of sil-thot with its own schedule."""
    from thot.alignment import EflomalAlignmentModel

    _thot(EflomalAlignmentModel, source, target, forward, backward)


def _thot(
    make: Callable[[], Any], source: Path, target: Path, forward: Path, backward: Path
) -> None:
    """Trains both directions; each writes its own links, to be symmetrized by the caller."""
    sides = _sentences(source), _sentences(target)
    for reverse, out in ((False, forward), (True, backward)):
        given, made = reversed(sides) if reverse else sides
        model = make()
        for a, b in zip(given, made, strict=True):
            model.add_sentence_pair(a, b)
        model.start_training()
        for _ in range(getattr(model, "scheduled_iterations", None) or THOT_ITERATIONS):
            model.train()
        model.end_training()
        lines = []
        for a, b in zip(given, made, strict=True):
            _, matrix = model.get_best_alignment(a, b)
            links = (
                (j, i) if reverse else (i, j)
                for i in range(len(a))
                for j in range(len(b))
                if matrix[i, j]
            )
            lines.append(" ".join(f"{i}-{j}" for i, j in sorted(links)) + "\n")
        out.write_text("".join(lines))


def _sentences(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


RIVALS: dict[str, Callable[[Path, Path, Path, Path], None]] = {
    "eflomal": eflomal,
    "systran-align": systran_align,
    "thot-fast-align": thot_fast_align,
    "thot-eflomal": thot_eflomal,
}

if __name__ == "__main__":
    RIVALS[sys.argv[1]](*map(Path, sys.argv[2:]))
