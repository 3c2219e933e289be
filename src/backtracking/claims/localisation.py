"""Claims about where onsets come from: H1, H0, what contributes, what carries the error, what writes."""

import math
from typing import Any

import pandas as pd

from backtracking.artifacts import phase1 as files
from backtracking.artifacts import readings
from backtracking.claims import completions, scan
from backtracking.claims.completions import MARGIN, RANDOM, TARGETED
from backtracking.claims.evidence import Evidence
from backtracking.claims.parts import (
    WORST_FIRST,
    Part,
    TableEstimate,
    above,
    fact,
    measured_cell,
    missing,
    undecided,
    within,
)
from backtracking.claims.scan import Standouts
from backtracking.claims.verdict import Claim, Verdict
from backtracking.claims.wording import Estimate, as_points, in_points, lines_of, percent, span
from backtracking.measurements.floors import SMALLEST_LOSS, too_low
from backtracking.measurements.injections import FEWEST_PAIRS
from backtracking.measurements.removal import Rank, rank_among_sets, removed
from backtracking.measurements.statistics import LEVEL
from backtracking.run.records import BASELINE_NAME

FEWEST_SETS = 19
"""With fewer random sets, being the strongest of all would still be p > 0.05."""
MOST, SURELY, SOME = 0.50, 0.25, 0.10
"""Shares of the response: H1 removes most of it, and surely this much; a contribution removes some of it."""
HALVED = math.log(2)
"""Nats: the loss that halves the odds of an onset."""
CARRIED_SHARE = 0.5

_TESTED = ("accuracy_at_chance", "conditions_pooled", "rows_cut", "row_keys", "hooks_against_schedule")
_SCANNED = ("controls_matched", "common_trigger_words")

H1 = Claim(
    "H1",
    "H1: a few components write the onset",
    "Supported when all of this holds. (1) The scan finds components above the ensemble of all "
    f"(Holm-corrected p < {LEVEL}), the same ones however they are removed (zero, mean, resample). (2) "
    f"Removing them takes more of the response away than {FEWEST_SETS} or more distinct random sets do: the "
    f"target's rank among them has p ≤ {LEVEL}. (3) It takes at least {MOST:.0%} of the response, the "
    f"interval wholly above {SURELY:.0%}. (4) The effect grows with the dose over at least three strengths. "
    "(5) Accuracy on completions without a wrong step is held: the whole interval of its change lies above "
    f"minus what may be lost ({as_points(MARGIN)}, and no more than a quarter of it). The response is "
    "P(onset | wrong step) − P(onset | right step), behind the same injected errors where there are fixed "
    "prefixes, else in free text; where steps cannot be checked, the share of completions with an "
    "onset, and the verdict says which. The doses are Phase 2's scale sweep: without them H1 is not "
    "testable, and the Phase 2 report judges it as a whole. Contradicted when the removal surely takes less "
    "than half of the response, when random sets surely do as much more often than one time in twenty, when "
    "accuracy is surely lost, when a stronger dose surely takes less, or when nothing stands out although "
    "the scan would have seen it (see H0). Mode-dependent, which is inconclusive, when the ways of removal "
    "disagree.",
    (*_TESTED, *_SCANNED, "random_draws", "selection_collateral"),
    "One half of the response, and one quarter for the interval's lower end, are conventions. So is the rank "
    "among random sets of the same shape: sets matched in another way may do more or less. That all ways of "
    "removal must agree is strict: a component that only `zero` finds may still be real, and then the "
    "finding is about zeroing.",
)
CONTRIBUTES = Claim(
    "contributes",
    "What stands out in the scan contributes to the onset",
    "Supported when components stand out, the same however removed, and removing them takes more than "
    f"{SOME:.0%} of the response away (as for H1): the whole interval of the share lies above that. "
    "Contradicted when it lies below. H1 says more: most of the response, more than random sets do, and "
    "nothing else broken.",
    (*_TESTED, *_SCANNED),
    "A tenth is little. A component that does the same as any other of its size contributes too: the rank "
    "among random sets is H1's business.",
)
H0 = Claim(
    "H0",
    "H0: there is no localised mechanism",
    "Supported when no component stands out in the scan, however removed, although one whose removal halves "
    f"the odds of the onset ({HALVED:.2f} nats) would have been seen: by the standard errors of the scan's "
    "test, which are of problems and not of onsets, the smallest loss that it finds in any component it "
    "tests with a probability of 80% is smaller than that. Where components were ablated in generation all "
    f"the same, targeted and random ablation must also differ by less than {as_points(MARGIN)} in "
    "backtracking: the whole paired interval lies inside that. Contradicted when components stand out in "
    "every mode. Never supported because nothing was significant.",
    (*_TESTED, *_SCANNED),
    "Halving the odds is a convention; a mechanism spread over many components, each below it, is H0 here "
    "and may be called a mechanism elsewhere. Components that cost too much elsewhere are not tested at all.",
)
CARRIES = Claim(
    "carries",
    "A component carries the error signal",
    "Supported when putting the right prefix's output of some component into the wrong prefix moves at least "
    f"{CARRIED_SHARE:.0%} of the gap in the onset's log-odds (denoising), the whole interval above that, "
    f"over at least {FEWEST_PAIRS} pairs. Contradicted when every component's interval lies below. What "
    "carries the signal need not write the word.",
    ("controls_matched",),
    "Patching asks one component at a time, at three groups of positions, on rewritten arithmetic. The best "
    "component is picked and judged on the same pairs.",
)
WRITES = Claim(
    "writes",
    "A component that stands out writes the word",
    "Supported when, for a component that stands out however it is removed, what it writes towards the "
    "onset by itself (direct effect) and what its removal takes away (total effect) both surely exceed "
    f"{SMALLEST_LOSS} nats. Contradicted when for every such component one of the two is surely less. Where "
    "the ways of removal disagree about what stands out, anything but support is mode-dependent, which is "
    "inconclusive: what only one of them finds may be the writer.",
    _SCANNED,
    "A direct effect is read through the final norm as it stood, and later components may undo what is "
    "written (self-repair stands beside it in the table).",
)


