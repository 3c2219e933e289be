"""Synthetic runs for report tests: tables with a known truth."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd

from backtracking.measurements.tradeoff import summarize_arms
from backtracking.run import io
from backtracking.run.paths import RunPaths

MAIN = "baseline_think_newline"


def event_rows(
    condition: str,
    backtracking: float,
    accuracy: float,
    *,
    problems: int = 40,
    samples: int = 4,
    seed: int = 0,
) -> pd.DataFrame:
    """Rows of one condition with the given rates; problems differ in difficulty."""
    generator = np.random.default_rng([seed, len(condition)])
    tilt = np.repeat(generator.normal(0.0, 0.05, problems), samples)
    count = problems * samples
    return pd.DataFrame(
        {
            "example_id": np.repeat([f"p{k}" for k in range(problems)], samples),
            "sample_id": np.tile(np.arange(samples), problems),
            "variant": MAIN,
            "condition": condition,
            "has_backtracking_strict": generator.random(count) < np.clip(backtracking + tilt, 0, 1),
            "is_correct": generator.random(count) < np.clip(accuracy - tilt, 0, 1),
            "finish_reason": "stop",
            "completion_tokens": generator.integers(40, 80, count),
            "n_onsets_strict": 1,
            "predicted_answer": "1",
            "is_loop": False,
            "is_empty": False,
            "non_ascii_burst": False,
            "distinct_3": 0.9,
        }
    )


def sweep_table(
    arms: dict[str, tuple[float, float]],
    margin: float = 0.05,
    everywhere: Mapping[str, object] = MappingProxyType({}),
    of_arm: Mapping[str, Mapping[str, object]] = MappingProxyType({}),
    problems: int = 100,
    samples: int = 6,
) -> pd.DataFrame:
    """A sweep's table for arms of given backtracking rate and accuracy; the first must be the baseline.

    `everywhere` and `of_arm` are laid over the columns of all rows and of one arm's.
    """
    parts = [
        event_rows(name, *rates, problems=problems, samples=samples, seed=index).assign(
            arm=name,
            subset_name=name,
            scale=None,
            num_components=0 if name == "baseline" else 2,
            kind="baseline" if name == "baseline" else "intervention",
            **(dict(everywhere) | dict(of_arm.get(name, {}))),
        )
        for index, (name, rates) in enumerate(arms.items())
    ]
    return summarize_arms(pd.concat(parts), margin)


def run_paths(folder: Path, **tables: pd.DataFrame) -> RunPaths:
    """A run folder with these tables (names without `.csv`)."""
    paths = RunPaths(folder / "runs", "test")
    for name, table in tables.items():
        io.write_csv(paths.table(f"{name}.csv"), table)
    return paths
