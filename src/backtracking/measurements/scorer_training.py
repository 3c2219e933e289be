"""Trains the sentence scorer: logistic regression on labels, calibrated on held-out questions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from backtracking.errors import UserError
from backtracking.text.onsets.scorer import BUCKETS, CLASSES, Array, Context, Scorer, buckets, softmax

FOLDS = 5
_PENALTY = 0.05
_FEWEST = 20


@dataclass(frozen=True)
class Labelled:
    """A sentence in its surroundings, its label, and the question that it belongs to."""

    sentence: Context
    label: str
    question: str


def contexts_of(text: str, spans: Sequence[tuple[int, int, str]]) -> list[Context]:
    """Each sentence with its neighbours; white space is made one."""
    parts = ["", *(" ".join(text[start:end].split()) for start, end, _ in spans), ""]
    return [
        Context(part, before, after) for before, part, after in zip(parts, parts[1:], parts[2:], strict=False)
    ]


def labelled(question: str, text: str, spans: Sequence[tuple[int, int, str]]) -> list[Labelled]:
    """The labelled sentences of one trace."""
    pairs = zip(contexts_of(text, spans), spans, strict=True)
    return [Labelled(context, label, question) for context, (_, _, label) in pairs]


def train_scorer(data: Sequence[Labelled], seed: int = 0) -> Scorer:
    """Fitted on all sentences; temperature and thresholds come from predictions for held-out questions."""
    truth = _classes(data)
    held_out = held_out_logits(data, seed)
    temperature, shift = _calibration(held_out, truth)
    chances = softmax(held_out / temperature + shift)
    thresholds = {
        "doubt_or_redo": best_threshold(chances[:, 1] + chances[:, 2], truth > 0),
        "redo": best_threshold(chances[:, 2], truth == 2),
    }
    about = {"sentences": len(data), "questions": len({one.question for one in data})}
    fitted = _fit(_matrix(data), truth)
    bias = fitted.bias / temperature + shift
    return replace(fitted, bias=bias, temperature=temperature, thresholds=thresholds, about=about)


def held_out_logits(data: Sequence[Labelled], seed: int = 0, folds: int = FOLDS) -> Array:
    """[sentence, class]: logits from a scorer that saw no sentence of the same question."""
    questions = sorted({one.question for one in data})
    if len(questions) < folds:
        raise UserError(
            f"{len(questions)} questions are too few to train on",
            f"sentences of each question are predicted from the others, in {folds} parts",
        )
    drawn = np.random.default_rng(seed).permutation(len(questions)) % folds
    fold_of = dict(zip(questions, drawn, strict=True))
    folds_of = np.array([fold_of[one.question] for one in data])
    features, truth = _matrix(data), _classes(data)
    logits = np.zeros((len(data), len(CLASSES)))
    for fold in range(folds):
        scorer = _fit(features[folds_of != fold], truth[folds_of != fold])
        logits[folds_of == fold] = features[folds_of == fold] @ scorer.weights.T + scorer.bias
    return logits


def best_threshold(probability: Array, truth: NDArray[np.bool_]) -> float:
    """The threshold with the largest F1."""
    order = np.argsort(-probability)
    hits = np.cumsum(truth[order])
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + truth.sum())
    return float(round(probability[order][int(f1.argmax())], 3))


def _classes(data: Sequence[Labelled]) -> NDArray[np.int_]:
    """The class of each sentence; a kind that the scorer has no class for is none of its own."""
    labels = [one.label if one.label in CLASSES else "none" for one in data]
    counts = {name: labels.count(name) for name in CLASSES}
    if few := [f"{count} of kind {name}" for name, count in counts.items() if count < _FEWEST]:
        raise UserError(
            f"too few labelled sentences to train on: {', '.join(few)}",
            f"each kind needs at least {_FEWEST}",
            "label more, or map their labels with import-labels --map",
        )
    return np.array([CLASSES.index(label) for label in labels])


def _matrix(data: Sequence[Labelled]) -> csr_matrix:
    buckets_of = [buckets(one.sentence) for one in data]
    values = np.concatenate([np.full(len(row), 1 / np.sqrt(max(1, len(row)))) for row in buckets_of])
    starts = np.cumsum([0, *map(len, buckets_of)])
    return csr_matrix((values, np.concatenate(buckets_of), starts), shape=(len(data), BUCKETS))


def _fit(features: csr_matrix, truth: NDArray[np.int_]) -> Scorer:
    wanted = np.eye(len(CLASSES))[truth]
    size = len(CLASSES) * BUCKETS

    def loss(flat: Array) -> tuple[float, Array]:
        weights, bias = flat[:size].reshape(len(CLASSES), BUCKETS), flat[size:]
        p = softmax(np.asarray(features @ weights.T + bias))
        error = p - wanted
        slope = (features.T @ error).T + _PENALTY * weights
        value = -np.log(np.maximum(p[np.arange(len(truth)), truth], 1e-300)).sum()
        return value + _PENALTY / 2 * float((weights**2).sum()), np.r_[slope.ravel(), error.sum(axis=0)]

    flat = minimize(
        loss, np.zeros(size + len(CLASSES)), jac=True, method="L-BFGS-B", options={"maxiter": 300}
    ).x
    return Scorer(flat[:size].reshape(len(CLASSES), BUCKETS), flat[size:])


def _calibration(logits: Array, truth: NDArray[np.int_]) -> tuple[float, Array]:
    """What the logits are divided by, and what is then added, so that held-out sentences are likeliest."""

    def surprise(given: Array) -> float:
        p = softmax(logits * np.exp(given[0]) + given[1:])
        return float(-np.log(np.maximum(p[np.arange(len(truth)), truth], 1e-300)).mean())

    bounds = [(-5.0, 3.0), *[(-5.0, 5.0)] * len(CLASSES)]
    best = minimize(surprise, np.zeros(1 + len(CLASSES)), method="L-BFGS-B", bounds=bounds).x
    return float(np.exp(-best[0])), best[1:]
