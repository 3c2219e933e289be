"""Linear probes and how well they tell two classes apart, with problems as the unit."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from backtracking.measurements.statistics import Array, Interval

Labels = NDArray[np.bool_]
RESAMPLES = 400
PENALTY = 1.0


def auroc(scores: Array, positive: Labels, counts: NDArray[np.integer[Any]] | None = None) -> float:
    """Chance that a positive scores above a negative (ties count half); a row may count several times."""
    values, places = np.unique(scores, return_inverse=True)
    counted = np.ones(len(scores), dtype=int) if counts is None else counts
    winners = np.bincount(places, counted * positive, minlength=len(values))
    losers = np.bincount(places, counted * ~positive, minlength=len(values))
    pairs = winners.sum() * losers.sum()
    return float(winners @ (losers.cumsum() - losers / 2) / pairs) if pairs else float("nan")


def auroc_interval(scores: Array, positive: Labels, problems: Sequence[str], seed: int) -> Interval:
    """AUROC with a percentile interval from resampled problems."""
    labels, codes = np.unique(np.asarray(problems, dtype=str), return_inverse=True)
    size = len(labels)
    generator = np.random.default_rng(seed)
    drawn = (np.bincount(generator.integers(size, size=size), minlength=size) for _ in range(RESAMPLES))
    draws = [auroc(scores, positive, times[codes]) for times in drawn]
    low, high = np.nanpercentile(draws, [2.5, 97.5]) if np.isfinite(draws).any() else (np.nan, np.nan)
    return Interval(auroc(scores, positive), float(low), float(high))


class ProbeSpace:
    """Standardised features, ready for ridge-penalised logistic regressions on several labellings.

    A solution lies in the span of the rows, so the search runs there: its size is the number of rows.
    """

    def __init__(self, features: Array, penalty: float = PENALTY) -> None:
        spread = features.std(0)
        self._centre = features.mean(0)
        self._spread = np.where(spread > 1e-8, spread, 1.0) * np.sqrt(features.shape[1])
        left, singular, self._right = np.linalg.svd(self._scaled(features), full_matrices=False)
        self._coordinates = left * singular
        self._penalty = penalty

    def fit(self, positive: Labels) -> Callable[[Array], Array]:
        """A function that scores rows: the log-odds of being positive."""
        signs = np.where(positive, 1.0, -1.0)

        def loss(weights: Array) -> tuple[float, Array]:
            return self._loss(weights, signs)

        start = np.zeros(self._coordinates.shape[1] + 1)
        minimum = minimize(loss, start, jac=True, method="L-BFGS-B")
        direction = self._right.T @ minimum.x[:-1]

        def score(rows: Array) -> Array:
            scores: Array = self._scaled(rows) @ direction + minimum.x[-1]
            return scores

        return score

    def _scaled(self, rows: Array) -> Array:
        scaled: Array = (rows - self._centre) / self._spread
        return scaled

    def _loss(self, weights: Array, signs: Array) -> tuple[float, Array]:
        inner = weights[:-1]
        margin = signs * (self._coordinates @ inner + weights[-1])
        residual = -signs / (1 + np.exp(np.clip(margin, -500, 500)))
        value = np.logaddexp(0, -margin).sum() + 0.5 * self._penalty * (inner**2).sum()
        gradient = self._coordinates.T @ residual + self._penalty * inner
        return float(value), np.concatenate([gradient, [residual.sum()]])
