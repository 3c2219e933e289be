"""How often an exchangeable target is called the lowest of all random sets: `python -P -m benchmarks.ranks`.

The sets truly differ among themselves (standard deviations of 5, 10 and 20 points), and the target is one
more of them. Rows share their noise across conditions, as the engine's do.
"""

import numpy as np
import pandas as pd

from backtracking.interventions import Arm, Condition
from backtracking.measurements.random_sets import beside_the_target, target_rank
from backtracking.measurements.statistics import LEVEL

SETS, SAMPLES, RATE = 19, 6, 0.5


def study(
    generator: np.random.Generator, spread: float, problems: int, samples: int, target: float | None = None
) -> pd.DataFrame:
    """Events of a baseline, a targeted set and random ones; the target's effect is drawn like theirs."""
    effects = generator.normal(0.0, spread, SETS + 1)
    arm = Arm("random", "random", None, tuple(Condition(name="random", draw=k) for k in range(SETS)))
    problem, sample = (part.ravel() for part in np.indices((problems, samples)))
    dealt = np.array([arm.for_row(int(p), int(s)).draw for p, s in zip(problem, sample, strict=True)])
    harder = generator.normal(0.0, 0.2, problems)[problem]
    shared = generator.random(problem.size)
    shifts = {
        "baseline": 0.0,
        "targeted_ablation": effects[SETS] if target is None else target,
        "random_ablation": effects[dealt],
    }
    parts = []
    for condition, shift in shifts.items():
        own = generator.random(problem.size)  # texts part: half of the noise is the row's own
        noise = np.where(generator.random(problem.size) < 0.5, shared, own)
        parts.append(
            pd.DataFrame(
                {
                    "example_id": [f"p{k}" for k in problem],
                    "sample_id": sample,
                    "variant": "v",
                    "condition": condition,
                    "draw": dealt if condition == "random_ablation" else np.nan,
                    "has_backtracking_strict": noise < np.clip(RATE + harder + shift, 0.02, 0.98),
                    "has_backtracking_relaxed": False,
                    "is_correct": None,
                    "completion_tokens": 50,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def wrongly_lowest(spread: float, *, repetitions: int, problems: int, seed: int) -> float:
    """The share of studies whose exchangeable target has a rank p of at most the level."""
    generator = np.random.default_rng(seed)
    found = [
        target_rank(beside_the_target(study(generator, spread, problems, SAMPLES)), "backtracking").p <= LEVEL
        for _ in range(repetitions)
    ]
    return float(np.mean(found))


if __name__ == "__main__":
    for spread in (0.0, 0.05, 0.10, 0.20):
        share = wrongly_lowest(spread, repetitions=500, problems=200, seed=0)
        print(f"sets differ by {100 * spread:2.0f} points: p <= {LEVEL} for {share:.1%} of the targets")
