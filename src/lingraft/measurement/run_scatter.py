"""How much runs of one kind scatter in log loss, where some of them share a trunk."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lingraft.measurement.transfer_losses import Loss

Array = NDArray[np.float64]

# Log loss. Runs of different seeds differ by more than a thousand times this; such that do not
# are copies of one run, or their losses were rounded.
_SMALLEST_SCATTER = 1e-7
_LARGEST_MOVE = 4.0  # of log loss: a factor of fifty, off any curve on either side


class RunScatter:
    """Scatter of runs about the mean of their kind, pooled over the kinds of one target.

    The log loss of a run is the mean of its kind, plus what its trunk brought, plus what is its
    own. A run without a trunk is a trunk of its own, with nothing else. What trunks brought is
    estimated by least squares. Kinds that a trunk connects determine it but for a constant, so
    that each connected group tells as much about scatter as it has trunks, less one: two trunks
    measured at six sizes are two runs, not twelve.

    Args:
        groups: All runs of a target, by kind.

    Attributes:
        num_free: Degrees of freedom behind the scatter of trunks.
        deviation: Standard deviation of log loss from trunk to trunk; None without any freedom.
    """

    def __init__(self, groups: Sequence[Sequence[Loss]]) -> None:
        runs = [(kind, run) for kind, group in enumerate(groups) for run in group]
        numbers: dict[object, int] = {}
        trunks = [numbers.setdefault(x.trunk or at, len(numbers)) for at, (_, x) in enumerate(runs)]
        log_nats = np.log([run.nats_per_byte for _, run in runs])
        means = np.zeros((len(groups), len(runs)))  # from runs to the mean of each kind
        for at, (kind, _) in enumerate(runs):
            means[kind, at] = 1 / len(groups[kind])
        owners = np.eye(len(numbers))[trunks]  # (runs, trunks)
        centring = np.eye(len(runs)) - (means > 0).T @ means
        centred = centring @ owners
        # Singular values of a connected group are 0 once, and else above one over its runs.
        self.num_free = int(np.linalg.matrix_rank(centred, tol=1e-6))
        brought = np.linalg.pinv(centred, rcond=1e-6) @ (centring @ log_nats)
        own = centring @ log_nats - centred @ brought
        self._num_own_free = len(runs) - len(groups) - self.num_free
        self.deviation = _deviation(brought, self.num_free)
        self._own_deviation = _deviation(own, self._num_own_free) or 0.0
        self._means = means @ log_nats
        self._trunk_shares = means @ owners
        shared = np.array([bool(run.trunk) for _, run in runs])
        self._own_shares = np.sqrt((means**2)[:, shared].sum(axis=1))

    def why_unknown(self) -> str:
        """Why nothing can be said about scatter; empty where it can."""
        if not self.num_free:
            alone = "no kind of run has several seeds"
            return f"{alone} that do not share a trunk" if self._num_own_free else alone
        if self.deviation is not None and self.deviation < _SMALLEST_SCATTER:
            return "runs of several seeds have the same loss: no scatter to tell from"
        return ""

    def draw(self, num_draws: int, generator: np.random.Generator) -> Array:
        """Returns draws of the mean log loss of every kind, (num_draws, num_groups).

        Few runs say little about the scatter itself: each draw divides by √(χ²_ν / ν), which
        makes them Student's t. Their form is taken as normal, since few runs do not show it.
        """
        trunks = self._moves(self._trunk_shares.shape[1], num_draws, self.num_free, generator)
        drawn = (self.deviation or 0.0) * trunks @ self._trunk_shares.T
        if self._num_own_free:
            own = self._moves(len(self._means), num_draws, self._num_own_free, generator)
            drawn = drawn + self._own_deviation * own * self._own_shares
        # With one degree of freedom a few draws are off by any amount, more than floats hold.
        return np.asarray(self._means + np.clip(drawn, -_LARGEST_MOVE, _LARGEST_MOVE))

    @staticmethod
    def _moves(num: int, num_draws: int, num_free: int, generator: np.random.Generator) -> Array:
        scales = np.sqrt(num_free / generator.chisquare(num_free, num_draws))
        return np.asarray(generator.standard_normal((num_draws, num)) * scales[:, None])


def _deviation(moves: Array, num_free: int) -> float | None:
    return float(np.sqrt((moves**2).sum() / num_free)) if num_free else None
