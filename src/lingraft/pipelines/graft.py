"""A vocabulary swap without training, from folder to folder, and the account of single rows.

The folder is the artifact: only the rows are kept in the store, and the weights go from the
source's files into the output's without a third copy of them on the disk.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lingraft.errors import InputError
from lingraft.files import write_json
from lingraft.languages import Language
from lingraft.model.folders import graft_folder
from lingraft.model.loading import check_folder, load_tokenizer, locate
from lingraft.model.shards import StoredTensor, read_header
from lingraft.model.vocabulary_layers import padded_size
from lingraft.pipelines.adapt import STATE, check_out, pair_files
from lingraft.pipelines.corpora import read_all_pairs, write_pairs
from lingraft.pipelines.kept_rows import keep_rows
from lingraft.pipelines.vocabularies import (
    ROW_METHODS,
    check_beside_model,
    uses_links,
    vocabulary_rows,
    word_links,
)
from lingraft.pipelines.vocabularies import explain as explain_row
from lingraft.runtime import Runtime
from lingraft.study import File, Plan, Progress, Store, job, run
from lingraft.tokenizer import Tokenizer
from lingraft.tokenizer.descent import descent

VERSION = 1


@dataclass(frozen=True)
class Graft:
    """A grafted model and the account of its rows."""

    model_path: Path
    coverage: dict[str, Any]
    explained: list[dict[str, Any]]


def graft(
    model: str | Path,
    *,
    tokenizer: Path,
    to: str,
    out: Path,
    pairs: Sequence[str | Path] | None = None,
    dictionary: Path | None = None,
    method: str | None = None,
    source_lang: str = "en",
    pad_to: int = 1,
    explain: Sequence[str] = (),
    seed: int = 0,
    runtime: Runtime | None = None,
    progress: Progress | None = None,
) -> Graft:
    """Swaps a model's vocabulary and writes the result, without training.

    Weights are copied file by file in their own dtype, so that a model may be larger than the
    memory; see `model.folders.graft_folder`. A vocabulary that was extended or pruned from the
    model's own keeps the rows of its old tokens to the bit, and `method` makes those of the new
    ones; an extended one takes up the matrices' padding first and never shortens them.

    Args:
        model: A model folder, a packaged model or a hub name.
        tokenizer: Folder of the new tokenizer, e.g. of `tokenizer.extend_bpe` or `prune`.
        to: The new language.
        out: Folder of the grafted model.
        pairs: Files of translations.
        dictionary: A TSV of words and translations.
        method: A transfer method; `trans_tokenize` where there are pairs, else `pieces`.
        source_lang: The language that the model speaks.
        pad_to: The matrices get a multiple of this many rows; padding is the mean of all rows.
        explain: Tokens whose rows are to be explained.
        seed: Of random rows.
        runtime: Threads and device.
        progress: Where to report to.

    Raises:
        InputError: No such method or token, the method lacks pairs, `out` is the model, or
            `pad_to` is less than 1.
        ModelError: The folder is unsafe, damaged, quantised, or its head has a bias.
        StoreError: `out` is not ours, or the disk is full.
    """
    check_out(out)
    bilingual = bool(pairs) or dictionary is not None
    method = method or ("trans_tokenize" if bilingual else "pieces")
    if method not in ROW_METHODS:
        raise InputError(
            expected=f"one of the methods {', '.join(ROW_METHODS)}",
            got=repr(method),
            where="method",
        )
    padded_size(1, pad_to)  # refuses a bad multiple before any work
    folder = locate(model)
    if out.resolve() == folder.resolve():
        raise InputError(expected="another folder than the model's", got=str(out), where="out")
    check_folder(folder)
    source = load_tokenizer(folder)
    check_beside_model(tokenizer, folder)  # now, since it costs nothing yet
    target = Tokenizer.load(tokenizer)
    found = descent(source, target)
    languages: dict[str, Any] = {
        "source_lang": str(Language.parse(source_lang)),
        "target_lang": str(Language.parse(to)),
    }
    corpus = job(
        prepare_pairs,
        name="pairs",
        pairs=[[File(path) for path in pair_files(Path(entry))] for entry in pairs or ()],
        dictionary=None if dictionary is None else File(dictionary),
        **languages,
    )
    links = job(word_links, name="links", corpus=corpus, method="hmm", seed=seed, **languages)
    weights, vocabulary = File(folder), File(tokenizer)
    rows = job(
        vocabulary_rows,
        name="rows",
        method=method,
        model=weights,
        tokenizer=vocabulary,
        corpus=corpus,
        # Other methods use no pairs: aligning for them would be work for nothing.
        links=links if bilingual and uses_links(method) else None,
        dictionary=None if dictionary is None else File(dictionary),
        seed=seed,
        **languages,
    )
    if found is not None:
        rows = job(
            keep_rows,
            name="kept",
            model=weights,
            tokenizer=vocabulary,
            rows=rows if len(found.kept) < len(target) else None,
        )
    done = run(
        Plan({"rows": rows}, name="graft"),
        store=Store(out / STATE / "store"),
        runtime=runtime or Runtime(),
        progress=progress,
    )
    made = done["rows"].path
    graft_folder(
        folder,
        target,
        _stored_rows(made / "input"),
        _stored_rows(made / "output") if (made / "output").is_dir() else None,
        source_tokenizer=source,
        out=out,
        pad_to=pad_to,
        keep_padding=found is not None and found.kind == "extended",
    )
    write_json(out / STATE / "coverage.json", done["rows"].result)
    explained = [explain_row(token, rows=made, source=source, target=target) for token in explain]
    return Graft(out, done["rows"].result, explained)


def _stored_rows(folder: Path) -> StoredTensor:
    """The rows of a saved `EmbeddingMatrix`, left in their file: two of them may be too many."""
    tensors = read_header(folder / "rows.safetensors").tensors
    return next(tensor for tensor in tensors if tensor.name == "rows")


def prepare_pairs(
    *,
    pairs: Sequence[Sequence[Path]],
    dictionary: Path | None,
    source_lang: str,
    target_lang: str,
    out: Path,
) -> dict[str, Any]:
    """Writes the pairs of a graft into `pairs.jsonl`."""
    source, target = Language.parse(source_lang), Language.parse(target_lang)
    bilingual = read_all_pairs(pairs, dictionary, source, target)
    write_pairs(out / "pairs.jsonl", bilingual)
    return {"num_pairs": len(bilingual), "num_rejected": len(bilingual.rejected)}
