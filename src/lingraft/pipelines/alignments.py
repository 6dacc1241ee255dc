"""Word links of a file of pairs, line by line."""

from pathlib import Path

from lingraft.alignment import Links, align
from lingraft.corpus import Pair, read_pairs, summarize_rejected
from lingraft.languages import Language
from lingraft.runtime import Runtime


def align_file(
    pairs: str,
    *,
    source_lang: str,
    target_lang: str,
    method: str,
    tokenized: bool,
    seed: int,
    runtime: Runtime,
) -> tuple[Links, dict[str, int]]:
    """Aligns a file; a rejected row keeps its place, without links.

    Returns:
        The links, one entry a row of the file, and the number of rows rejected by reason.
    """
    corpus = read_pairs(
        Path(pairs),
        source_lang=Language.parse(source_lang),
        target_lang=Language.parse(target_lang),
    )
    rows = list(corpus)
    if ".tmx" not in Path(pairs).suffixes:  # whose units are not lines
        rows = _in_place(rows, [rejected.line for rejected in corpus.rejected])
    links = align(rows, method=method, seed=seed, runtime=runtime, tokenized=tokenized)
    return links, summarize_rejected(corpus.rejected)


def _in_place(pairs: list[Pair], rejected_lines: list[int]) -> list[Pair]:
    """Puts an empty pair where each rejected row stood, so that no line shifts."""
    rows: list[Pair] = []
    kept = iter(pairs)
    missing = set(rejected_lines)
    line = 0
    while len(rows) < len(pairs) + len(missing):
        line += 1
        rows.append(Pair("", "", f"line {line}") if line in missing else next(kept))
    return rows