def judge_localisation(evidence: Evidence, main: str, doses: Part) -> list[Verdict]:
    """Every claim about the place of the onset."""
    standouts = scan.standouts(evidence)
    broken = completions.silent(evidence, main) or completions.fallen_apart(evidence, main)
    share = missing(broken) if broken else _share_part(evidence, main, MOST, SURELY)
    some = missing(broken) if broken else _share_part(evidence, main, SOME, SOME)
    ranked = missing(broken) if broken else _rank_part(evidence, main)
    h0 = _judge_h0(evidence, main, standouts, broken)
    standing = _standing(standouts, h0)
    # Regenerating without components that do not stand out says nothing about components that do.
    regenerated = (
        [] if standing.state in ("fails", "missing") else [ranked, share, doses, _sound_rows(evidence, main)]
    )
    split = not isinstance(standouts, str) and not scan.agree(standouts)
    return [
        _judged(H1, split, standing, *regenerated),
        _judged(CONTRIBUTES, split, standing, *([some] if regenerated else [])),
        h0,
        _judge_carries(evidence),
        _judge_writes(evidence, standouts),
    ]


def _judged(claim: Claim, split: bool, *parts: Part) -> Verdict:
    return claim.mode_dependent(*parts) if split else claim.judge(*parts)


def _standing(standouts: Standouts | str, h0: Verdict) -> Part:
    """Whether anything stands out; where nothing does, the claim falls only if it would have been seen."""
    if isinstance(standouts, str):
        return missing(standouts)
    says = scan.what_stands_out(standouts)
    if any(standouts.values()):
        return fact(True, says) if scan.agree(standouts) else undecided(says)
    if h0.outcome == "supported":
        return fact(False, f"{says}, and a component that halves the odds of the onset would have been seen")
    return missing(
        "a component that stands out in the scan (none does, so there is nothing to regenerate without)"
    )


def _share_part(evidence: Evidence, main: str, most: float, surely: float) -> Part:
    """How much of the response the targeted ablation takes away."""
    if lacks := completions.lacking(evidence, main, BASELINE_NAME, TARGETED):
        return missing(lacks)
    if (given := _given(evidence)) is not None:
        says = (
            f"removes {span(given, percent=True)} of the gap behind the same injected errors (fixed prefixes)"
        )
        return _against(given, most, surely, says)
    stepwise = completions.has_steps(evidence)
    before, after = (
        completions.response(completions.completions_of(evidence, main, name), stepwise)
        for name in (BASELINE_NAME, TARGETED)
    )
    share = removed(before, after)
    what = (
        "P(onset | wrong step) − P(onset | right step)"
        if stepwise
        else "the share of completions with an onset"
    )
    if not math.isfinite(share.low):
        return missing(f"a baseline in which {what} is clearly above zero ({share.problems} problems)")
    says = (
        f"removes {span(share, percent=True)} of {what} ({percent(before.value)} under the baseline, "
        f"{percent(after.value)} ablated)"
    )
    return _against(share, most, surely, says)


