"""An aligner that was trained once and aligns new text: its counts by view, in one file."""

from __future__ import annotations  # numba, behind Corpus, loads when something is aligned

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as serialize

from lingraft.errors import StoreError
from lingraft.files import write_bytes

if TYPE_CHECKING:
    from lingraft.alignment.expectation import Corpus, Parameters
    from lingraft.alignment.lexicon import Evidence, View

FORMAT = "lingraft-aligner-2"
# Expected counts under this are what smoothing leaves behind; they stay in the totals.
_LEAST_COUNT = 1e-3


@dataclass(frozen=True, eq=False)
class ViewCounts:
    """What was learnt of one view's pairs of stems.

    Attributes:
        sources: Source stems by number, `""` for NULL.
        targets: Target stems by number.
        keys: (num_entries,) int64, source number · len(targets) + target number, rising.
        counts: (2, num_entries) float32, expected counts by direction.
        source_totals: (len(sources),) float64, expected counts of all targets of a source stem.
        target_totals: (len(targets),) float64, the other way round.
    """

    sources: list[str]
    targets: list[str]
    keys: npt.NDArray[np.int64]
    counts: npt.NDArray[np.float32]
    source_totals: npt.NDArray[np.float64]
    target_totals: npt.NDArray[np.float64]

    def evidence(self, view: View, *, of_targets: bool) -> Evidence:
        """Looks up what is known of another corpus's pairs; of new stems nothing is known."""
        from lingraft.alignment.lexicon import Evidence

        rows, columns = _numbers(view.sources, self.sources), _numbers(view.targets, self.targets)
        row, column = rows[view.rows()], columns[view.columns]
        keys = np.where((row >= 0) & (column >= 0), row * np.int64(len(self.targets)) + column, -1)
        known = self.source_totals if of_targets else self.target_totals
        numbers = rows if of_targets else columns
        totals = np.where(numbers >= 0, np.append(known, 0.0)[numbers], 0.0)
        places = np.minimum(np.searchsorted(self.keys, keys), max(len(self.keys) - 1, 0))
        counts = np.zeros(len(keys), dtype=np.float32)
        if len(self.keys):
            found = self.keys[places] == keys
            counts[found] = self.counts[0 if of_targets else 1][places[found]]
        return Evidence(counts, totals)


