"""The rivals' own way to rows for a new vocabulary, on the inputs of benchmarks/transfer.py.

Each tool runs as it is published, with its defaults; where a file or a binary is out of reach
without a network, the function's docstring names what stands in for it. fastText trains in one
thread, so that it gives the same vectors again. A rival takes the inputs, the source model's rows
(V_source, D) and a folder, in which all that it writes is deleted afterwards, and returns rows
(V_target, D). What the tools print goes to stderr.
"""

import contextlib
import math
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from lingraft.model import save
from lingraft.model.folders import find_vocabulary
from lingraft.model.shards import read_matrix
from lingraft.pipelines.row_inputs import RowInputs
from lingraft.tokenizer import Tokenizer
from lingraft.tokenizer.words import word_spans

NULL = "<eps>"  # fast_align's name for it
NUM_UPDATES = 6  # seven iterations, of which the last decodes
BEAM = 4  # fast_align exports what has at least this power of the row's best probability
_WORD_BITS = 32

_Rows = NDArray[np.float32]


def trans_tokenizers(
    inputs: RowInputs, source_rows: _Rows, folder: Path, *, min_count: int | None = None
) -> _Rows:
    """trans-tokenizers 0.1.4: its own word joining, mapping, smoothing and remapping.

    Its data sets are replaced by our pairs and its fork of fast_align, which has to be compiled,
    by `write_count_table`. transformers 5 has no `additional_special_tokens_ids`, which the tool
    copies into the configuration. Its smoothing goes through the vocabulary in the tokenizer's
    order, which is another one in every run, so that rows differ a little between runs.

    Args:
        inputs: As `RowInputs` has them.
        source_rows: float32 (V_source, D).
        folder: Where it may write.
        min_count: Occurrences under which an aligned pair of words is dropped; None is the tool's
            own threshold.
    """
    from transtokenizers import transtokenizers as tool

    pairs = [(pair.source, pair.target) for pair in inputs.pairs]
    tokenizers = {"source_tokenizer": "source", "target_tokenizer": "target"}
    settings: dict[str, Any] = {
        "home_path": "export",
        "get_dataset_iterator": lambda *_: pairs,
    }
    if min_count is not None:
        settings["MIN_COUNT_REQUIRED_FOR_CONSIDERATION"] = min_count
    tokenizer_class = transformers.PreTrainedTokenizerBase
    with _workshop(folder) as place:
        save_model(source_rows, inputs.source, place / "source")
        inputs.target.save(place / "target")
        with (
            contextlib.chdir(place),  # the names of its files are made of the tokenizers' paths
            patch.multiple(tool, **settings),
            patch.object(tokenizer_class, "additional_special_tokens_ids", (), create=True),
        ):
            corpus = tool.create_aligned_corpus(
                "source", "target", corpus_list=["pairs"], **tokenizers
            )
            write_count_table(Path(corpus), Path("counts.tsv"))
            mapping, _ = tool.map_tokens("counts.tsv", **tokenizers)
            smoothed = tool.smooth_mapping("target", mapping)
            model = tool.remap_model(mapping=smoothed, source_model="source", **tokenizers)
    return _numpy(model.get_input_embeddings().weight)


def write_count_table(corpus: Path, table: Path) -> None:
    """Writes what trans-tokenizers' fork of fast_align exports with ``-I 7 -p``.

    Called so, it is IBM model 1 (Brown et al. 1993) with NULL, forward only and without priors. A
    line is source word, target word, log probability and the expected count of the last update.

    Args:
        corpus: Lines ``source words ||| target words``.
        table: The file to write.
    """
    names: dict[str, int] = {}
    cells, num_sources = [], []
    for line in corpus.read_text(encoding="utf-8").split("\n")[:-1]:
        before, _, after = line.partition(" ||| ")
        source, target = _numbers(f"{NULL} {before}", names), _numbers(after, names)
        cells.append(((target[:, None] << _WORD_BITS) | source).ravel())
        num_sources.append(np.full(len(target), len(source)))
    entries, slots = np.unique(np.concatenate(cells), return_inverse=True)
    sources, targets = entries & ((1 << _WORD_BITS) - 1), entries >> _WORD_BITS
    sizes = np.concatenate(num_sources)
    starts = np.cumsum(sizes) - sizes
    probabilities = np.ones(len(entries))
    for _ in range(NUM_UPDATES):
        shares = probabilities[slots]
        shares /= np.repeat(np.add.reduceat(shares, starts), sizes)
        counts = np.bincount(slots, shares)
        probabilities = counts / np.bincount(sources, counts)[sources]
    best = np.zeros(len(names))
    np.maximum.at(best, sources, probabilities)
    kept = np.flatnonzero(probabilities >= best[sources] ** BEAM)
    spellings = list(names)
    columns = (column[kept].tolist() for column in (sources, targets, probabilities, counts))
    with table.open("w", encoding="utf-8") as file:
        for source, target, probability, count in zip(*columns, strict=True):
            words = f"{spellings[source]}\t{spellings[target]}"
            file.write(f"{words}\t{math.log(probability):g}\t{count:g}\n")


