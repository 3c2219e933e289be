"""Error rates, rows and coverage of sweeps whose settled arms stop, by simulation with known truth.

    python benchmarks/sequential.py [--sweeps 1000]

A sweep has 120 problems and four samples of each, as the demo's. Problems differ in how often they are
solved and in how often an onset follows a wrong step (beta-binomial, so samples of a problem are alike); an
arm takes most of its rows over from the baseline and loses, wins or silences some of them, more in some
problems than in others. Mixes of arms: those of the demo's two sweeps as they were measured, arms that do
nothing, arms that lose exactly what may be lost and change the outcome by exactly the margin, and the same
with all of it in one problem of ten. Every sweep is judged after every wave as `run_waves` judges it, here
for all sweeps at once; tests hold the two against each other. Beside it: the whole sweep, and naive testing
at 5% after every wave.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from backtracking.measurements.looks import Looks, planned
from backtracking.measurements.outcome import LEAST_REMOVED
from backtracking.measurements.statistics import LEVEL, Array

MARGIN, SAMPLES, PROBLEMS = 0.05, 4, 120
ACCURACY, WRONG_STEPS, RIGHT_STEPS = 0.948, 3.65, 8.2
NOTICED, NEEDLESS = 0.952, 0.0365
CORRELATION, CHURN = 0.1, 0.02
"""How alike samples of a problem are; right answers that any arm loses by chance, and wins back elsewhere."""
Mask = NDArray[np.bool_]
BATCH = 250
OPEN, DESTRUCTIVE, NO_EFFECT, HELD, RAISES = range(5)


@dataclass(frozen=True)
class Truth:
    """What an arm does: accuracy lost, and changes of the onset's rates after wrong and right steps."""

    lost: float = 0.0
    after_wrong: float = 0.0
    after_right: float = 0.0
    sparse: bool = False
    """Whether all of it falls into one problem of ten."""

    def is_false(self, verdict: int) -> bool:
        changes = (self.after_wrong, self.after_right)
        return bool(
            (verdict == DESTRUCTIVE and self.lost <= MARGIN)
            or (verdict == NO_EFFECT and max(map(abs, changes)) >= MARGIN)
            or (verdict == HELD and (self.lost >= MARGIN or min(changes) >= 0))
            or (verdict == RAISES and max(changes) <= 0)
        )


_SUBSETS = (
    Truth(0.160, -0.146, -0.005), Truth(0.160, -0.146, -0.005), Truth(0.023, 0.004, -0.002),
    Truth(0.129, -0.141, -0.006), Truth(0.212, -0.462, 0.017), Truth(0.277, -0.374, 0.095),
    Truth(0.006, -0.006, -0.002), Truth(0.012, 0.003, 0.006), Truth(0.365, -0.952, -0.0365),
)  # fmt: skip
_SCALES = (
    Truth(0.681, -0.532, 0.020), Truth(0.369, -0.372, 0.009), Truth(0.160, -0.146, -0.005),
    Truth(0.044, -0.032, 0.002), Truth(0.010, -0.007, 0.003),
)  # fmt: skip
_EDGE = Truth(0.05, -0.05, 0.0)
MIXES: dict[str, tuple[tuple[Truth, ...], ...]] = {
    "the demo's two sweeps": (_SUBSETS, _SCALES),
    "arms that do nothing": ((Truth(),) * 9,),
    "arms at the margin": ((_EDGE,) * 9,),
    "the same in a tenth of the problems": ((replace(_EDGE, sparse=True),) * 9,),
}


@dataclass(frozen=True)
class Sums:
    """Per sweep, arm (the baseline first) and problem: right answers, steps, and those an onset follows."""

    right_answers: Array
    wrong: Array
    after_wrong: Array
    right: Array
    after_right: Array
    samples: int = SAMPLES

    def each(self, change: Callable[[Array], Array]) -> "Sums":
        """The same change of every array."""
        parts = {name: change(part) for name, part in vars(self).items() if name != "samples"}
        return replace(self, **parts)

    def first(self, problems: int) -> "Sums":
        return self.each(lambda part: part[..., :problems])


