"""Checks of interventions: whether they acted, as scheduled, and whether what won was measured again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from backtracking.artifacts import phase1, phase2
from backtracking.artifacts.kinds import Table
from backtracking.claims.audit.audited import RANDOM, AuditedRun, is_untouched
from backtracking.claims.audit.check import FAIL, PASS, WARN, Finding, not_applicable, rule
from backtracking.claims.audit.completions import Group, first_few, named
from backtracking.claims.wording import lines_of, number, points, quoted
from backtracking.measurements.tradeoff import HELD
from backtracking.run.records import BASELINE_NAME

SMALLEST_CLAIM = 0.10
"""An interval narrower than this is never too wide, however small the effect."""
_SAME_ROW = ("completion_tokens", "onset_char", "predicted_answer", "strict", "correct")
_CLAIMED = {"backtracking": "backtracking", "onset_after_wrong": "onsets after fresh wrong steps"}
_RATES = ("total", "backtracking_count", "correct_count", "backtracking_rate", "accuracy")
BAN = "suppression"
_CONFIRMS = ("winner", "scale neighbour")


@rule(
    bounds="Fails at any such arm; warns where the ledger says that hooks acted, or had nothing to do. "
    "Scale 1 is meant to do nothing, and so is a ban of words where the baseline never says them.",
    why="An arm whose completions are the baseline's may have done nothing: a hook that bound nothing, or a "
    "setting that never applies, looks like an intervention without an effect.",
    what_to_do="Look at hook_debug.json and at the arm's components, scale and schedule; correct them and "
    "run the sweep again.",
)
def arms_without_divergence(run: AuditedRun) -> Finding:
    """Arms that bound no component, or whose completions never part from the baseline's."""
    acted = _acts_by_arm(run)
    looked_at = [*_of_rows(run, acted), *_of_tables(run), *_of_ledger(run, acted)]
    if not looked_at:
        return not_applicable("arms beside a baseline are not in this run's tables")
    idle = sorted({one for one in looked_at if one.outcome != PASS}, key=lambda one: one.outcome != FAIL)
    if not idle:
        silent = sorted({one.found for one in looked_at if one.found})
        other = "other " if silent else ""
        changes = [f"every {other}arm changed some completion"] if _CHANGES in looked_at else []
        return Finding(PASS, "; ".join([*silent, *changes]), 0.0)
    return Finding(idle[0].outcome, idle[0].found, float(len(idle)), tuple(one.found for one in idle))


_CHANGES = Finding(PASS, "")


def _nothing_to_ban(arm: object) -> Finding:
    """Of an arm that bans words which the baseline never says."""
    return Finding(PASS, f"{quoted(arm)} had nothing to ban: no onset in the baseline")


def _acts_by_arm(run: AuditedRun) -> dict[str, float]:
    """How often the hooks of each arm acted, all draws together, by the ledger."""
    by_condition = run.evidence.data(phase2.HOOK_DEBUG).get("by_condition")
    acted: dict[str, float] = {}
    for label, sites in by_condition.items() if isinstance(by_condition, dict) else ():
        for counts in sites.values() if isinstance(sites, dict) else ():
            if isinstance(counts, dict):
                arm = str(label).partition("#")[0]
                acted[arm] = acted.get(arm, 0.0) + (number(counts, "ablation_calls") or 0.0)
    return acted


def _had_nothing_to_do(run: AuditedRun) -> bool:
    """Whether hooks that never acted kept to their schedule, which may wait for what never came."""
    return run.evidence.data(phase2.HOOK_DEBUG).get("matches_schedule") is True


def _of_rows(run: AuditedRun, acted: Mapping[str, float]) -> Iterator[Finding]:
    """Arms whose completions are all the baseline's; where the hooks acted, their effect may be small."""
    own = {(group.table, group.variant): group for group in run.by_table if group.is_baseline}
    untouched = {str(arm) for _, arms in run.arms for arm in arms.loc[is_untouched(arms), "arm"]}
    bans = {str(row["arm"]) for _, arms in run.arms for row in lines_of(arms) if row.get("kind") == BAN}
    changed = [group for group in run.by_table if group.condition not in {BASELINE_NAME, *untouched}]
    for group in changed:
        base = own.get((group.table, group.variant))
        if base is not None and (same := _are_same(base, group)) is not None:
            text = f"all {len(group.rows):,} completions of {group.name} are the baseline's"
            if same and group.condition in bans and not base.rows["strict"].any():
                yield _nothing_to_ban(group.condition)
                continue
            is_explained = acted.get(group.condition) or (
                _had_nothing_to_do(run) and group.condition in acted
            )
            outcome = WARN if is_explained else FAIL
            yield Finding(outcome, text) if same else _CHANGES


