"""The dose response: each outcome from planted doses, and H1 with it in the Phase 2 report."""

import json

import pandas as pd
import pytest

from backtracking.claims import phase2
from backtracking.claims.doses import dose_part
from backtracking.claims.evidence import Evidence
from backtracking.measurements.tradeoff import summarize_arms
from tests.claims.planted import FOUND, NOTHING, random_sets, stepped
from tests.report.tables import MAIN, event_rows, run_paths

SCALES = (0.75, 0.5, 0.0)


def _doses(folder, rates, layer=0, problems=100):
    """A Phase 2 run whose arms scale the MLP of one layer; the baseline backtracks in 80%."""
    arms = {"baseline": (0.8, None)} | {
        f"writer_x{scale:g}": (rate, scale) for scale, rate in zip(SCALES, rates, strict=False)
    }
    parts = [
        event_rows(arm, rate, 0.9, problems=problems, seed=k).assign(
            arm=arm,
            subset_name="baseline" if scale is None else "writer",
            scale=scale,
            num_components=int(scale is not None),
            kind="baseline" if scale is None else "intervention",
        )
        for k, (arm, (rate, scale)) in enumerate(arms.items())
    ]
    events = pd.concat(parts)
    tables = {"scale_sweep_results": summarize_arms(events, 0.1), "scale_sweep_events": events}
    paths = run_paths(folder / "two", **tables)
    for arm in list(arms)[1:]:
        card = paths.root / f"generations/{MAIN}/phase2_{arm}.arm.json"
        card.parent.mkdir(parents=True, exist_ok=True)
        changed = {"component": "mlp", "layer": layer, "head": None, "vector": None}
        card.write_text(json.dumps({"members": [{"interventions": [changed]}]}))
    return Evidence(paths)


def _phase1(folder, scan=FOUND):
    events = pd.concat([stepped("baseline", 0.8), stepped("targeted_ablation", 0.1), random_sets(0.8)])
    return Evidence(run_paths(folder / "one", backtracking_events=events, ablation_importance=scan))


@pytest.mark.parametrize(
    ("rates", "how", "state", "h1"),
    [
        ((0.6, 0.4, 0.2), {}, "holds", "supported"),
        ((0.2, 0.6, 0.1), {}, "fails", "contradicted"),
        ((0.75, 0.78, 0.7), {"problems": 20}, "open", "inconclusive"),
        ((0.6, 0.4, 0.2), {"layer": 1}, "missing", "not testable"),
        ((0.6, 0.4), {}, "missing", "not testable"),
    ],
    ids=["falls", "rises between", "few problems", "other components", "two doses"],
)
def test_h1_as_a_whole_with_its_doses(tmp_path, rates, how, state, h1):
    doses, earlier = _doses(tmp_path, rates, **how), _phase1(tmp_path)
    part = dose_part(doses, earlier)
    assert part.state == state, part
    first, *others = phase2.phase2_verdicts(doses, 0.1, None, (earlier, MAIN))
    assert (first.key, first.outcome) == ("H1", h1), first.because
    assert len(others) == 4


def test_what_does_not_stand_out_has_no_doses(tmp_path):
    assert dose_part(_doses(tmp_path, (0.6, 0.4, 0.2)), _phase1(tmp_path, NOTHING)).state == "missing"
