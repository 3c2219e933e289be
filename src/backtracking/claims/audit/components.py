"""Checks of what was ablated, and what it was compared with: random sets, collateral, controls."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from backtracking.artifacts import phase1, readings
from backtracking.claims.audit.audited import RANDOM, AuditedRun, is_untouched
from backtracking.claims.audit.check import FAIL, PASS, WARN, Finding, graded, not_applicable, rule
from backtracking.claims.audit.completions import as_label, finite_numbers, first_few
from backtracking.claims.wording import percent, quoted

FEWEST_DRAWS = 2
TARGETED = "targeted_ablation"
RANDOM_ARM = "random control"
DEFAULT_MAX_COLLATERAL = 1.0
"""Nats at controls from which a removal counts as destructive, where the config does not say."""
FEW_UNMATCHED, FEW_REUSED, MANY_REUSED = 0.5, 0.1, 0.5
FEWEST_EVENTS = 5
MANY_UNLIKE = 0.2
UNBALANCED = 0.5
"""Standard deviations by which controls may lie earlier or later in their texts than the onsets."""
MATCHED = ("matched_row", "same_row_earlier")
_PLACE = ("starts_sentence", "behind")
_COUNT_KEYS = (
    "ablation_generation.random_draws",
    "ablation_generation.num_random",
    "ablation_generation.random_control_draws",
    "ablation_generation.num_random_draws",
    "phase2.num_random",
)
_SEED_KEY = "ablation_generation.random_control_seed"


@rule(
    bounds=f"Fails below {FEWEST_DRAWS} sets; warns where they can't be told apart, or a sweep has none.",
    why="One random set may be harmless or ruinous by luck: what 'random' does, and where the target "
    "ranks among random sets, takes many of them.",
    what_to_do="Set ablation_generation.random_draws (20 or more; all sets where there are fewer), and "
    "generate random_ablation again; in Phase 2, give a random_like subset its draws.",
)
def random_draws(run: AuditedRun) -> Finding:
    """How many different random sets stand for 'random'."""
    findings = [*_draws_of_condition(run), *_draws_of_arms(run)]
    if not findings:
        return _without_random(run)
    return min(findings, key=lambda one: -1.0 if one.number is None else one.number)


def _without_random(run: AuditedRun) -> Finding:
    conditions = {group.condition for group in run.groups}
    if TARGETED in conditions:
        return Finding(FAIL, "no random set stands beside the targeted ablation", 0.0)
    if any((~is_untouched(arms)).any() for _, arms in run.arms):
        return Finding(WARN, "no random set stands beside the arms of the sweeps", 0.0)
    return not_applicable("nothing was ablated in this run")


def _draws_of_condition(run: AuditedRun) -> Iterator[Finding]:
    """The draws of Phase 1's random ablation; none where nothing tells them apart."""
    groups = [group for group in run.groups if group.condition == RANDOM]
    compared = run.table(phase1.COMPARISON, "condition")
    if not groups and (compared is None or RANDOM not in set(as_label(compared["condition"]))):
        return
    listed_draws = run.evidence.table(phase1.DRAWS)
    drawn = [float(group.rows["draw"].nunique()) for group in groups if group.holds("draw")]
    if listed_draws is not None:
        sets = listed_draws.get("components", listed_draws.index)
        drawn.append(float(sets.nunique()))
    if drawn:
        yield _stands(min(drawn), f"for `{RANDOM}`")
    elif asked := [count for key in _COUNT_KEYS if (count := run.number(key)) is not None]:
        yield _stands(asked[0], f"for `{RANDOM}`, by the run's config")
    elif run.is_earlier and run.number(_SEED_KEY) is not None:
        yield _stands(1.0, f"for `{RANDOM}`: the config has a seed for it, and no number of sets")
    else:
        yield Finding(
            WARN,
            f"the table does not say which random set a row of `{RANDOM}` belongs to: there may be only one",
        )


def _stands(count: float, where: str) -> Finding:
    says = f"{count:,.0f} random set{' stands' if count == 1 else 's stand'} {where}"
    return Finding(FAIL if count < FEWEST_DRAWS else PASS, says, count)


