"""Accuracy as a function of the token cap, recomputed from one run by cutting its completions."""

from collections import defaultdict

import numpy as np
import pandas as pd

from backtracking.measurements import statistics
from backtracking.measurements.events import Measured

SMALLEST = 16


def caps_up_to(longest: int) -> list[int]:
    """Powers of two up to the cap that the run was generated under, and that cap."""
    powers = [2**k for k in range(SMALLEST.bit_length() - 1, longest.bit_length()) if 2**k < longest]
    return [*powers, longest]


class CapCurve:
    """Counts correct completions per cap, group and problem as they are measured."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, int], dict[str, list[int]]] = defaultdict(
            lambda: defaultdict(lambda: [0, 0, 0])
        )

    def add(self, measured: Measured) -> None:
        """Count one completion under every cap; one without a gold answer says nothing."""
        event = measured.event
        if not event["has_gold"]:
            return
        for cap, correct in measured.correct_at.items():
            counts = self._counts[event["variant"], event["condition"], cap][event["example_id"]]
            counts[0] += 1
            counts[1] += correct
            counts[2] += event["completion_tokens"] > cap or (
                event["completion_tokens"] == cap and event["truncated"]
            )

    def table(self) -> pd.DataFrame:
        """`accuracy_by_cap.csv`: accuracy (unanswered is wrong) and the share that the cap would cut."""
        lines = []
        for (variant, condition, cap), problems in sorted(self._counts.items()):
            total, correct, cut = np.array(list(problems.values()), dtype=float).T
            accuracy = statistics.rate(correct, total)
            lines.append(
                {
                    "variant": variant,
                    "condition": condition,
                    "cap": cap,
                    "total": int(total.sum()),
                    "accuracy": accuracy.value,
                    "accuracy_low": accuracy.low,
                    "accuracy_high": accuracy.high,
                    "truncation_rate": statistics.rate(cut, total).value,
                }
            )
        return pd.DataFrame(lines, columns=list(lines[0]) if lines else ["variant", "condition", "cap"])
