"""Coverage of what arms are judged on, by simulation: onsets after wrong steps, and the share removed.

    python benchmarks/outcome.py [--repeats 1500]

Problems differ in how often a step of theirs is wrong and in how often a wrong one is doubted; both go up and
down together. Every cell draws whole studies and counts how often the 95% interval holds the true value.
"""

import argparse
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from backtracking.measurements import statistics as st

PROBLEMS = (20, 50, 120)
STEPS = (4, 12)
"""Steps per problem, over all of its completions."""
PREFIXES = ((15, 2), (40, 1), (40, 3), (100, 1))
"""Problems, and the most prefixes of one."""
Pair = tuple[st.Array, st.Array]


@dataclass(frozen=True)
class Arms:
    """Baseline and arm: how often steps are wrong, how often wrong ones are doubted, and the true change."""

    name: str
    wrong: float
    doubted: float
    change: float
    spread: float
    wrong_under_arm: Callable[[st.Array, st.Array], st.Array] = lambda _, wrong: wrong

    def study(self, generator: np.random.Generator, problems: int, steps: int) -> tuple[Pair, Pair]:
        """Onsets and wrong steps per problem, of the arm and of the baseline."""
        hard = generator.normal(size=problems)
        wrong = 1 / (1 + np.exp(np.log(1 / self.wrong - 1) - hard))
        doubted = np.clip(self.doubted + self.spread * hard, 0.01, 0.99)
        sides = []
        for rate, share in (
            (self.wrong_under_arm(hard, wrong), np.clip(doubted + self.change, 0, 1)),
            (wrong, doubted),
        ):
            errors = generator.binomial(steps, rate).astype(float)
            sides.append((generator.binomial(errors.astype(int), share).astype(float), errors))
        return sides[0], sides[1]


ARMS = (
    Arms("idle, mostly doubted", 0.3, 0.9, 0.0, 0.0),
    Arms("idle, problems differ", 0.3, 0.6, 0.0, 0.2),
    Arms("silences by 40 points", 0.3, 0.6, -0.4, 0.05),
    Arms("silences, few errors", 0.1, 0.6, -0.3, 0.1),
    Arms("makes a third of the errors", 0.3, 0.6, 0.0, 0.2, lambda _, wrong: wrong / 3),
    Arms("spares the hard problems", 0.3, 0.6, 0.0, 0.25, lambda hard, wrong: wrong * (1 - 0.8 * (hard > 0))),
)
RESPONSES = (
    (0.95, 0.04, 0.95, 0.04),
    (0.95, 0.04, 0.5, 0.04),
    (0.95, 0.04, 0.02, 0.02),
    (0.9, 0.1, 0.5, 0.4),
    (0.6, 0.3, 0.45, 0.3),
)
"""P(onset) behind an injected error and behind the right step: of the baseline, then of the arm."""


def differences(arms: Arms, problems: int, steps: int, repeats: int) -> list[tuple[str, float, float]]:
    """By both estimates: how often the interval holds the true change, and by how much the value is off."""
    lines = []
    for name, estimate in (("inside problems", st.difference_within), ("plain", st.paired_difference)):
        generator = np.random.default_rng(5)
        found = [estimate(*arms.study(generator, problems, steps)) for _ in range(repeats)]
        known = [one for one in found if np.isfinite(one.low)]
        covers = np.mean([one.low <= arms.change <= one.high for one in known])
        lines.append((name, float(covers), float(np.mean([one.value - arms.change for one in known]))))
    return lines


def shares(response: Sequence[float], problems: int, most: int, repeats: int) -> tuple[float, float]:
    """How often Fieller's interval holds the true share, and how often there is none."""
    generator = np.random.default_rng(5)
    truth = 1 - (response[2] - response[3]) / (response[0] - response[1])
    found = []
    for _ in range(repeats):
        sizes = generator.integers(1, most + 1, problems)
        onsets = [generator.binomial(sizes, rate).astype(float) for rate in response]
        found.append(st.removed_share(onsets[2] - onsets[3], onsets[0] - onsets[1], sizes))
    known = [one for one in found if np.isfinite(one.low)]
    return float(np.mean([one.low <= truth <= one.high for one in known])), 1 - len(known) / repeats


def main() -> None:
    """Run every simulation and print its result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=1500)
    repeats = parser.parse_args().repeats
    for arms, problems, steps in itertools.product(ARMS, PROBLEMS, STEPS):
        found = "; ".join(
            f"{name} covers {covers:.1%}, off by {100 * off:+.1f} points"
            for name, covers, off in differences(arms, problems, steps, repeats)
        )
        print(f"{arms.name}, {problems} problems of {steps} steps: {found}", flush=True)
    for response, (problems, most) in itertools.product(RESPONSES, PREFIXES):
        covers, none = shares(response, problems, most, repeats)
        said = f"covers {covers:.1%}, none in {none:.1%}"
        print(f"share removed, {response}, {problems} problems of up to {most}: {said}", flush=True)


if __name__ == "__main__":
    main()
