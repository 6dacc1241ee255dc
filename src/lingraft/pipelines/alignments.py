"""Word links of a file of pairs, line by line."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lingraft.alignment import Links, TrainedAligner, align, train_aligner, write_links
from lingraft.corpus import Pair, Rejected, read_dictionary, summarize_rejected
from lingraft.corpus.readers import PAIR_HINT, stream_pairs
from lingraft.corpus.rejects import check_rejected
from lingraft.languages import Language
from lingraft.runtime import Runtime


@dataclass(frozen=True)
class AlignedFile:
    """The links of a file, one entry a row, and the rows that have none, by reason."""

    links: Links
    rejected: dict[str, int]


def align_file(
    pairs: str,
    *,
    out: Path,
    source_lang: str,
    target_lang: str,
    method: str,
    symmetrization: str,
    tokenized: bool,
    dictionary: Path | None,
    model: Path | None,
    save_model: Path | None,
    seed: int,
    runtime: Runtime,
) -> AlignedFile:
    """Aligns a file, which is read from the disk row by row, and writes its links.

    A rejected row keeps its place, without links.

    Args:
        pairs: A file of pairs, or two files with a comma between.
        out: File of the links; its name says in which form (`alignment.write_links`).
        source_lang: Language of the first side.
        target_lang: Language of the second side.
        method: A key of `alignment.METHODS`.
        symmetrization: A key of `alignment.SYMMETRIZATIONS`.
        tokenized: Whether words are cut at spaces already.
        dictionary: A TSV of words and translations.
        model: A trained aligner to use instead of training one.
        save_model: Where to write the aligner that was trained.
        seed: Recorded.
        runtime: Threads.

    Raises:
        InputError: As `corpus.read_pairs` does, and for unknown methods.
        StoreError: The model cannot be read.
    """
    languages = Language.parse(source_lang), Language.parse(target_lang)
    entries = (
        []
        if dictionary is None
        else list(read_dictionary(dictionary, source_lang=languages[0], target_lang=languages[1]))
    )
    rejected: list[Rejected] = []

    def rows() -> Iterator[Pair]:
        rejected.clear()
        for row in stream_pairs(pairs, source_lang=languages[0], target_lang=languages[1]):
            if isinstance(row, Rejected):
                rejected.append(row)
                yield Pair("", "", f"{row.file}:{row.line}")
            else:
                yield row

    trained = None if model is None else TrainedAligner.load(model)
    if save_model is not None and trained is None:
        trained = train_aligner(
            rows(), method=method, runtime=runtime, tokenized=tokenized, dictionary=entries
        )
        trained.save(save_model)
    links = align(
        rows(),
        method=method,
        seed=seed,
        runtime=runtime,
        tokenized=tokenized,
        dictionary=entries,
        symmetrization=symmetrization,
        trained=trained,
    )
    check_rejected(pairs, links.num_pairs - len(rejected), rejected, hint=PAIR_HINT)
    summary = summarize_rejected(rejected)
    write_links(links, rows(), out)
    return AlignedFile(links, summary)
