"""The search beyond named subsets: which components, and how strongly.

Proposals come from optuna. Both the proposals (seeded) and a trial's rows (keyed noise, kept on disk) are
reproducible, so a search that is started again walks the same path and generates only what is missing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from backtracking.config.phase2 import SearchConfig
from backtracking.errors import UserError
from backtracking.interventions import BASELINE_ARM, Arm, Condition, Intervention
from backtracking.measurements.comparison import average, compare
from backtracking.measurements.metrics import OUTCOMES
from backtracking.measurements.outcome import FallingOutcome, primary_outcome, ways
from backtracking.measurements.tallies import contributions
from backtracking.model.arms import check_arms
from backtracking.run.provenance import digest
from backtracking.run.records import BASELINE_NAME
from backtracking.sweeps.contest import Contest
from backtracking.sweeps.sweep import SweepJob, run_arms

if TYPE_CHECKING:
    import optuna

Candidate = tuple[Literal["attn", "mlp"], int]
SINGLES = 6
LONGEST_NAME = 60
STARTING_SCALES = (0.0, 0.5)
IDLE_ROUNDS = 10
"""Rounds in a row without a new arm after which the search ends."""


@dataclass(frozen=True)
class SearchResult:
    """Every trial with its two objectives, and the measured rows of all arms."""

    trials: pd.DataFrame
    events: pd.DataFrame
    generated: int


def search_arms(
    job: SweepJob, candidates: Sequence[Candidate], config: SearchConfig, seed: int
) -> SearchResult:
    """Spend the budget of rows on subsets of the candidates (best first) and scales.

    A proposal that was tried before costs nothing; the search ends early when proposals only repeat. Where
    the job has looks, arms that cannot be picked any more stop, and what they spare goes to further arms.
    """
    per_arm = len(job.prompts) * job.samples
    rows_left = _rows_for_arms(config.budget_rows, per_arm)
    idle = 0
    study = _study(candidates, config, seed)
    baseline = run_arms(replace(job, looks=None), [BASELINE_ARM])
    tried = _Tried(job, baseline.events, baseline.generated)
    lines: list[dict[str, Any]] = []
    while rows_left >= per_arm and idle < IDLE_ROUNDS:
        together = min(config.trials_at_once, rows_left // per_arm)
        asked = [study.ask(_space(candidates, config)) for _ in range(together)]
        arms = [_arm(trial.params, candidates, job) for trial in asked]
        spent = tried.run(arms)
        rows_left -= spent
        idle = 0 if spent else idle + 1
        for trial, arm in zip(asked, arms, strict=True):
            line = tried.line(arm.name)
            study.tell(trial, (line["outcome_change"], line["accuracy"]))
            scale = trial.params["scale"] if arm.members[0].interventions else None
            named = {"trial": trial.number, "arm": arm.name, "subset_name": arm.subset_name, "scale": scale}
            lines.append(named | line)
        job.reporter.say(f"  search: {len(lines)} trials, {len(tried.seen) - 1} different arms")
    return SearchResult(
        pd.DataFrame(lines), pd.concat(tried.seen.values(), ignore_index=True), tried.generated
    )


class _Tried:
    """The arms that were tried so far, with their measured rows."""

    def __init__(self, job: SweepJob, baseline: pd.DataFrame, generated: int) -> None:
        values = contributions(baseline)
        self.job, self.generated = job, generated
        self.seen = {BASELINE_NAME: baseline}
        self.stopped: dict[str, str] = {}
        self.lines: dict[str, dict[str, Any]] = {}
        self.outcome, self.judged_by = primary_outcome(values), ways(values)
        self.contest = Contest(job.margin, self.judged_by)

    def run(self, arms: Sequence[Arm]) -> int:
        """Try those that are new, and say how many rows they take."""
        new = list({arm.name: arm for arm in arms if arm.name not in self.seen}.values())
        if not new:
            return 0
        batch = run_arms(self.job, [BASELINE_ARM, *new], self.contest.leaving)
        self.generated += batch.generated
        parts = {str(arm): part for arm, part in batch.events.groupby("arm", sort=False)}
        self.seen |= {arm.name: parts[arm.name] for arm in new}
        self.stopped |= batch.course.settled
        whole = [arm.name for arm in new if arm.name not in self.stopped]
        if self.job.looks and whole:
            rows = [self.seen[name] for name in (BASELINE_NAME, *whole)]
            self.contest.enter(pd.concat(rows, ignore_index=True), self.job.looks)
        return self.job.samples * sum(batch.course.problems[arm.name] for arm in new)

    def line(self, arm: str) -> dict[str, Any]:
        """What a trial's line says of its arm."""
        if arm not in self.lines:
            self.lines[arm] = self._line(arm)
        return self.lines[arm]

    def _line(self, arm: str) -> dict[str, Any]:
        rows, baseline = self.seen[arm], self.seen[BASELINE_NAME]
        change, accuracy = _objectives(rows, baseline, self.judged_by)
        line = {
            "judged_on": self.outcome.outcome,
            "outcome_change": change,
            "accuracy": accuracy,
            "backtracking_rate": average(rows, OUTCOMES["backtracking"]).value,
        }
        if self.job.looks:
            line |= {"problems": rows["example_id"].nunique(), "why_stopped": self.stopped.get(arm, "")}
        return line


