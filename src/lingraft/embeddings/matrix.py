"""Rows for a new vocabulary, and for every row the account of where it came from."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from lingraft.errors import StoreError
from lingraft.files import atomic_path, read_json, write_json


@dataclass(frozen=True)
class Origin:
    """Where one row came from.

    Attributes:
        rule: The rule that made it, e.g. ``"table"``; see the method's docstring.
        source: Ids of source rows; none for ``"random"`` and ``"learned"``, and none for
            ``"mean"``, the mean of all.
        weights: Their weights; positive and of sum 1, but for the rule ``"combined"``.
        support: Expected number of links, or of snippets, behind the row; 0 without.
        depth: How many steps of back-off it took; 0 for rows that have evidence of their own.
    """

    rule: str
    source: tuple[int, ...] = ()
    weights: tuple[float, ...] = ()
    support: float = 0.0
    depth: int = 0


@dataclass(frozen=True)
class EmbeddingMatrix:
    """float32 rows (V_target, D) with provenance, one entry a row, in arrays.

    Attributes:
        rows: float32 (V_target, D).
        method: Name of the method that made them.
        rules: Names of the rules; `rule` indexes them.
        rule: uint8 (V_target,).
        indptr: int64 (V_target + 1), where each row's sources start.
        source: int32 (num_sources,), source ids, heaviest (without sign) first within a row.
        weights: float32 (num_sources,).
        support: float32 (V_target,).
        depth: uint8 (V_target,), back-off depth.
    """

    rows: NDArray[np.float32]
    method: str
    rules: tuple[str, ...]
    rule: NDArray[np.uint8]
    indptr: NDArray[np.int64]
    source: NDArray[np.int32]
    weights: NDArray[np.float32]
    support: NDArray[np.float32]
    depth: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def norm(self) -> NDArray[np.float32]:
        """Euclidean length of every row, (V_target,)."""
        norms: NDArray[np.float32] = np.linalg.norm(self.rows, axis=1)
        return norms

    @property
    def entropy_nats(self) -> NDArray[np.float32]:
        """Entropy of each row's source weights, (V_target,); 0 for a copy.

        Of their shares without sign, where a method has negative weights.
        """
        weights = np.abs(self.weights.astype(np.float64))
        row_of = np.repeat(np.arange(len(self)), np.diff(self.indptr))
        weights /= np.bincount(row_of, weights=weights, minlength=len(self))[row_of]
        terms = weights * np.log(np.maximum(weights, 1e-30))
        sums = np.bincount(row_of, weights=terms, minlength=len(self))
        entropy: NDArray[np.float32] = np.abs(sums).astype(np.float32)
        return entropy

    @property
    def num_duplicates(self) -> int:
        """Rows that equal another row to the bit, beyond the first of each kind.

        Tokens that share a row are one token to the model until training parts them.
        """
        digests = {blake2b(row, digest_size=16).digest() for row in self.rows}
        return len(self.rows) - len(digests)

    def coverage(self) -> dict[str, int]:
        """Number of rows made by each rule."""
        counts = Counter(self.rule.tolist())
        return {name: counts[number] for number, name in enumerate(self.rules) if counts[number]}

    def coverage_by_depth(self) -> dict[int, int]:
        """Number of rows at each back-off depth."""
        return dict(sorted(Counter(self.depth.tolist()).items()))

    def origin(self, token: int) -> Origin:
        """Returns where the row of one target token came from."""
        span = slice(int(self.indptr[token]), int(self.indptr[token + 1]))
        return Origin(
            rule=self.rules[int(self.rule[token])],
            source=tuple(self.source[span].tolist()),
            weights=tuple(self.weights[span].tolist()),
            support=float(self.support[token]),
            depth=int(self.depth[token]),
        )

    @classmethod
    def from_origins(
        cls, rows: NDArray[np.float32], origins: Sequence[Origin], *, method: str
    ) -> "EmbeddingMatrix":
        """Packs rows and one origin for each."""
        rules = tuple(sorted({origin.rule for origin in origins}))
        number = {name: index for index, name in enumerate(rules)}
        sizes = [len(origin.source) for origin in origins]
        return cls(
            rows=np.ascontiguousarray(rows, dtype=np.float32),
            method=method,
            rules=rules,
            rule=np.array([number[origin.rule] for origin in origins], dtype=np.uint8),
            indptr=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            source=np.array([i for o in origins for i in o.source], dtype=np.int32),
            weights=np.array([w for o in origins for w in o.weights], dtype=np.float32),
            support=np.array([origin.support for origin in origins], dtype=np.float32),
            depth=np.array([origin.depth for origin in origins], dtype=np.uint8),
        )

    def save(self, folder: Path) -> None:
        """Writes `rows.safetensors` and `rows.json` into a folder."""
        tensors = {name: getattr(self, name) for name in _ARRAYS}
        with atomic_path(folder / "rows.safetensors") as path:
            save_file(tensors, path)
        write_json(folder / "rows.json", {"method": self.method, "rules": list(self.rules)})

    @classmethod
    def load(cls, folder: Path) -> "EmbeddingMatrix":
        """Reads what `save` wrote.

        Raises:
            StoreError: A file is missing, damaged or holds something else.
        """
        facts = read_json(folder / "rows.json")
        path = folder / "rows.safetensors"
        try:
            tensors = load_file(path)
            return cls(method=facts["method"], rules=tuple(facts["rules"]), **tensors)
        except (OSError, SafetensorError, KeyError, TypeError) as error:
            raise StoreError(
                expected="rows with their origins", got=str(error), where=str(path)
            ) from error


_ARRAYS = ("rows", "rule", "indptr", "source", "weights", "support", "depth")


def mix(source_rows: NDArray[np.float32], origins: Sequence[Origin]) -> NDArray[np.float32]:
    """Returns each origin's weighted sum of source rows, (len(origins), D).

    A single source of weight 1 is copied to the bit, without passing through a product; the rule
    ``"mean"`` stands for the mean of all source rows.
    """
    rows = np.zeros((len(origins), source_rows.shape[1]), dtype=np.float32)
    mean = source_rows.mean(axis=0, dtype=np.float64)
    for number, origin in enumerate(origins):
        if origin.rule == "mean":
            rows[number] = mean
        elif len(origin.source) == 1 and origin.weights[0] == 1.0:
            rows[number] = source_rows[origin.source[0]]
        elif origin.source:
            weights = np.asarray(origin.weights, dtype=np.float64)
            rows[number] = weights @ source_rows[list(origin.source)].astype(np.float64)
    return rows


def lengthened(
    rows: NDArray[np.float32],
    source_rows: NDArray[np.float32],
    origins: Sequence[Origin],
    *,
    share: float,
) -> NDArray[np.float32]:
    """Gives mixed rows a share of the length back that mixing took from them.

    Rows that point apart are longer than their mean. With d a mixed row's difference to the mean
    of all source rows and l the weighted mean of its sources' own such lengths, d becomes
    d · (l / |d|)^share. Rows of one source stay as they are, to the bit.

    Args:
        rows: float32 (V_target, D), see `mix`.
        source_rows: float32 (V_source, D).
        origins: One for each row.
        share: 0 keeps the rows; 1 restores the sources' length, which ruins a tied model.

    Returns:
        Rows (V_target, D).
    """
    mean_D = source_rows.mean(axis=0, dtype=np.float64)
    restored = rows.copy()
    for number, origin in enumerate(origins):
        if len(origin.source) > 1:
            difference_D = rows[number] - mean_D
            own = float(np.linalg.norm(difference_D))
            # Row by row: all differences at once would be twice the source matrix in float64.
            lengths = np.linalg.norm(source_rows[list(origin.source)] - mean_D, axis=1)
            before = float(np.dot(origin.weights, lengths))
            if own > 0.0:
                restored[number] = mean_D + (before / own) ** share * difference_D
    return restored


def weighted_origin(
    rule: str,
    ids: NDArray[np.integer[Any]],
    counts: NDArray[np.number[Any]],
    *,
    support: float = 0.0,
    depth: int = 0,
) -> Origin:
    """Returns the origin whose weights are the counts' shares, the heaviest first."""
    order = np.argsort(-counts, kind="stable")
    weights = counts[order] / counts.sum()
    return Origin(
        rule, tuple(ids[order].tolist()), tuple(weights.tolist()), support=support, depth=depth
    )
