"""A linear scorer of sentences: hashed n-grams of a sentence and its neighbours, calibrated probabilities."""

import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtracking.errors import UserError

Array = NDArray[np.float64]
CLASSES = ("none", "doubt", "redo")
BUCKETS = 1 << 15
_LONGEST = 400
_NEIGHBOUR = 120
_TOKEN = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|\d+|[?!.,:;=]")


@dataclass(frozen=True)
class Context:
    """A sentence with the one before and the one behind it."""

    text: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True)
class Scorer:
    """Weights per class and bucket; a temperature fitted on held-out sentences calibrates them."""

    weights: Array
    bias: Array
    temperature: float = 1.0
    thresholds: Mapping[str, float] = field(default_factory=lambda: {"doubt_or_redo": 0.5, "redo": 0.5})
    about: Mapping[str, Any] = field(default_factory=dict)

    def probabilities(self, sentences: Sequence[Context]) -> Array:
        """[sentence, class], the classes in the order of CLASSES."""
        logits = np.empty((len(sentences), len(CLASSES)))
        for row, sentence in enumerate(sentences):
            features = buckets(sentence)
            total = self.weights[:, features].sum(axis=1) / np.sqrt(max(1, len(features)))
            logits[row] = self.bias + total / self.temperature
        return softmax(logits)

    def judge(self, sentences: Sequence[Context]) -> dict[str, NDArray[np.bool_]]:
        """Per sentence whether it is a doubt or a redo, and whether a redo, by the stated thresholds."""
        p = self.probabilities(sentences)
        return {
            "doubt_or_redo": p[:, 1] + p[:, 2] >= self.thresholds["doubt_or_redo"],
            "redo": p[:, 2] >= self.thresholds["redo"],
        }

    def save(self, path: Path) -> None:
        """Write weights as safetensors, everything else as its metadata."""
        from safetensors.numpy import save_file

        about = {"temperature": self.temperature, "thresholds": dict(self.thresholds), **self.about}
        tensors = {"weights": self.weights.astype(np.float16), "bias": self.bias.astype(np.float32)}
        save_file(tensors, path, metadata={"scorer": json.dumps(about)})

    @classmethod
    def load(cls, path: Path) -> "Scorer":
        """A saved scorer; nothing in the file is run."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="np") as file:
                about = json.loads((file.metadata() or {})["scorer"])
                weights, bias = (file.get_tensor(name).astype(np.float64) for name in ("weights", "bias"))
            if weights.shape != (len(CLASSES), BUCKETS) or bias.shape != (len(CLASSES),):
                raise ValueError(f"its weights are {weights.shape}")
            known = {name: about.pop(name) for name in ("temperature", "thresholds")}
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise UserError(
                f"{path} does not hold a scorer", str(error), "make one with: backtracking onset-scorer train"
            ) from error
        return cls(weights, bias, **known, about=about)


@cache
def bundled_scorer() -> Scorer:
    """The scorer that ships with the package."""
    with as_file(files("backtracking").joinpath("assets", "onsets", "scorer.safetensors")) as path:
        return Scorer.load(path)


def buckets(sentence: Context) -> list[int]:
    """The buckets of everything that the sentence shows, each once."""
    return sorted({zlib.crc32(feature.encode()) % BUCKETS for feature in _features(sentence)})


def _features(sentence: Context) -> Iterator[str]:
    tokens = _tokens(sentence.text[:_LONGEST])
    words = ["^", *tokens, "$"]
    for length in (1, 2, 3):
        yield from (f"w {' '.join(words[k : k + length])}" for k in range(len(words) - length + 1))
    yield from (f"o{length} {' '.join(tokens[:length])}" for length in (1, 2, 3, 4))
    opening = f"^{' '.join(tokens)}"[:40]
    for length in (3, 4, 5):
        yield from (f"c {opening[k : k + length]}" for k in range(len(opening) - length + 1))
    for side, text in (("b", sentence.before[-_NEIGHBOUR:]), ("a", sentence.after[:_NEIGHBOUR])):
        near = _tokens(text)
        yield from (f"{side} {word}" for word in near)
        yield f"{side}^ {' '.join(near[:2])}"


def _tokens(text: str) -> list[str]:
    """Lower-cased words and marks; what a number is does not matter."""
    lowered = text.lower().replace("’", "'")
    return ["0" if token[0].isdigit() else token for token in _TOKEN.findall(lowered)]


def softmax(logits: Array) -> Array:
    """Rows of logits as probabilities."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))