def _given(evidence: Evidence) -> TableEstimate | None:
    """The share removed on fixed prefixes, where no arm decides which errors there are."""
    table = evidence.table(files.PREFIXES)
    if table is None or "share_removed" not in table:
        return None
    rows = lines_of(table[(table["arm"] == TARGETED) & table["draw"].isna()])
    return measured_cell(rows[0], "share_removed", rows[0].get("problems")) if rows else None


def _against(share: Estimate, most: float, surely: float, says: str) -> Part:
    """At least `most` by the estimate, and surely more than `surely`; surely less than `most` fails."""
    part = above("share_removed", share, surely, says)
    if part.state == "holds" and share.value < most:
        part = Part("open", says, part.numbers, above("share_removed", share, most, says).deciding)
    if part.state == "open" and share.high < most:
        part = Part("fails", says, part.numbers)
    return part


def _rank_part(evidence: Evidence, main: str) -> Part:
    """Where the target stands among the random sets."""
    if lacks := completions.lacking(evidence, main, TARGETED, RANDOM):
        return missing(lacks)
    if (gaps := _given_gaps(evidence)) is not None:
        return _ranked(rank_among_sets(*gaps))
    stepwise = completions.has_steps(evidence)
    target = completions.response(completions.completions_of(evidence, main, TARGETED), stepwise).value
    return _ranked(rank_among_sets(target, list(completions.random_responses(evidence, main, stepwise))))


def _given_gaps(evidence: Evidence) -> tuple[float, list[float]] | None:
    """The target's gap on fixed prefixes, and that of every random set that met them all."""
    table = evidence.table(files.PREFIXES)
    if table is None or "gap" not in table:
        return None
    target = table[(table["arm"] == TARGETED) & table["draw"].isna()]["gap"]
    sets = table[(table["arm"] == RANDOM) & table["draw"].notna()]["gap"]
    return None if target.empty or len(sets) < FEWEST_SETS else (float(target.iloc[0]), sets.tolist())


def _ranked(place: Rank) -> Part:
    """Whether a target that is one more random set would hardly ever be as strong."""
    if place.sets < FEWEST_SETS:
        return missing(f"distinct random sets: {place.sets}, at least {FEWEST_SETS} needed for a rank")
    says = f"{place.as_strong} of {place.sets} random sets remove as much (p = {place.p:.3f})"
    numbers = {"random_sets": place.sets, "random_sets_as_strong": place.as_strong, "rank_p": place.p}
    if place.p <= LEVEL:
        return fact(True, says, **numbers)
    return fact(False, says, **numbers) if place.least_share > LEVEL else undecided(says, **numbers)


def _sound_rows(evidence: Evidence, main: str) -> Part:
    """Accuracy under the targeted ablation where no step went wrong: what it breaks beside correction."""
    if lacks := completions.lacking(evidence, main, BASELINE_NAME, TARGETED):
        return missing(lacks)
    if floor := completions.floor(evidence, main, "accuracy"):
        return missing(floor)
    targeted, baseline = (
        completions.completions_of(evidence, main, name) for name in (TARGETED, BASELINE_NAME)
    )
    what = "accuracy on all completions (steps are not in the events table)"
    if completions.has_steps(evidence):
        targeted, baseline = (rows[rows["steps_wrong"] == 0] for rows in (targeted, baseline))
        what = "accuracy on completions without a wrong step"
    return completions.held_accuracy("accuracy_of_sound_rows", targeted, baseline, what)


def _judge_h0(evidence: Evidence, main: str, standouts: Standouts | str, broken: str) -> Verdict:
    if isinstance(standouts, str):
        return H0.missing(standouts)
    says = scan.what_stands_out(standouts)
    if not scan.agree(standouts):
        return H0.mode_dependent(undecided(says))
    parts = [fact(not any(standouts.values()), says), _power_part(evidence)]
    if not completions.lacking(evidence, main, TARGETED, RANDOM):
        parts.append(_alike_part(evidence, main, broken))
    return H0.judge(*parts)


def _power_part(evidence: Evidence) -> Part:
    sight = scan.sight(evidence)
    if isinstance(sight, str):
        return missing(sight)
    says = f"the smallest loss that the scan would have seen is {sight.nats:.2f} nats, {HALVED:.2f} allowed"
    numbers = {
        "smallest_visible_loss": sight.nats,
        "smallest_visible_loss_threshold": HALVED,
        "smallest_visible_loss_problems": sight.problems,
    }
    if sight.nats < HALVED:
        return Part("holds", says, numbers)
    return Part("open", says, numbers, sight.problems_for(HALVED))