def deepfocus(inputs: RowInputs, source_rows: _Rows, folder: Path) -> _Rows:
    """deepfocus 1.0.1: its fastText of the new tokens is trained on all target text."""
    import deepfocus as tool

    with _workshop(folder) as place:
        source, target = _saved_tokenizers(inputs, place)
        _write_lines(place / "target.txt", (document.text for document in inputs.documents))
        with (
            contextlib.chdir(place),  # the names of its files are made of the text's path
            patch("deepfocus.fasttext_embs.CACHE_DIR", place / "cache"),
        ):
            rows = tool.FOCUS(
                target,
                source,
                torch.from_numpy(source_rows),
                target_training_data_path="target.txt",
                processes=1,
            )
    return _numpy(rows)


def wechsel(inputs: RowInputs, source_rows: _Rows, folder: Path) -> _Rows:
    """wechsel 0.0.4: its own fastText training, alignment and neighbours.

    Words come from the source side of the pairs and from all target text, since published vectors
    and nltk's data are out of reach; they are cut as those of the dictionary, which is the links'.
    """
    import wechsel as tool

    texts = {
        "source": (pair.source for pair in inputs.pairs),
        "target": (document.text for document in inputs.documents),
    }
    entries = (f"{pair.source}\t{pair.target}" for pair in inputs.word_pairs)
    with _workshop(folder) as place, patch("multiprocessing.cpu_count", return_value=1):
        vectors = []
        for name, lines in texts.items():
            path = place / f"{name}.txt"
            _write_lines(path, lines)
            vectors.append(tool.train_embeddings(str(path), tokenize_fn=_words, thread=1))
        _write_lines(place / "dictionary.tsv", entries)
        method = tool.WECHSEL(*vectors, bilingual_dictionary=str(place / "dictionary.tsv"))
        rows, _ = method.apply(*_saved_tokenizers(inputs, place), source_rows)
    return np.ascontiguousarray(rows, dtype=np.float32)


def tokensurgeon(inputs: RowInputs, source_rows: _Rows, folder: Path) -> _Rows:
    """mergekit 0.1.5's command ``mergekit-tokensurgeon`` with its defaults: omp, k = 64.

    Its donor is a model of one layer whose rows are `RowInputs.donor_vectors`. Tokens that have no
    vector get the mean of the others: of a row of zeros the tool makes NaN.
    """
    from mergekit.scripts.tokensurgeon import main

    known = inputs.donor_vectors.any(axis=1, keepdims=True)
    mean = inputs.donor_vectors[known[:, 0]].mean(axis=0)
    with _workshop(folder) as place:
        source, donor, out = (place / name for name in ("source", "donor", "out"))
        save_model(source_rows, inputs.source, source)
        save_model(np.where(known, inputs.donor_vectors, mean), inputs.target, donor)
        main([str(source), str(donor), str(out)], standalone_mode=False)
        return read_matrix(find_vocabulary(out).input)


def save_model(rows: _Rows, tokenizer: Tokenizer, folder: Path) -> None:
    """Writes a model folder for tools that read rows from no other: one layer, tied head."""
    num_ids, width = rows.shape
    config = transformers.LlamaConfig(
        vocab_size=num_ids,
        hidden_size=width,
        intermediate_size=1,
        num_hidden_layers=1,
        num_attention_heads=1,
        tie_word_embeddings=True,
        **{f"{role}_id": tokenizer.role_id(role) for role in ("bos_token", "eos_token")},
    )
    model = transformers.LlamaForCausalLM(config)
    model.get_input_embeddings().weight.data = torch.from_numpy(rows)
    model.tie_weights()
    save(model, tokenizer, folder)


def _saved_tokenizers(
    inputs: RowInputs, folder: Path
) -> tuple[transformers.PreTrainedTokenizerBase, transformers.PreTrainedTokenizerBase]:
    """Source and target as transformers loads them."""
    for name, tokenizer in (("source", inputs.source), ("target", inputs.target)):
        tokenizer.save(folder / name)
    loaded = (
        transformers.AutoTokenizer.from_pretrained(str(folder / name))
        for name in ("source", "target")
    )
    return next(loaded), next(loaded)


def _words(text: str) -> list[str]:
    return [text[begin:end] for begin, end in word_spans(text)]


def _numbers(line: str, names: dict[str, int]) -> NDArray[np.int64]:
    """Numbers the words of a line, as fast_align parts them: no other space than U+0020."""
    words = filter(None, line.split(" "))
    return np.array([names.setdefault(word, len(names)) for word in words], dtype=np.int64)


def _numpy(rows: torch.Tensor) -> _Rows:
    return np.ascontiguousarray(rows.detach().float().numpy())


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


@contextlib.contextmanager
def _workshop(folder: Path) -> Iterator[Path]:
    """Yields a new folder for one tool, since some take files of an earlier run for done.

    What the package datasets writes stays in it too, and stdout stays for data.
    """
    with (
        tempfile.TemporaryDirectory(dir=folder.resolve()) as name,
        contextlib.redirect_stdout(sys.stderr),
        patch("datasets.config.HF_DATASETS_CACHE", Path(name, "datasets")),
        patch("datasets.config.HF_UPDATE_DOWNLOAD_COUNTS", False),  # no calls of its hub
    ):
        yield Path(name)


RIVALS: dict[str, Callable[[RowInputs, _Rows, Path], _Rows]] = {
    "trans-tokenizers": trans_tokenizers,
    "trans-tokenizers, no threshold": partial(trans_tokenizers, min_count=1),
    "deepfocus": deepfocus,
    "wechsel (tool)": wechsel,
    "tokensurgeon omp": tokensurgeon,
}