def _draws_of_arms(run: AuditedRun) -> Iterator[Finding]:
    """The draws of Phase 2's random arms; in tables without completions every random arm is one."""
    for table, events in run.events:
        if {"kind", "draw", "arm"} <= set(events):
            for arm, rows in events[events["kind"] == RANDOM_ARM].groupby("arm"):
                yield _stands(float(rows["draw"].nunique()), f"for {quoted(arm)} ({table.file})")
    if run.has_swept_rows:
        return
    for table, arms in run.arms:
        names = {str(name) for name in arms.loc[~is_untouched(arms), "subset_name"]}
        if drawn := [name for name in names if "random" in name.lower()]:
            yield _stands(float(len(drawn)), f"beside the arms of {table.file}")


@rule(
    bounds="Fails above `analysis.max_collateral` (1 nat); warns where it was not measured.",
    why="A component that the text cannot do without takes the onset along with everything else: "
    "removing it says that it is needed, not that it writes the onset.",
    what_to_do="Look at kl_control in ablation_importance.csv; select by selectivity (analysis.selection), "
    "lower analysis.max_collateral, or leave the component out.",
)
def selection_collateral(run: AuditedRun) -> Finding:
    """Damage that removing the selected components does where no onset is."""
    selected = run.evidence.data(readings.SELECTED)
    chosen = [
        (kind, layer) for kind, layers in selected.items() if isinstance(layers, list) for layer in layers
    ]
    importance = run.table(readings.IMPORTANCE, "component", "layer")
    if not chosen or importance is None:
        return not_applicable("selected components, or their scan, are not in this run")
    if "kl_control" not in importance:
        return not_applicable(f"the damage at controls is not in this table ({readings.IMPORTANCE.file})")
    damage = dict(
        zip(
            zip(as_label(importance["component"]), as_label(importance["layer"]), strict=True),
            finite_numbers(importance, "kl_control"),
            strict=True,
        )
    )
    costs = {f"{kind} {layer}": damage.get((str(kind), str(layer)), np.nan) for kind, layer in chosen}
    unknown = [name for name, cost in costs.items() if pd.isna(cost)]
    if unknown:
        return Finding(WARN, f"the damage of {first_few(unknown)} at controls was not measured")
    most = run.number("analysis.max_collateral") or DEFAULT_MAX_COLLATERAL
    worst = max(costs, key=lambda name: costs[name])
    details = [f"{name}: {cost:.3g} nats" for name, cost in costs.items()]
    says = f"{worst} costs {costs[worst]:.3g} nats at controls ({most:g} is destructive)"
    return graded(costs[worst], says, warn=most, fail=most, details=details)


@rule(
    bounds=f"Fails where a kind of control is lacking altogether, or more than {MANY_REUSED:.0%} are used "
    f"again; warns where more than {FEW_UNMATCHED:.0%} lack, more than {FEW_REUSED:.0%} are used again, or "
    f"more than {MANY_UNLIKE:.0%} stand at another kind of position (or, where that is "
    f"not told, {UNBALANCED:g} standard deviations earlier or later).",
    why="An onset is only as special as what it is compared with: controls that lack, repeat, or "
    "stand elsewhere in the text make differences of their own.",
    what_to_do="Sample more completions (generation.num_samples_per_prompt, dataset.max_examples) so that "
    "each onset finds a control of its own, then run logit-lens and ablation-scan again.",
)
def controls_matched(run: AuditedRun) -> Finding:
    """Controls of the studied onsets: found, used once, and at the same place of the text."""
    controls = run.table(readings.CONTROLS, "control_kind", "matching")
    if controls is None:
        return _matching_of_lens(run)
    findings = []
    for kind, rows in controls.groupby("control_kind", sort=False):
        if len(rows) >= FEWEST_EVENTS:
            findings += [part for part in (_unmatched(str(kind), rows), _reused(str(kind), rows)) if part]
            findings += _unbalanced(run, str(kind), rows)
    if not findings:
        return not_applicable(f"fewer than {FEWEST_EVENTS} onsets were studied")
    worst = max(findings, key=lambda one: (one.outcome == FAIL, one.outcome == WARN, one.number or 0.0))
    details = tuple(one.found for one in findings if one.outcome in (WARN, FAIL))
    return Finding(worst.outcome, worst.found, worst.number, details)


