"""Null studies of Phase 2: a finished sweep whose rows change arms within each problem."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from backtracking.artifacts import phase2 as files
from backtracking.artifacts.kinds import Table
from backtracking.calibration.nulls import SUPPORTED, Outcomes
from backtracking.claims.evidence import Evidence
from backtracking.claims.phase2 import phase2_verdicts
from backtracking.measurements.halves import split_problems
from backtracking.measurements.tradeoff import DESTRUCTIVE, find_best_tradeoff, summarize_arms
from backtracking.run.paths import RunPaths
from backtracking.run.records import BASELINE_NAME

REDUCTION = ("turned_down", "substantial")
_ARM = ["arm", "condition", "subset_name", "scale", "num_components", "kind"]
MARGINS = (0.05, 0.1)


def swept_rows(run: RunPaths) -> pd.DataFrame:
    """The rows of the baseline and of every arm that is not destructive, each once."""
    tables = [table.read(run) for table in (files.SUBSET_EVENTS, files.SCALE_EVENTS) if table.exists(run)]
    rows = pd.concat(tables, ignore_index=True)
    rows = rows.drop_duplicates(["arm", "example_id", "sample_id"], ignore_index=True)
    judged = summarize_arms(rows, MARGINS[0])
    whole = judged.loc[judged["verdict"] != DESTRUCTIVE, "arm"]
    return rows[rows["arm"].isin(whole)].reset_index(drop=True)


def mixed(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The same rows, each problem's arms drawn again among its rows."""
    rng = np.random.default_rng(seed)
    labels = rows[_ARM].to_numpy(dtype=object)
    drawn = labels.copy()
    for places in rows.groupby("example_id", sort=False).indices.values():
        drawn[places] = labels[rng.permutation(places)]
    return rows.assign(**{name: drawn[:, place] for place, name in enumerate(_ARM)})


@dataclass(frozen=True)
class SecondDesk:
    """Where arms are judged as if a run had made their rows."""

    folder: Path
    margin: float = MARGINS[0]

    def confirmed(self, rows: pd.DataFrame) -> Outcomes:
        """As planned: an arm is picked on one half and judged on the other."""
        halves = split_problems(list(dict.fromkeys(rows["example_id"])))
        search, confirm = (rows[rows["example_id"].isin(halves[half])] for half in ("search", "confirm"))
        searched = summarize_arms(search, self.margin)
        winner = find_best_tradeoff(searched)
        picked = [BASELINE_NAME] if winner is None else [BASELINE_NAME, str(winner["arm"])]
        table = summarize_arms(confirm[confirm["arm"].isin(picked)], self.margin)
        roles = np.where(table["arm"] == BASELINE_NAME, "baseline", "winner")
        return self._judge({files.CHOICE: searched, files.CONFIRMED: table.assign(role=roles)})

    def exploratory(self, rows: pd.DataFrame) -> Outcomes:
        """Without a confirmation: the best of all arms on the rows that it was picked on."""
        return self._judge({files.SUBSETS: summarize_arms(rows, self.margin)})

    def _judge(self, tables: Mapping[Table, pd.DataFrame]) -> Outcomes:
        shutil.rmtree(self.folder, ignore_errors=True)
        paths = RunPaths(self.folder / "runs", "null")
        for artifact, table in tables.items():
            artifact.write(paths, table)
        judged = phase2_verdicts(Evidence(paths), self.margin)
        return {verdict.key: verdict.outcome for verdict in judged if verdict.key in REDUCTION}


def _parts(rows: pd.DataFrame) -> Sequence[pd.DataFrame]:
    """What an analyst may keep: all, half of the problems, or half of each problem's completions."""
    order = {problem: place for place, problem in enumerate(sorted(rows["example_id"].unique()))}
    halves = rows["example_id"].map(order) % 2
    samples = rows["sample_id"] % 2
    return [rows, *(rows[part == k] for part in (halves, samples) for k in (0, 1))]


def second_null(rows: pd.DataFrame, folder: Path, seed: int, *, partial: bool) -> tuple[Outcomes, set[str]]:
    """The planned verdicts, and the claims that some other analysis of the same rows would have supported."""
    drawn = mixed(rows, seed)
    planned = SecondDesk(folder).confirmed(drawn)
    tried = [planned]
    if partial:
        parts = _parts(drawn)
        tried += [SecondDesk(folder).confirmed(part) for part in parts]
        tried += [SecondDesk(folder, margin).exploratory(part) for margin in MARGINS for part in parts]
    return planned, {key for outcomes in tried for key, outcome in outcomes.items() if outcome == SUPPORTED}