def _are_same(base: Group, group: Group) -> bool | None:
    """Whether shared rows agree in all that the table says of them; none where it says too little."""
    keys = ["example_id", "sample_id"]
    columns = [name for name in _SAME_ROW if base.holds(name) and name in group.rows]
    if len(columns) < 2 or "sample_id" not in base.rows or "sample_id" not in group.rows:
        return None
    pairs = base.rows[[*keys, *columns]].merge(group.rows[[*keys, *columns]], on=keys, suffixes=("", "_arm"))
    if pairs.empty:
        return None
    return all(_agree(pairs[name], pairs[f"{name}_arm"]) for name in columns)


def _agree(one: "pd.Series[Any]", other: "pd.Series[Any]") -> bool:
    return bool(((one == other) | (one.isna() & other.isna())).all())


def _of_tables(run: AuditedRun) -> Iterator[Finding]:
    """Arms that changed no component, and those that have the baseline's every number."""
    for table, arms in run.arms:
        untouched = is_untouched(arms)
        base = lines_of(arms[untouched])
        rates = [name for name in _RATES if name in arms]
        is_told = not run.has_swept_rows and len(rates) > 2
        for row in lines_of(arms[~untouched]):
            if number(row, "num_components") == 0 and row.get("kind", "intervention") == "intervention":
                yield Finding(FAIL, f"{quoted(row['arm'])} changes no component ({table.file})")
            elif row.get("kind") == BAN and not any(
                number(one, "backtracking_count") for one in (row, *base)
            ):
                yield from [_nothing_to_ban(row["arm"])] if is_told else ()
            elif is_told and any(_equal(row, other, rates) for other in base):
                yield Finding(FAIL, f"{quoted(row['arm'])} has the baseline's every number ({table.file})")
            else:
                yield _CHANGES


def _equal(row: dict[Any, Any], other: dict[Any, Any], columns: list[str]) -> bool:
    pairs = [(number(row, name), number(other, name)) for name in columns]
    return all(one == two and one is not None for one, two in pairs)


def _of_ledger(run: AuditedRun, acted: Mapping[str, float]) -> Iterator[Finding]:
    """Arms that never acted; that may be what a schedule asks for that waits for something."""
    outcome = WARN if _had_nothing_to_do(run) else FAIL
    for arm, acts in acted.items():
        text = f"the hooks of {quoted(arm)} never acted ({phase2.HOOK_DEBUG.file})"
        yield _CHANGES if acts else Finding(outcome, text)


@rule(
    bounds="Fails at any difference, and where hooks were called and never acted.",
    why="The ledger counts what hooks did, the schedule says what they had to do: where they differ, "
    "some completions were not made under the arm that they are named after.",
    what_to_do="Run the sweep again with --force; if they still differ, report it with hook_debug.json.",
)
def hooks_against_schedule(run: AuditedRun) -> Finding:
    """What the hooks did, against what the schedule asks for."""
    debug = run.evidence.data(phase2.HOOK_DEBUG)
    if not debug:
        return not_applicable(f"this run has no {phase2.HOOK_DEBUG.file}")
    calls, acted = number(debug, "total_calls"), number(debug, "ablation_calls")
    if calls and acted == 0:
        return Finding(FAIL, f"hooks were called {calls:,.0f} times and never acted", 0.0)
    if "matches_schedule" not in debug:
        return not_applicable(f"what the schedule asks for is not in {phase2.HOOK_DEBUG.file}")
    differences = debug.get("differences")
    lines = [quoted(line, 160) for line in differences] if isinstance(differences, list) else []
    if debug["matches_schedule"] is True and not lines:
        return Finding(PASS, f"{acted or 0:,.0f} interventions, as the schedule asks", 0.0)
    says = lines[0] if lines else "the counts are not what the schedule asks for"
    return Finding(FAIL, says, float(max(len(lines), 1)), tuple(lines))


@rule(
    bounds="Fails where a qualified arm has no confirmation, or one on problems that it was picked on; "
    "warns where arms were tried and nothing says whether one qualifies.",
    why="The best of many arms owes part of its lead to luck on the problems that it was picked on.",
    what_to_do="Run phase2-confirm, and quote its numbers alone.",
)
def winner_unconfirmed(run: AuditedRun) -> Finding:
    """An arm that wins on the problems it was picked on, and was never measured on others."""
    if (shared := _shared_halves(run)) is not None:
        return shared
    confirmed = run.table(phase2.CONFIRMED, "role", "arm")
    if confirmed is not None:
        return _confirmation(run, confirmed)
    if not any((~is_untouched(arms)).any() for _, arms in run.arms):
        return not_applicable("this run tries no arms")
    judged = [arms for _, arms in run.arms if "verdict" in arms]
    winners = sorted({str(name) for arms in judged for name in arms.loc[arms["verdict"] == HELD, "arm"]})
    if winners:
        return Finding(
            FAIL,
            f"{quoted(winners[0])} was picked and never confirmed on other problems",
            float(len(winners)),
        )
    if judged:
        return Finding(PASS, "no arm qualifies, so there is nothing to confirm", 0.0)
    return Finding(WARN, f"no arm was measured again on other problems (no {phase2.CONFIRMED.file})")


