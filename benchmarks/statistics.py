"""Coverage of the intervals and false-positive rates of the claims, by simulation with known truth.

    python benchmarks/statistics.py [--repeats 2000]

Problems differ in difficulty (beta-binomial with the given correlation inside a problem); every cell draws
whole studies and counts how often the 95% interval holds the true value.
"""

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from backtracking.measurements import statistics as st

PROBLEMS = (20, 50, 100, 200)
SAMPLES = (1, 2, 4, 6)
CORRELATIONS = (0.0, 0.3, 0.7)
SHARES = (0.1, 0.2, 0.5, 0.8)
MARGIN = 0.05


@dataclass(frozen=True)
class Cell:
    """One kind of study."""

    problems: int
    samples: int
    share: float
    correlation: float

    def difficulties(self, generator: np.random.Generator, repeats: int) -> st.Array:
        """True success rates, [study, problem]."""
        if self.correlation == 0:
            return np.full((repeats, self.problems), self.share)
        size = 1 / self.correlation - 1
        return generator.beta(self.share * size, (1 - self.share) * size, (repeats, self.problems))

    def draw(self, generator: np.random.Generator, rates: st.Array) -> st.Array:
        """Successes per problem."""
        return generator.binomial(self.samples, rates).astype(float)


def grid() -> Iterator[Cell]:
    for problems, samples, share, correlation in itertools.product(PROBLEMS, SAMPLES, SHARES, CORRELATIONS):
        if samples > 1 or correlation == 0:
            yield Cell(problems, samples, share, correlation)


def rate_coverage(cell: Cell, generator: np.random.Generator, repeats: int) -> float:
    """How often the interval of a rate holds the true rate."""
    totals = np.full(cell.problems, float(cell.samples))
    drawn = cell.draw(generator, cell.difficulties(generator, repeats))
    found = [st.rate(counts, totals) for counts in drawn]
    return float(np.mean([one.low <= cell.share <= one.high for one in found]))


def bootstrap_coverage(cell: Cell, generator: np.random.Generator, repeats: int) -> float:
    """The same for the plain percentile bootstrap over problems, for comparison."""
    drawn = cell.draw(generator, cell.difficulties(generator, repeats)) / cell.samples
    weights = generator.multinomial(cell.problems, np.full(cell.problems, 1 / cell.problems), 600)
    low, high = np.quantile(drawn @ weights.T / cell.problems, [0.025, 0.975], axis=1)
    return float(np.mean((low <= cell.share) & (cell.share <= high)))


def paired(cell: Cell, generator: np.random.Generator, repeats: int, effect: float) -> list[st.Difference]:
    """Differences between two arms on the same problems; `effect` is the second arm's relative loss."""
    totals = np.full(cell.problems, float(cell.samples))
    rates = cell.difficulties(generator, repeats)
    one, other = cell.draw(generator, rates * (1 - effect)), cell.draw(generator, rates)
    return [st.paired_difference((a, totals), (b, totals)) for a, b in zip(one, other, strict=True)]


def odds_coverage(
    cell: Cell, generator: np.random.Generator, repeats: int, odds: float
) -> tuple[float, float]:
    """How often the intervals of the odds ratio within problems hold the true one: classic, clustered."""
    hits = np.zeros(2)
    for rates in cell.difficulties(generator, repeats):
        other = np.clip(rates, 0.02, 0.98)
        shifted = odds * other / (1 - other + odds * other)
        exposed = generator.binomial(cell.samples, 0.5, cell.problems)
        right = generator.binomial(exposed, shifted)
        right_other = generator.binomial(cell.samples - exposed, other)
        cells = [right, exposed - right, right_other, cell.samples - exposed - right_other]
        tables = np.stack(cells, 1).reshape(-1, 2, 2)
        for place, found in enumerate((st.mantel_haenszel(tables), st.clustered_odds(tables))):
            hits[place] += found.low <= odds <= found.high
    classic, clustered = hits / repeats
    return float(classic), float(clustered)


def summarize(name: str, coverages: list[tuple[Cell, float]], low: float = 0.93, high: float = 0.97) -> None:
    """Range of the coverages and the cells outside the wanted range."""
    values = [value for _, value in coverages]
    extent = f"from {min(values):.1%} to {max(values):.1%}"
    print(f"{name}: {len(values)} cells, mean {np.mean(values):.1%}, {extent}")
    for cell, value in coverages:
        if not low <= value <= high:
            print(f"    outside {low:.0%} to {high:.0%}: {value:.1%} at {cell}")


def false_positives(generator: np.random.Generator, repeats: int) -> None:
    """How often the claims of a sweep come out true although nothing is going on."""
    for problems, arms in ((60, 10), (120, 10)):
        cell = Cell(problems, 4, 0.5, 0.4)
        studies = [paired(cell, generator, repeats, 0.0) for _ in range(arms)]
        p = np.array([[difference.p for difference in arm] for arm in studies]).T
        plain, corrected = (p < 0.05).any(1).mean(), np.mean([(st.holm(row) < 0.05).any() for row in p])
        print(
            f"{problems} problems, {arms} idle arms: some arm 'works' {plain:.1%}, after Holm {corrected:.1%}"
        )
        harmful = paired(cell, generator, repeats, MARGIN / cell.share)
        unshown = np.mean([difference.p >= 0.05 for difference in harmful])
        print(
            f"{problems} problems, a drop of exactly the margin: 'not significant' (never used as a claim) "
            f"{unshown:.1%}; what is called held instead: benchmarks/equivalence.py"
        )


def power(generator: np.random.Generator, repeats: int) -> None:
    """How often a true difference of the reported minimum detectable size is found."""
    for problems in (40, 120):
        cell = Cell(problems, 4, 0.6, 0.4)
        typical = np.median([d.minimum_detectable for d in paired(cell, generator, repeats, 0.1)])
        found = [d.p < 0.05 for d in paired(cell, generator, repeats, typical / cell.share)]
        print(
            f"{problems} problems: minimum detectable difference {typical:.3f} found in {np.mean(found):.1%}"
        )


def main() -> None:
    """Run every simulation and print its result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=2000)
    repeats = parser.parse_args().repeats
    generator = np.random.default_rng(0)
    cells = list(grid())
    usual = [cell for cell in cells if 0.2 <= cell.share <= 0.8]
    rare = [cell for cell in cells if cell.share == 0.1]
    for name, part in (("rates of 20% to 80%", usual), ("rates of 10%", rare)):
        summarize(name, [(cell, rate_coverage(cell, generator, repeats)) for cell in part])
        plain = [(cell, bootstrap_coverage(cell, generator, repeats)) for cell in part]
        summarize("  the same, percentile bootstrap", plain, 0, 1)
    for effect in (0.0, 0.3):
        found = []
        for cell in usual:
            ends = paired(cell, generator, repeats, effect)
            truth = -effect * cell.share
            found.append((cell, float(np.mean([one.low <= truth <= one.high for one in ends]))))
        summarize(f"paired differences of {effect:.0%}", found)
    for odds in (1.0, 3.0):
        studied = [Cell(problems, 6, 0.5, 0.3) for problems in PROBLEMS]
        both = [(cell, odds_coverage(cell, generator, repeats // 4, odds)) for cell in studied]
        summarize(f"odds ratio {odds:g}, classic interval", [(cell, value[0]) for cell, value in both])
        summarize(f"odds ratio {odds:g}, clustered interval", [(cell, value[1]) for cell, value in both])
    false_positives(generator, repeats)
    power(generator, repeats)


if __name__ == "__main__":
    main()
