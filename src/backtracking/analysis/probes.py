"""Linear probes and how well they tell two classes apart, with problems as the unit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import rankdata

from backtracking.analysis.jackknife import Array

Labels = NDArray[np.bool_]
RESAMPLES = 400
PENALTY = 1.0


@dataclass(frozen=True)
class Interval:
    """A value with its 95% interval."""

    value: float
    low: float
    high: float


def auroc(scores: Array, positive: Labels) -> float:
    """Chance that a positive scores above a negative (ties count half)."""
    wins = float(rankdata(scores)[positive].sum())
    count = int(positive.sum())
    pairs = count * int((~positive).sum())
    return (wins - count * (count + 1) / 2) / pairs if pairs else float("nan")


def auroc_interval(scores: Array, positive: Labels, problems: Sequence[str], seed: int) -> Interval:
    """AUROC with a percentile interval from resampled problems."""
    labels, codes = np.unique(np.asarray(problems, dtype=str), return_inverse=True)
    members = [np.flatnonzero(codes == code) for code in range(len(labels))]
    generator = np.random.default_rng(seed)
    draws = []
    for _ in range(RESAMPLES):
        rows = np.concatenate([members[k] for k in generator.integers(len(labels), size=len(labels))])
        draws.append(auroc(scores[rows], positive[rows]))
    low, high = np.nanpercentile(draws, [2.5, 97.5]) if np.isfinite(draws).any() else (np.nan, np.nan)
    return Interval(auroc(scores, positive), float(low), float(high))


def fit_probe(features: Array, positive: Labels, penalty: float = PENALTY) -> Callable[[Array], Array]:
    """Ridge-penalised logistic regression on standardised features, as a scoring function.

    The solution lies in the span of the rows, so the search runs there: its size is the number of rows.
    """
    centre, spread = features.mean(0), features.std(0)
    spread = np.where(spread > 1e-8, spread, 1.0) * np.sqrt(features.shape[1])
    left, singular, right = np.linalg.svd((features - centre) / spread, full_matrices=False)
    coordinates = left * singular
    signs = np.where(positive, 1.0, -1.0)

    def loss(weights: Array) -> tuple[float, Array]:
        margin = signs * (coordinates @ weights[:-1] + weights[-1])
        residual = -signs / (1 + np.exp(np.clip(margin, -500, 500)))
        value = np.logaddexp(0, -margin).sum() + 0.5 * penalty * (weights[:-1] ** 2).sum()
        gradient = np.concatenate([coordinates.T @ residual + penalty * weights[:-1], [residual.sum()]])
        return float(value), gradient

    found = minimize(loss, np.zeros(coordinates.shape[1] + 1), jac=True, method="L-BFGS-B")
    direction = right.T @ found.x[:-1]

    def score(rows: Array) -> Array:
        scores: Array = ((rows - centre) / spread) @ direction + found.x[-1]
        return scores

    return score