def simulate(
    arms: Sequence[Truth], sweeps: int, generator: np.random.Generator, samples: int = SAMPLES
) -> Sums:
    """Whole sweeps over these arms."""
    draw, size = generator, (sweeps, PROBLEMS)
    steps_asked = [mean * samples / SAMPLES for mean in (WRONG_STEPS, RIGHT_STEPS)]
    concentration = 1 / CORRELATION - 1

    def alike(mean: float, shape: tuple[int, ...]) -> Array:
        if not 0 < mean < 1:
            return np.full(shape, float(mean))
        return draw.beta(mean * concentration, (1 - mean) * concentration, shape)

    answers = [draw.binomial(samples, alike(ACCURACY, size))]
    won_back = CHURN * ACCURACY / (1 - ACCURACY)
    wrong, right = ([draw.poisson(mean, size)] for mean in steps_asked)
    noticed, needless = alike(NOTICED, size), alike(NEEDLESS, size)
    after_wrong = [draw.binomial(wrong[0], noticed)]
    after_right = [draw.binomial(right[0], needless)]
    for arm in arms:
        hit = (draw.random(size) < 0.1) if arm.sparse else np.ones(size, bool)
        share = 0.1 if arm.sparse else 1.0
        kept = np.where(hit, 1 - alike(arm.lost / ACCURACY / share, size), 1.0)
        other = draw.binomial(answers[0], 1 - CHURN) + draw.binomial(samples - answers[0], won_back)
        answers.append(draw.binomial(other, kept))
        new = [draw.binomial(steps[0], 0.15) for steps in (wrong, right)]
        for steps, added, onsets, rate, change, before in (
            (wrong, new[0], after_wrong, noticed, arm.after_wrong, NOTICED),
            (right, new[1], after_right, needless, arm.after_right, NEEDLESS),
        ):
            base_onsets = onsets[0]
            shared = steps[0] - added
            of_shared = draw.hypergeometric(base_onsets, steps[0] - base_onsets, shared)
            steps.append(shared + draw.poisson(0.15 * steps[0].mean(), size))
            of_all = of_shared + draw.binomial(steps[-1] - shared, rate)
            if change <= 0:
                silenced = np.where(hit, alike(-change / before / share, size), 0.0)
                onsets.append(draw.binomial(of_all, 1 - silenced))
            else:
                roused = np.where(hit, alike(change / (1 - before) / share, size), 0.0)
                onsets.append(of_all + draw.binomial(steps[-1] - of_all, roused))
    parts = (answers, wrong, after_wrong, right, after_right)
    return Sums(*(np.stack(part, axis=1).astype(float) for part in parts), samples)


@dataclass(frozen=True)
class Paired:
    """Differences with standard errors, by sweep and arm."""

    value: Array
    error: Array
    degrees: NDArray[np.int_]
    step: Array
    at_looks: bool = True

    def ends(self, level: Array | float) -> tuple[Array, Array]:
        level = np.asarray(level)
        reach = stats.t.isf(level / 2, self.degrees) * self.error
        if self.at_looks:
            reach = np.maximum(reach, np.log(2 / level) * self.step / 2)
        return self.value - reach, self.value + reach

    @property
    def p(self) -> Array:
        return np.asarray(2 * stats.t.sf(np.abs(self.value) / self.error, self.degrees))


def _paired(influence: Array, value: Array, used: Mask, step: Array) -> Paired:
    count = used.sum(-1)
    error = np.sqrt(count / (count - 1) * (influence**2).sum(-1))
    fallback = step / np.sqrt(2) * np.sqrt(count / (count - 1))
    none = np.isclose(influence, 0).all(-1)
    return Paired(value, np.where(none, fallback, error), count - 1, step)


def accuracy_change(sums: Sums) -> Paired:
    """`paired_difference`, for as many samples of every problem."""
    change = (sums.right_answers[:, 1:] - sums.right_answers[:, :1]) / sums.samples
    value = change.mean(-1)
    influence = (change - value[..., None]) / change.shape[-1]
    step = np.full(value.shape, 2 / (sums.samples * change.shape[-1]))
    return _paired(influence, value, np.ones(change.shape, bool), step)


def change_within(top: Array, bottom: Array) -> Paired:
    """`difference_within`."""
    ours, theirs = bottom[:, 1:], bottom[:, :1]
    used = (ours > 0) & (theirs > 0)
    both = np.where(used, ours + theirs, 1.0)
    weight = np.where(used, ours * theirs / both, 0.0)
    gap = np.where(used, (top[:, 1:] * theirs - top[:, :1] * ours) / both, 0.0)
    total = weight.sum(-1, keepdims=True)
    value = gap.sum(-1, keepdims=True) / total
    others = total - weight
    influence = np.divide(gap - value * weight, others, out=np.zeros_like(gap), where=used & (others > 0))
    step = 1 / (ours * used).sum(-1) + 1 / (theirs * used).sum(-1)
    return _paired(influence, value[..., 0], used, step)


