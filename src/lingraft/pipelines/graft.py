"""A vocabulary swap without training, and the account of single rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lingraft.errors import InputError
from lingraft.files import write_json
from lingraft.languages import Language
from lingraft.model import load, save, swap_vocabulary
from lingraft.model.loading import check_folder, load_tokenizer, locate
from lingraft.pipelines.adapt import STATE, check_out, pair_files, publish
from lingraft.pipelines.corpora import read_all_pairs, write_pairs
from lingraft.pipelines.vocabularies import explain as explain_row
from lingraft.pipelines.vocabularies import load_rows, vocabulary_rows, word_links
from lingraft.runtime import Runtime
from lingraft.study import File, Plan, Progress, Store, job, run
from lingraft.tokenizer import Tokenizer

VERSION = 1
METHODS = ("trans_tokenize", "pieces", "mean", "random")


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
    explain: Sequence[str] = (),
    seed: int = 0,
    runtime: Runtime | None = None,
    progress: Progress | None = None,
) -> Graft:
    """Swaps a model's vocabulary and writes the result, without training.

    Args:
        model: A model folder, a packaged model or a hub name.
        tokenizer: Folder of the new tokenizer.
        to: The new language.
        out: Folder of the grafted model.
        pairs: Files of translations.
        dictionary: A TSV of words and translations.
        method: A transfer method; `trans_tokenize` where there are pairs, else `pieces`.
        source_lang: The language that the model speaks.
        explain: Tokens whose rows are to be explained.
        seed: Of random rows.
        runtime: Threads and device.
        progress: Where to report to.

    Raises:
        InputError: No such method or token, or the method lacks pairs.
    """
    check_out(out)
    bilingual = bool(pairs) or dictionary is not None
    method = method or ("trans_tokenize" if bilingual else "pieces")
    if method not in METHODS:
        raise InputError(
            expected=f"one of the methods {', '.join(METHODS)}", got=repr(method), where="method"
        )
    folder = locate(model)
    check_folder(folder)
    load_tokenizer(folder)
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
    rows = job(
        vocabulary_rows,
        name="rows",
        method=method,
        model=File(folder),
        tokenizer=File(tokenizer),
        corpus=corpus,
        # Other methods use no pairs: aligning for them would be work for nothing.
        links=links if bilingual and method == "trans_tokenize" else None,
        seed=seed,
        **languages,
    )
    grafted = job(swap, name="grafted", model=File(folder), tokenizer=File(tokenizer), rows=rows)
    done = run(
        Plan({"rows": rows, "grafted": grafted}, name="graft"),
        store=Store(out / STATE / "store"),
        runtime=runtime or Runtime(),
        progress=progress,
    )
    publish(done["grafted"].path / "model", out)
    write_json(out / STATE / "coverage.json", done["rows"].result)
    source, target = Tokenizer.load(folder), Tokenizer.load(tokenizer)
    explained = [
        explain_row(token, rows=done["rows"].path, source=source, target=target)
        for token in explain
    ]
    return Graft(out, done["rows"].result, explained)


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


def swap(*, model: Path, tokenizer: Path, rows: Path, out: Path) -> dict[str, Any]:
    """Writes the model with the new vocabulary into `model/`."""
    loaded = load(model, dtype=torch.float32)
    target = Tokenizer.load(tokenizer)
    matrix, head = load_rows(rows)
    grafted = swap_vocabulary(loaded.model, target, matrix, head, source_tokenizer=loaded.tokenizer)
    save(grafted, target, out / "model")
    load_tokenizer(out / "model")  # transformers replaces the rules of some model types
    return {"vocab_size": len(target.vocabulary)}
