"""How often an arm's accuracy is called held, by simulation with known truth.

    python benchmarks/equivalence.py [--repeats 1000]

Problems differ in difficulty (beta-binomial with a given correlation inside a problem). An arm loses a known
part of the accuracy: spread over all problems alike, or sparse, all of it in a few problems that it never
solves again. The loss is as large as the rule allows (then "held" is an error, at most 2.5% of studies), or
all of the accuracy, or none (then "held" is right). Beside the rule stands Student's interval, which knows
only the losses that it saw, against the margin as it stands.
"""

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from backtracking.measurements.bounded import no_worse_p
from backtracking.measurements.floors import allowed_loss, too_low
from backtracking.measurements.statistics import LEVEL, Array, paired_difference

MARGIN = 0.05
ACCURACIES = (0.03, 0.1, 0.3, 0.6, 0.9, 0.99)
PROBLEMS = (20, 40, 100, 200)
CORRELATIONS = (0.1, 0.5)
LOSSES = ("spread", "sparse")
SAMPLES = 4


@dataclass(frozen=True)
class Cell:
    """One kind of study."""

    accuracy: float
    problems: int
    correlation: float
    kind: str

    def study(self, generator: np.random.Generator, loss: float) -> tuple[Array, Array]:
        """Right answers by problem under the arm and under the baseline; `loss` is in accuracy."""
        size = 1 / self.correlation - 1
        rates = generator.beta(self.accuracy * size, (1 - self.accuracy) * size, self.problems)
        share = loss / self.accuracy
        changed = (
            rates * (1 - share)
            if self.kind == "spread"
            else rates * (generator.random(self.problems) >= share)
        )
        return generator.binomial(SAMPLES, changed).astype(float), generator.binomial(SAMPLES, rates).astype(
            float
        )


def grid() -> Iterator[Cell]:
    for accuracy, problems, correlation, kind in itertools.product(
        ACCURACIES, PROBLEMS, CORRELATIONS, LOSSES
    ):
        yield Cell(accuracy, problems, correlation, kind)


def held(cell: Cell, generator: np.random.Generator, loss: float, repeats: int) -> tuple[float, float]:
    """How often the loss is called held: by the rule, and by Student's interval."""
    totals = np.full(cell.problems, float(SAMPLES))
    hits = np.zeros(2)
    for _ in range(repeats):
        arm, base = cell.study(generator, loss)
        seen = float(base.sum() / totals.sum())
        if not too_low("accuracy", seen, MARGIN):
            p = no_worse_p((arm, totals), (base, totals), allowed_loss(MARGIN, seen))
            hits[0] += p < LEVEL / 2  # where the interval's lower end lies above
        hits[1] += paired_difference((arm, totals), (base, totals)).low > -MARGIN
    by_rule, by_student = hits / repeats
    return float(by_rule), float(by_student)


def main() -> None:
    """Every cell's rates, worst over correlations, as a table; then the worst of all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=1000)
    repeats = parser.parse_args().repeats
    generator = np.random.default_rng(0)
    print("| accuracy | problems | loss | called held (Student) | all lost: held (Student) | no loss: held |")
    print("|---|---|---|---|---|---|")
    errors = []
    for _, cells in itertools.groupby(grid(), key=lambda cell: (cell.accuracy, cell.problems)):
        lines: dict[str, list[Array]] = {kind: [] for kind in LOSSES}
        for cell in cells:
            loss = allowed_loss(MARGIN, cell.accuracy)
            rates = [held(cell, generator, lost, repeats) for lost in (loss, cell.accuracy, 0.0)]
            lines[cell.kind].append(np.array(rates))
        for kind, rates_of_kind in lines.items():
            worst, least = np.max(rates_of_kind, axis=0), np.min(rates_of_kind, axis=0)
            errors.append(worst[0, 0])
            print(
                f"| {cell.accuracy:.0%} | {cell.problems} | {kind} | {worst[0, 0]:.1%} ({worst[0, 1]:.1%}) | "
                f"{worst[1, 0]:.1%} ({worst[1, 1]:.1%}) | {least[2, 0]:.0%} |",
                flush=True,
            )
    print(
        f"a loss of what is allowed, called held: at most {max(errors):.1%}, on average {np.mean(errors):.1%}"
    )


if __name__ == "__main__":
    main()