def _rows_for_arms(budget_rows: int, rows_per_arm: int) -> int:
    """What the budget leaves for arms beside the baseline."""
    rows = budget_rows - rows_per_arm
    if rows < rows_per_arm:
        raise UserError(
            f"phase2.search.budget_rows ({budget_rows:,}) does not pay for one arm",
            f"the baseline and an arm take {rows_per_arm:,} rows each",
            f"set phase2.search.budget_rows to {2 * rows_per_arm:,} or more, or lower "
            "phase2.search.max_examples or phase2.search.num_samples_per_prompt",
        )
    return rows


def _study(candidates: Sequence[Candidate], config: SearchConfig, seed: int) -> "optuna.Study":
    """Two objectives; the first trials are single components and growing sets in the candidates' order."""
    optuna = _optuna()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    number = seed % 2**32
    if config.sampler == "tpe":
        sampler: Any = optuna.samplers.TPESampler(seed=number, constant_liar=True, n_startup_trials=16)
    else:
        sampler = optuna.samplers.NSGAIISampler(seed=number, population_size=2 * config.trials_at_once)
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=sampler)
    for members in _starting_sets(candidates):
        for scale in _starting_scales(config):
            study.enqueue_trial({_key(c): c in members for c in candidates} | {"scale": scale})
    return study


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise UserError(
            "phase2.search needs optuna, which is not installed",
            "the search is the only part that uses it",
            "run: pip install 'backtracking[search]', or set phase2.search.enabled to false",
        ) from error
    return optuna


def _starting_sets(candidates: Sequence[Candidate]) -> list[Sequence[Candidate]]:
    singles: list[Sequence[Candidate]] = [[component] for component in candidates[:SINGLES]]
    return singles + [candidates[:size] for size in (2, 3, 4) if size <= len(candidates)]


def _starting_scales(config: SearchConfig) -> list[float]:
    return [scale for scale in STARTING_SCALES if scale in config.scales] or [config.scales[0]]


def _space(candidates: Sequence[Candidate], config: SearchConfig) -> dict[str, Any]:
    from optuna.distributions import CategoricalDistribution

    space: dict[str, Any] = {
        _key(component): CategoricalDistribution([False, True]) for component in candidates
    }
    return space | {"scale": CategoricalDistribution(list(config.scales))}


def _key(component: Candidate) -> str:
    return f"{component[0]}{component[1]}"


def _arm(params: dict[str, Any], candidates: Sequence[Candidate], job: SweepJob) -> Arm:
    """The trial as an arm; no component at all is the baseline."""
    chosen = [component for component in candidates if params[_key(component)]]
    if not chosen:
        return BASELINE_ARM
    scale = float(params["scale"])
    members = sorted(chosen)
    spelled = "-".join(_key(component) for component in members)
    short = spelled if len(spelled) <= LONGEST_NAME else digest(members)[:10]
    name = f"search_{short}_x{scale:g}"
    interventions = tuple(
        Intervention(component=kind, layer=layer, strength=scale, when=job.resources.when)
        for kind, layer in members
    )
    subset_name = "+".join(_key(component) for component in members)
    arm = Arm(name, subset_name, scale, (Condition(name=name, interventions=interventions),))
    check_arms([arm], job.resources)
    return arm


def _objectives(
    events: pd.DataFrame, baseline: pd.DataFrame, judged_by: Sequence[FallingOutcome]
) -> tuple[float, float]:
    """How far onsets change at the baseline's mix of steps (kinds that are not there: not), and accuracy.

    Of an arm that stopped, the accuracy is corrected by how hard its problems are for the baseline.
    """
    changes = [way.weight * compare(events, baseline, way.metric).value for way in judged_by]
    change = sum(0.0 if math.isnan(one) else one for one in changes)
    same = baseline[baseline["example_id"].isin(set(events["example_id"]))]
    arm, there, everywhere = (average(rows, OUTCOMES["accuracy"]).value for rows in (events, same, baseline))
    return change, arm - (there - everywhere)


def ranked_components(importance: pd.DataFrame | None, n_layers: int, count: int) -> list[Candidate]:
    """The scan's most selective components, strongest first; without a scan, all from the last layer on.

    Without controls no component has a selectivity; then the effect on the onset's logit ranks.
    """
    kinds: tuple[Literal["attn", "mlp"], ...] = ("mlp", "attn")
    if importance is None:
        return [(kind, layer) for layer in reversed(range(n_layers)) for kind in kinds][:count]
    selective = "selectivity" in importance and importance["selectivity"].notna().any()
    ranking = "selectivity" if selective else "delta_wait_logit_mean"
    ordered = importance.sort_values(ranking, ascending=not selective)
    pairs = zip(ordered["component"], ordered["layer"], strict=True)
    components = [(kind, int(layer)) for name, layer in pairs for kind in kinds if kind == name]
    return list(dict.fromkeys(components))[:count]
