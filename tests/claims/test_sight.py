"""What the scan could have seen, against scans that are simulated with onsets alike within a problem."""

import numpy as np
import pandas as pd
import pytest

from backtracking.claims.evidence import Evidence
from backtracking.claims.scan import Sight, sight, standouts
from backtracking.config.schema import AnalysisConfig
from backtracking.measurements.statistics import POWER
from backtracking.mechanism.ablation_scan import Removal, ScanResult
from backtracking.mechanism.passes import Site
from backtracking.mechanism.selection import add_scores
from tests.report.tables import run_paths

COMPONENTS, ONSETS = 12, 6
PLANTED = Removal(Site("mlp", 4))
REMOVALS = [Removal(Site(kind, layer)) for kind in ("attn", "mlp") for layer in range(COMPONENTS // 2)]
BETWEEN, WITHIN = 0.5, 0.2
"""Standard deviations of the loss: the problems' own, and those of the onsets of one problem."""


def scan_of(problems, loss, seed):
    """The scan's table where one component alone takes something away, by problem more or less of it."""
    rng = np.random.default_rng(seed)
    shape = (problems, ONSETS, COMPONENTS)
    lost = rng.normal(0, BETWEEN, (problems, 1, COMPONENTS)) + rng.normal(0, WITHIN, shape)
    lost[..., REMOVALS.index(PLANTED)] += loss
    values = -lost.reshape(-1, COMPONENTS)
    names = [f"p{problem}" for problem in range(problems) for _ in range(ONSETS)]
    onset = dict.fromkeys(("logit", "trigger_log_odds"), values)
    result = ScanResult(tuple(REMOVALS), names, onset, {"kl": np.full_like(values, 0.05)})
    table = pd.DataFrame(
        {
            "layer": [removal.site.layer for removal in REMOVALS],
            "component": [removal.site.component for removal in REMOVALS],
            "delta_trigger_log_odds": values.mean(0),
            "kl_control": 0.05,
            "n_events": problems * ONSETS,
            "n_problems": problems,
        }
    )
    return add_scores(table, result, AnalysisConfig())


def evidence_of(folder, *scan):
    return Evidence(run_paths(folder, ablation_importance=scan_of(*scan)))


def found_in(folder, problems, loss, scans=100):
    """The share of simulated scans in which the planted component stands out."""
    evidence = (evidence_of(folder / f"{seed}", problems, loss, seed) for seed in range(scans))
    return sum("mlp 4" in standouts(one)[""] for one in evidence) / scans


def average(folder, problems, scans=30):
    """What scans of so many problems say they could see: the middle one of several."""
    sights = [sight(evidence_of(folder / f"{seed}", problems, 0.0, 10_000 + seed)) for seed in range(scans)]
    return sorted(sights, key=lambda one: one.nats)[scans // 2]


@pytest.mark.parametrize("problems", [8, pytest.param(30, marks=pytest.mark.slow)])
def test_a_loss_of_the_size_that_is_said_to_be_seen_is_found_as_often_as_said(tmp_path, problems):
    """The blindest component is meant, so others are found a little more often."""
    said = average(tmp_path / "said", problems)
    assert said.problems == problems, "problems, not their onsets"
    assert POWER - 0.1 < found_in(tmp_path, problems, said.nats) < 0.99
    assert found_in(tmp_path, problems, said.nats / 2) < 0.5


@pytest.mark.slow
def test_as_many_problems_as_are_said_to_decide_see_the_loss(tmp_path):
    said = average(tmp_path / "said", 8)
    wanted = 0.6 * said.nats
    needed = int(said.problems_for(wanted))
    assert 8 < needed < 8 * 6
    assert POWER - 0.1 < found_in(tmp_path, needed, wanted) < 0.99
    assert found_in(tmp_path, 8, wanted) < 0.6


def test_more_onsets_of_the_same_problems_are_no_more_problems(tmp_path):
    """Each problem said twice: the same errors, the same power."""
    once = scan_of(10, 0.0, 0)
    table = once.assign(n_events=2 * once["n_events"])
    twice = Evidence(run_paths(tmp_path / "twice", ablation_importance=table))
    assert sight(twice) == sight(Evidence(run_paths(tmp_path / "once", ablation_importance=once)))


def test_the_number_that_decides_is_the_smallest_that_does():
    said = Sight(reach=0.2, error=0.3, problems=20, components=12)
    needed = said.problems_for(0.7)
    at = [Sight(0.2, 0.3 * np.sqrt(20 / count), int(count), 12).nats for count in (needed - 1, needed)]
    assert at[0] > 0.7 >= at[1] and needed == int(needed)
    assert np.isnan(said.problems_for(0.2))