@dataclass(frozen=True, eq=False)
class TrainedAligner:
    """What a method of `align` learnt, for text that it has not seen.

    Attributes:
        views: Counts of pairs of words and of stems.
        places: (2, NUM_MOVES) float64, as in `expectation.Parameters`.
        null: Probability of NULL.
        model: One of `kernels.MODELS`.
        threshold: As in `expectation.Parameters`.
        stems: Numbers of first letters, of all views but that of whole words.
        segmentation: Signature of the rule that cut the words.
        method: Name of the method.
    """

    views: tuple[ViewCounts, ...]
    places: npt.NDArray[np.float64]
    null: float
    model: str
    threshold: float
    stems: tuple[int, ...]
    segmentation: str
    method: str

    @classmethod
    def from_parameters(
        cls, corpus: Corpus, parameters: Parameters, *, method: str
    ) -> TrainedAligner:
        """Keeps what the parameters of a corpus say about its words."""
        views = []
        counts, lexicon = parameters.counts, corpus.lexicon
        directions = (
            lexicon.evidence(counts, of_targets=of_targets) for of_targets in (True, False)
        )
        for view, forward, backward in zip(lexicon.views, *directions, strict=True):
            kept = np.maximum(forward.counts, backward.counts) >= _LEAST_COUNT
            keys = view.rows()[kept].astype(np.int64) * len(view.targets) + view.columns[kept]
            order = np.argsort(keys)
            known = np.stack([forward.counts[kept][order], backward.counts[kept][order]])
            totals = forward.totals, backward.totals
            views.append(ViewCounts(view.sources, view.targets, keys[order], known, *totals))
        return cls(
            tuple(views),
            parameters.places,
            parameters.null,
            parameters.model,
            parameters.threshold,
            corpus.stems,
            corpus.bitext.segmentation,
            method,
        )

    def parameters(self, corpus: Corpus) -> Parameters:
        """Returns the parameters for the pairs of another corpus."""
        from lingraft.alignment.expectation import Parameters

        found = Parameters.uninformed(
            len(corpus.lexicon), null=self.null, model=self.model, threshold=self.threshold
        )
        found.places = self.places
        for direction, of_targets in enumerate((True, False)):
            evidence = (
                known.evidence(view, of_targets=of_targets)
                for known, view in zip(self.views, corpus.lexicon.views, strict=True)
            )
            table = corpus.lexicon.probabilities(evidence, of_targets=of_targets)
            found.tables[:-1, direction] = table
        return found

    def save(self, path: Path) -> None:
        """Writes one safetensors file, atomically.

        Raises:
            StoreError: The file cannot be written.
        """
        arrays: dict[str, npt.NDArray[Any]] = {"places": self.places}
        for number, view in enumerate(self.views):
            arrays |= {
                f"{number}.keys": view.keys,
                f"{number}.counts": view.counts,
                f"{number}.source_totals": view.source_totals,
                f"{number}.target_totals": view.target_totals,
                f"{number}.sources": _packed(view.sources),
                f"{number}.targets": _packed(view.targets),
            }
        about = {
            "format": FORMAT,
            "stems": list(self.stems),
            "null": self.null,
            "model": self.model,
            "threshold": self.threshold,
            "segmentation": self.segmentation,
            "method": self.method,
        }
        arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        metadata = {"aligner": json.dumps(about, sort_keys=True)}
        write_bytes(path, serialize(arrays, metadata=metadata))

    @classmethod
    def load(cls, path: Path) -> TrainedAligner:
        """Reads what `save` wrote.

        Raises:
            StoreError: The file is missing, damaged or holds something else.
        """
        try:
            with safe_open(path, framework="numpy") as stored:
                about = json.loads((stored.metadata() or {}).get("aligner", "{}"))
                if about.get("format") != FORMAT:
                    raise _unreadable(path, f"format {about.get('format')!r}")
                read = stored.get_tensor
                views = tuple(
                    ViewCounts(
                        _unpacked(read(f"{number}.sources")),
                        _unpacked(read(f"{number}.targets")),
                        read(f"{number}.keys"),
                        read(f"{number}.counts"),
                        read(f"{number}.source_totals"),
                        read(f"{number}.target_totals"),
                    )
                    for number in range(1 + len(about["stems"]))
                )
                return cls(
                    views,
                    read("places"),
                    float(about["null"]),
                    str(about["model"]),
                    float(about["threshold"]),
                    tuple(about["stems"]),
                    str(about["segmentation"]),
                    str(about["method"]),
                )
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise _unreadable(path, str(error)) from error


def _numbers(words: list[str], known: list[str]) -> npt.NDArray[np.int64]:
    """Returns the number of each word among the known ones, -1 for others."""
    places = {word: number for number, word in enumerate(known)}
    return np.array([places.get(word, -1) for word in words], dtype=np.int64)


def _packed(words: list[str]) -> npt.NDArray[np.uint8]:
    """Words as JSON in bytes: a tensor has no strings, and a word may hold any character."""
    return np.frombuffer(json.dumps(words).encode("ascii"), dtype=np.uint8)


def _unpacked(stored: npt.NDArray[np.uint8]) -> list[str]:
    words: list[str] = json.loads(stored.tobytes())
    return words


def _unreadable(path: Path, got: str) -> StoreError:
    return StoreError(
        expected=f"a trained aligner in the form {FORMAT}",
        got=got,
        where=str(path),
        hint="train it again with --save-model",
    )