def exact_p(changes: Array, mean: float, samples: int = SAMPLES) -> Array:
    """p of these changes by problem if the true mean is no more (`Values.p_at_most`, all sweeps at once)."""
    kinds = np.arange(-samples, samples + 1)
    counts = ((changes * samples).round()[..., None] == kinds).sum(-2).astype(float)
    places = np.append(kinds / samples, -1.0) - mean
    sizes = np.concatenate([counts, np.ones((*counts.shape[:-1], 1))], axis=-1).reshape(-1, len(places))
    grid = np.exp(np.linspace(np.log(1e-6), np.log(1e4), 600))
    found = np.empty(len(sizes))
    for start in range(0, len(sizes), 256):
        part = sizes[start : start + 256]
        frequencies = grid / np.sqrt(part @ places**2)[:, None]
        logs = sum(-np.outer(size, np.ones(600)) * np.log1p(-1j * frequencies * place)
                   for size, place in zip(part.T, places, strict=True))  # fmt: skip
        below = frequencies[:, 0] * (part @ places)
        found[start : start + 256] = (
            0.5 - (below + np.trapezoid(np.exp(logs).imag, np.log(grid), axis=1)) / np.pi
        )
    return np.clip(found, 0, 1).reshape(counts.shape[:-1])


def holm(p: Array, counted: Mask) -> Array:
    """Holm's correction along the arms, over those that count."""
    p = np.where(counted, p, np.inf)
    order = np.argsort(p, axis=-1)
    weights = np.maximum(counted.sum(-1, keepdims=True) - np.arange(p.shape[-1]), 1)
    corrected = np.minimum(np.maximum.accumulate(np.take_along_axis(p, order, -1) * weights, -1), 1.0)
    out = np.empty_like(corrected)
    np.put_along_axis(out, order, corrected, -1)
    return out


@dataclass(frozen=True)
class Rule:
    """At which level arms are judged after how many problems, and what a p is then worth."""

    looks: Looks | None
    shared: bool = False
    """Whether the arms that are left share the level, as where it is decided which of them stop."""

    def level(self, problems: int, going: Mask) -> Array:
        count = going.sum(-1, keepdims=True)
        if self.looks is None:
            return np.full(count.shape, LEVEL)
        by_count = {
            arms: self.looks.shared_by(max(int(arms), 1) if self.shared else 1).level(problems)
            for arms in np.unique(count)
        }
        return np.vectorize(by_count.__getitem__, otypes=[float])(count)

    def p(self, nominal: Array, problems: int) -> Array:
        return nominal if self.looks is None else self.looks.overall(nominal, problems)


@dataclass(frozen=True)
class Judged:
    """Verdicts, whether they settle an arm, and the differences that they rest on."""

    verdict: NDArray[np.int_]
    settled: Mask
    accuracy: Paired
    after_wrong: Paired
    removed: Array
    """The share of the baseline's onsets that an arm takes away."""


def judge(sums: Sums, problems: int, rule: Rule, going: Mask) -> Judged:
    """The rules of `summarize_arms` where no text breaks."""
    seen, level = sums.first(problems), rule.level(problems, going)
    accuracy = accuracy_change(seen)
    ways = [change_within(seen.after_wrong, seen.wrong), change_within(seen.after_right, seen.right)]
    accuracy, *ways = (replace(one, at_looks=rule.looks is not None) for one in (accuracy, *ways))
    corrected = [holm(rule.p(way.p, problems), going) < LEVEL / 2 for way in ways]
    steps = [seen.wrong[:, :1].sum(-1), seen.right[:, :1].sum(-1)]
    onsets = (seen.after_wrong[:, :1] + seen.after_right[:, :1]).sum(-1)
    removed = -(ways[0].value * steps[0] + ways[1].value * steps[1]) / np.maximum(onsets, 1)
    fewer, more = ([sure & (sign * way.value > 0) for sure, way in zip(corrected, ways, strict=True)]
                   for sign in (-1, 1))  # fmt: skip
    noticing_held = ways[0].ends(level)[0] > -MARGIN
    fell = (removed >= LEAST_REMOVED) & (fewer[0] | (fewer[1] & noticing_held))
    inside = np.all([(end > -MARGIN) & (end < MARGIN) for way in ways for end in way.ends(level)], axis=0)
    verdict = np.where(inside, NO_EFFECT, OPEN)
    verdict[(removed < 0) & (more[0] | more[1])] = RAISES
    changes = (seen.right_answers[:, 1:] - seen.right_answers[:, :1]) / seen.samples
    if fell.any():
        verdict[fell] = np.where(exact_p(changes, -MARGIN, seen.samples) < level / 2, HELD, OPEN)[fell]
    high = accuracy.ends(level)[1]
    lost = exact_p(-changes, MARGIN, seen.samples) < level / 2 if rule.looks is None else high < -MARGIN
    verdict[lost] = DESTRUCTIVE
    half = seen.right_answers[:, :1].mean(-1) / seen.samples / 2
    seems_destroyed = (accuracy.value < -half) & (high > -half)
    settled = np.isin(verdict, (DESTRUCTIVE, NO_EFFECT, HELD)) & ~seems_destroyed
    return Judged(verdict, settled, accuracy, ways[0], removed)