def _matching_of_lens(run: AuditedRun) -> Finding:
    """How the controls of the lens were found, where there is no table of controls."""
    lens = run.table(readings.LENS, "control_matching")
    if lens is None:
        return not_applicable("how controls were found is not in this run's tables")
    kinds = sorted(set(as_label(lens["control_matching"])) - set(MATCHED))
    if kinds:
        return Finding(
            WARN, f"controls of the lens are not matched: {first_few([quoted(kind) for kind in kinds])}", 1.0
        )
    return not_applicable(f"the controls one by one are not in this run ({readings.CONTROLS.file})")


def _unmatched(kind: str, rows: pd.DataFrame) -> Finding:
    share = float(as_label(rows["matching"]).eq("unmatched").mean())
    says = f"{percent(share)} of {len(rows):,} onsets have no control of kind {quoted(kind)}"
    if share == 1.0:
        return Finding(FAIL, says, share)
    return graded(share, says, warn=FEW_UNMATCHED)


def _reused(kind: str, rows: pd.DataFrame) -> Finding | None:
    keys = [name for name in ("control_example_id", "control_sample_id", "control_pos") if name in rows]
    used = rows[as_label(rows["matching"]).ne("unmatched")].dropna(subset=keys)
    if len(keys) < 3 or used.empty:
        return None
    share = float(used.duplicated(keys).mean())
    says = f"{percent(share)} of {len(used):,} controls of kind {quoted(kind)} were used before"
    return graded(share, says, warn=FEW_REUSED, fail=MANY_REUSED)


def _unbalanced(run: AuditedRun, kind: str, rows: pd.DataFrame) -> list[Finding]:
    """Whether matched rows are read at places like the onsets'; earlier ones of a row differ by design."""
    if kind != "matched_row":
        return []
    told = [name for name in _PLACE if name in rows and f"control_{name}" in rows]
    return _unlike(kind, rows, told) if told else _elsewhere(run, kind, rows)


def _unlike(kind: str, rows: pd.DataFrame, told: Sequence[str]) -> list[Finding]:
    """Controls that stand at another kind of position than their onsets, where the table tells."""
    used = rows[as_label(rows["matching"]).ne("unmatched")]
    if used.empty:
        return []
    differs = [as_label(used[name]) != as_label(used[f"control_{name}"]) for name in told]
    share = float(np.mean(np.any(differs, axis=0)))
    says = (
        f"{percent(share)} of {len(used):,} controls of kind {quoted(kind)} stand at another kind of position"
    )
    return [graded(share, says, warn=MANY_UNLIKE)]


def _elsewhere(run: AuditedRun, kind: str, rows: pd.DataFrame) -> list[Finding]:
    """Controls that lie earlier or later in their completions than the onsets do."""
    if not {"pred_pos", "control_pos"} <= set(rows):
        return []
    starts = _prompt_lengths(run)
    here = _offsets(rows, ("example_id", "sample_id", "pred_pos"), starts)
    there = _offsets(rows, ("control_example_id", "control_sample_id", "control_pos"), starts)
    known = here.notna() & there.notna()
    spread = float(here[known].std())
    if known.sum() < FEWEST_EVENTS or not spread > 0:
        return []
    apart = abs(float((there - here)[known].mean())) / spread
    says = f"controls of kind {quoted(kind)} lie {apart:.2f} standard deviations from their onsets' positions"
    return [graded(apart, says, warn=UNBALANCED)]


def _prompt_lengths(run: AuditedRun) -> dict[tuple[str, str], float]:
    variant = run.part("stages") and run.evidence.data(readings.SELECTION).get("variant")
    groups = [group for group in run.baselines if group.holds("prompt_tokens") and "sample_id" in group.rows]
    chosen = [group for group in groups if group.variant == variant] or groups
    if not chosen:
        return {}
    rows = chosen[0].rows
    return dict(
        zip(zip(rows["example_id"], rows["sample_id"], strict=True), rows["prompt_tokens"], strict=True)
    )


def _offsets(
    rows: pd.DataFrame, columns: tuple[str, str, str], starts: dict[tuple[str, str], float]
) -> "pd.Series[Any]":
    """Positions counted from the end of the prompt."""
    problem, sample, position = columns
    if not {problem, sample} <= set(rows):
        return pd.Series(np.nan, index=rows.index)
    keys = zip(as_label(rows[problem]), as_label(rows[sample]), strict=True)
    return finite_numbers(rows, position) - pd.Series(
        [starts.get(key, np.nan) for key in keys], index=rows.index
    )


CHECKS = (random_draws, selection_collateral, controls_matched)