def _shared_halves(run: AuditedRun) -> Finding | None:
    """Problems that are both picked on and confirmed on."""
    halves = run.evidence.data(phase1.SPLIT)
    search, confirm = ({str(name) for name in halves.get(half) or ()} for half in ("search", "confirm"))
    if not (both := sorted(search & confirm)):
        return None
    named = first_few([quoted(name) for name in both], 3)
    says = f"{len(both):,} problems are both picked on and confirmed on: {named}"
    return Finding(FAIL, says, float(len(both)))


def _confirmation(run: AuditedRun, confirmed: pd.DataFrame) -> Finding:
    arms = confirmed.loc[confirmed["role"].isin(_CONFIRMS), "arm"].astype(str).tolist()
    if arms:
        return Finding(
            PASS, f"{quoted(arms[0])} was measured on problems that it was not picked on", float(len(arms))
        )
    choice = run.table(phase2.CHOICE, "verdict", "arm", "kind")
    held = (
        choice[(choice["verdict"] == HELD) & (choice["kind"] == "intervention")]
        if choice is not None
        else None
    )
    if held is not None and not held.empty:
        names = [quoted(name) for name in held["arm"]]
        return Finding(FAIL, f"{first_few(names)} qualified and was not confirmed", float(len(names)))
    return Finding(PASS, "no arm qualified on the search half, so there was nothing to confirm", 0.0)


@rule(
    bounds=f"Warns where the interval is wider than the change and than {100 * SMALLEST_CLAIM:g} points.",
    why="Where the 95% interval is wider than the effect itself, the data agree with effects of very "
    "different sizes.",
    what_to_do="Take more problems (`backtracking power` says how many), or claim no more than the interval "
    "does.",
)
def interval_too_wide(run: AuditedRun) -> Finding:
    """Changes of an outcome that claims rest on, with an interval wider than the change."""
    looked_at = list(_changes(run))
    if not looked_at:
        return not_applicable("changes with intervals are not in this run's tables")
    wide = [one for one in looked_at if one.width > max(abs(one.value), SMALLEST_CLAIM)]
    if wide:
        widest = max(wide, key=lambda one: one.width)
        return Finding(WARN, widest.text, widest.width, tuple(one.text for one in wide))
    width = max(one.width for one in looked_at)
    says = f"intervals are at most {100 * width:.1f} points wide, or narrower than their effects"
    return Finding(PASS, says, width)


@dataclass(frozen=True)
class _Change:
    value: float
    width: float
    text: str


def _changes(run: AuditedRun) -> Iterator[_Change]:
    """The changes that claims rest on: of conditions and formats, of the confirmation, else of the sweeps."""
    for table in (phase1.COMPARISON, phase1.FORMATS):
        yield from _changes_in(run, table)
    confirmed = list(_changes_in(run, phase2.CONFIRMED))
    yield from confirmed or (change for table, _ in run.arms for change in _changes_in(run, table))


def _changes_in(run: AuditedRun, table: Table) -> Iterator[_Change]:
    """Every change with its interval; of what is only compared with nothing is claimed."""
    arms = run.evidence.table(table)
    rows = lines_of(arms) if arms is not None else ()
    for row in (row for row in rows if not _is_control(row)):
        for outcome, what in _CLAIMED.items():
            value, low, high = (number(row, f"{outcome}_diff{end}") for end in ("", "_low", "_high"))
            if value is not None and low is not None and high is not None:
                text = f"{_name(row)}, {what}: {points(row, f'{outcome}_diff')} points ({table.file})"
                yield _Change(value, high - low, text)


def _is_control(row: dict[Any, Any]) -> bool:
    """Whether a row is there to be compared with."""
    return row.get("kind", "intervention") != "intervention" or row.get("condition") == RANDOM


def _name(row: dict[Any, Any]) -> str:
    variant, condition = (str(row.get(name, "")) for name in ("variant", "condition"))
    return quoted(row["arm"]) if "arm" in row else named(variant, condition)


CHECKS = (arms_without_divergence, hooks_against_schedule, winner_unconfirmed, interval_too_wide)