@dataclass(frozen=True)
class Outcome:
    """How sweeps ended: verdicts, problems by arm, and whether the intervals at the end hold the truth."""

    verdict: NDArray[np.int_]
    problems: NDArray[np.int_]
    covers: dict[str, Mask]


def stopping(sums: Sums, truths: Sequence[Truth], looks: Looks, naive: bool = False) -> Outcome:
    """Sweeps whose settled arms stop, as `run_waves` does it; `naive`: at 5% after every wave."""
    deciding, telling = (Rule(None), Rule(None)) if naive else (Rule(looks, shared=True), Rule(looks))
    shape = (len(sums.wrong), len(truths))
    going, verdict = np.ones(shape, bool), np.full(shape, OPEN)
    reached, covers = (
        np.zeros(shape, int),
        {name: np.zeros(shape, bool) for name in ("accuracy", "after_wrong")},
    )
    for end in looks.ends:
        found = judge(sums, end, deciding, going)
        is_last = end == looks.ends[-1]
        told = judge(sums, end, telling, np.ones(shape, bool)) if is_last else found
        stops = going & (is_last | found.settled)
        verdict[stops], reached[stops] = told.verdict[stops], end
        level = np.full((1, 1), LEVEL if naive else looks.level(end))
        for name, truth in (
            ("accuracy", [-t.lost for t in truths]),
            ("after_wrong", [t.after_wrong for t in truths]),
        ):
            low, high = getattr(found, name).ends(level)
            covers[name][stops] = ((low <= np.array(truth)) & (np.array(truth) <= high))[stops]
        going &= ~stops
    return Outcome(verdict, reached, covers)


def whole(sums: Sums, truths: Sequence[Truth]) -> Outcome:
    """Sweeps in which every arm gets every problem, judged once."""
    return stopping(sums, truths, Looks((PROBLEMS,)), naive=True)


@dataclass(frozen=True)
class Line:
    """What the sweeps of a mix show: shares of sweeps, of arms and of rows."""

    false_stop: float
    """Some arm stopped with a false verdict."""
    false: float
    """Some arm has a false verdict, stopped or not."""
    false_whole: float
    false_naive: float
    agreement: float
    """Arms with the verdict of the whole sweep."""
    rows: float
    covered: float
    """Intervals that hold the truth where an arm ended; accuracy or onsets, whichever has fewer."""
    covered_whole: float
    covered_naive: float


def any_false(ended: Outcome, truths: Sequence[Truth], among: Mask | None = None) -> float:
    """The share of sweeps with a false verdict, of all arms or of some."""
    wrong = np.array([[truth.is_false(kind) for kind in range(RAISES + 1)] for truth in truths])
    false = wrong[np.arange(len(truths)), ended.verdict]
    return float((false if among is None else false & among).any(-1).mean())


def compared(truths: Sequence[Truth], sweeps: int, generator: np.random.Generator) -> Line:
    """The same sweeps stopped, whole, and tested naively."""
    sums, looks = simulate(truths, sweeps, generator), planned(PROBLEMS)
    stopped, full = stopping(sums, truths, looks), whole(sums, truths)
    naive = stopping(sums, truths, looks, naive=True)
    baseline = stopped.problems.max(-1, keepdims=True)
    early = stopped.problems < PROBLEMS
    return Line(
        any_false(stopped, truths, early),
        *(any_false(ended, truths) for ended in (stopped, full, naive)),
        float((stopped.verdict == full.verdict).mean()),
        float(np.concatenate([baseline, stopped.problems], axis=1).mean()) / PROBLEMS,
        *(min(float(held.mean()) for held in ended.covers.values()) for ended in (stopped, full, naive)),
    )


def measure(mix: Sequence[Sequence[Truth]], sweeps: int, generator: np.random.Generator) -> Line:
    """All sweeps of a mix, so many times each; a sweep counts by its arms."""
    lines, weights = [], []
    for truths in mix:
        for start in range(0, sweeps, BATCH):
            batch = min(BATCH, sweeps - start)
            lines.append(tuple(vars(compared(truths, batch, generator)).values()))
            weights.append(batch * (len(truths) + 1))
    return Line(*np.average(lines, axis=0, weights=weights))


def main() -> None:
    """A line per mix."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sweeps", type=int, default=1000)
    sweeps, generator = parser.parse_args().sweeps, np.random.default_rng(0)
    heads = ("arms", "false stop", "false verdict", "whole sweep", "naive", "same verdict", "rows", "covered")
    print("| " + " | ".join((*heads, "whole sweep", "naive")) + " |")
    print("|" + "---|" * 10)
    for name, mix in MIXES.items():
        line = vars(measure(mix, sweeps, generator)).values()
        print(f"| {name} | " + " | ".join(f"{share:.1%}" for share in line) + " |", flush=True)


if __name__ == "__main__":
    main()