def _alike_part(evidence: Evidence, main: str, broken: str) -> Part:
    baseline = completions.completions_of(evidence, main)
    low = "" if baseline.empty else too_low("backtracking", completions.onset_rate(baseline), MARGIN)
    if why := broken or low:
        return missing(why)
    gap = completions.difference_or_lack(evidence, main, TARGETED, RANDOM, "backtracking")
    if isinstance(gap, str):
        return missing(gap)
    says = f"targeted minus random: {in_points(gap)} points of backtracking"
    return within("targeted_minus_random", gap, MARGIN, says)


def _judge_carries(evidence: Evidence) -> Verdict:
    table = evidence.table(readings.PATCHING)
    if table is None:
        return CARRIES.missing(evidence.lack(readings.PATCHING))
    rows = table[table["direction"] == "denoising"]
    pairs = int(rows["n_pairs"].max()) if len(rows) else 0
    if pairs < FEWEST_PAIRS:
        return CARRIES.missing(
            f"pairs of a right and a wrong prefix: {pairs}, at least {FEWEST_PAIRS} needed"
        )
    problems = float(rows["n_problems"].max()) if "n_problems" in rows else 0.0
    return CARRIES.judge(
        _best_of(rows, "share", CARRIED_SHARE, problems, "moves {} of the gap", percent_scale=True)
    )


def _best_of(
    rows: pd.DataFrame, column: str, threshold: float, problems: float, says: str, percent_scale: bool = False
) -> Part:
    """The part of the component that comes nearest to the claim: highest by its interval's lower end."""
    cells = [(row, measured_cell(row, column, problems)) for row in lines_of(rows)]
    known = [(row, estimate) for row, estimate in cells if estimate is not None]
    if not known:
        return missing(f"intervals of {column}")
    row, best = max(known, key=lambda cell: cell[1].low)
    where = f" ({row['positions']} positions)" if "positions" in row else ""
    named = f"{row['component']} {row['layer']}{where} {says.format(span(best, percent=percent_scale))}"
    part = above(column, best, threshold, named)
    if part.state == "fails" and any(estimate.high >= threshold for _, estimate in known):
        return Part("open", named, part.numbers, part.deciding)
    return part


def _judge_writes(evidence: Evidence, standouts: Standouts | str) -> Verdict:
    table = evidence.table(readings.DIRECT)
    if isinstance(standouts, str):
        return WRITES.missing(standouts)
    if table is None:
        return WRITES.missing(evidence.lack(readings.DIRECT))
    says = scan.what_stands_out(standouts)
    names = scan.in_every_mode(standouts)
    blocks = table[table["head"].isna()] if "head" in table else table
    rows = blocks[(blocks["component"] + " " + blocks["layer"].astype(str)).isin(names)]
    if rows.empty and scan.agree(standouts):
        return WRITES.missing("a component that stands out in the scan however it is removed")
    problems = _problems_studied(evidence)
    weaker = [_weaker_effect(row, problems) for row in lines_of(rows)]
    nearest = max(weaker, key=lambda part: WORST_FIRST.index(part.state), default=undecided(says))
    if scan.agree(standouts) or nearest.state == "holds":
        return WRITES.judge(nearest)
    return WRITES.mode_dependent(undecided(says), *([nearest] if weaker else []))


def _weaker_effect(row: dict[Any, Any], problems: float) -> Part:
    """The direct and the total effect of a component together: the worse of both decides."""
    direct, total = (measured_cell(row, name, problems) for name in ("direct", "total"))
    if direct is None or total is None:
        return missing("intervals of direct and total effects")
    says = f"{row['component']} {row['layer']}: direct effect {span(direct)}, total effect {span(total)} nats"
    both = [above(name, one, SMALLEST_LOSS, says) for name, one in (("direct", direct), ("total", total))]
    numbers = {name: value for part in both for name, value in part.numbers.items()}
    worse = min(both, key=lambda part: WORST_FIRST.index(part.state))
    return Part(worse.state, says, numbers, worse.deciding)


def _problems_studied(evidence: Evidence) -> float:
    table = evidence.table(readings.IMPORTANCE)
    return float(table["n_problems"].max()) if table is not None and "n_problems" in table else 0.0
