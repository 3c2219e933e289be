"""Null studies made of a finished one: each problem's rows change their labels, so no arm differs truly."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from backtracking.artifacts import phase1 as files
from backtracking.claims.evidence import Evidence
from backtracking.claims.phase1 import phase1_verdicts
from backtracking.measurements.metrics_v2 import condition_table, draw_table, formatting_table
from backtracking.measurements.tallies import tally, tally_draws
from backtracking.run.paths import RunPaths
from backtracking.run.records import BASELINE_NAME

SUPPORTED = "supported"
LABELS = ["variant", "condition", "draw"]
Outcomes = Mapping[str, str]
"""What each claim came out as."""


def relabelled(events: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The same rows, each problem's labels drawn again among its rows: truth is that nothing differs."""
    rng = np.random.default_rng(seed)
    groups = events.groupby("example_id", sort=False).indices.values()
    labels = events[[*LABELS, "sample_id"]].to_numpy(dtype=object)
    drawn = labels.copy()
    for places in groups:
        drawn[places] = labels[rng.permutation(places)]
    return events.assign(**{name: drawn[:, place] for place, name in enumerate([*LABELS, "sample_id"])})


@dataclass(frozen=True)
class Desk:
    """Where rows are judged as if a run had made them; the scan and the rest come from a finished run."""

    template: RunPaths
    folder: Path
    variants: tuple[str, ...]

    def judge(self, events: pd.DataFrame, main: str | None = None) -> Outcomes:
        """The verdicts of the first phase on these rows, before the audit, which could only withhold them."""
        variant = main or self.variants[0]
        shutil.rmtree(self.folder, ignore_errors=True)
        paths = RunPaths(self.folder / "runs", "null")
        shutil.copytree(files.EVENTS.path(self.template).parent, files.EVENTS.path(paths).parent)
        # Behind fixed prefixes the finished study's own effect stands; without them rows alone decide.
        files.PREFIXES.path(paths).unlink(missing_ok=True)
        events.to_csv(files.EVENTS.path(paths), index=False)
        sums = tally(events.assign(condition=events["condition"].astype(str)))
        files.COMPARISON.write(paths, condition_table(sums, variant))
        files.DRAWS.write(paths, draw_table(tally_draws(files.EVENTS.path(paths), variant)))
        baseline = sums[sums.index.get_level_values("condition") == BASELINE_NAME]
        files.FORMATS.write(paths, formatting_table(baseline, self.variants))
        return {verdict.key: verdict.outcome for verdict in phase1_verdicts(Evidence(paths), variant)}


@dataclass(frozen=True)
class AnalystChoice:
    """What a partial analyst may choose after the fact."""

    half: int | None
    """Only every other problem."""
    samples: int | None
    """Only every other completion of a problem, as another seed would have been."""
    target: int
    """Another mode of removal, or another k, picks other components: here as exchangeable as the first."""

    def apply(self, events: pd.DataFrame) -> pd.DataFrame:
        """The rows that this choice leaves, under the labels that it gives them."""
        rows = events
        if self.half is not None:
            order = {problem: place for place, problem in enumerate(sorted(rows["example_id"].unique()))}
            rows = rows[rows["example_id"].map(order) % 2 == self.half]
        if self.samples is not None:
            rows = rows[rows.groupby(["example_id", *LABELS], dropna=False).cumcount() % 2 == self.samples]
        if self.target == 0:
            return rows
        ablated = rows["condition"] != BASELINE_NAME
        return pd.concat([rows[~ablated], relabelled(rows[ablated], self.target)])


AS_PLANNED = AnalystChoice(None, None, 0)
CHOICES = tuple(
    AnalystChoice(half, samples, target)
    for half in (None, 0, 1)
    for samples in (None, 0, 1)
    for target in range(3)
)
"""Every analysis that the analyst tries, the planned one first."""


def null_study(desk: Desk, events: pd.DataFrame, seed: int, *, partial: bool) -> tuple[Outcomes, set[str]]:
    """The planned verdicts of one null study, and every claim that some choice would have supported."""
    rows = relabelled(events, seed)
    judged = [desk.judge(choice.apply(rows)) for choice in (CHOICES if partial else (AS_PLANNED,))]
    return judged[0], {
        key for outcomes in judged for key, outcome in outcomes.items() if outcome == SUPPORTED
    }
