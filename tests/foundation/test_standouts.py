"""Only what stands out in the scan is regenerated without; that nothing does is a result."""

import json
from pathlib import Path

import pandas as pd

from backtracking.mechanism.selection import selected, strongest_layers
from tests.foundation.study import PHASES, sets

NOTHING = "nothing stands out in the ablation scan"
SECTIONS = {"demo": "analysis.max_collateral=0.0001", "demo-phase2": "phase2.search.enabled=false"}


def scanned(*rows):
    """A scored scan: kind, layer, rank within the kind, p."""
    columns = ["component", "layer", "selectivity_rank", "selectivity_p_holm"]
    return pd.DataFrame(rows, columns=columns)


def test_what_does_not_stand_out_is_not_taken_along():
    table = scanned(("attn", 5, 1, 0.001), ("mlp", 5, 1, 1.0), ("attn", 4, 2, 0.04), ("attn", 3, 3, 0.2))
    assert selected(table, "selectivity", 6) == {"attn": [5, 4], "mlp": []}
    assert selected(table, "selectivity", 1) == {"attn": [5], "mlp": []}
    assert strongest_layers(table, "selectivity", 1) == {"attn": [5], "mlp": [5]}


def test_without_tests_nothing_stands_out():
    table = scanned(("attn", 5, 1, float("nan")), ("mlp", 5, 1, float("nan")))
    assert selected(table, "selectivity", 6) == {"attn": [], "mlp": []}


def test_with_nothing_to_remove_both_phases_end_in_reports(run, cli, no_pictures):
    for phase, change in SECTIONS.items():
        config, settings = PHASES[phase]
        done = cli("run", "-c", config.removesuffix(".yaml"), *sets(*settings, change))
        assert done.code == 0, done.err
        again = cli("run", "-c", config.removesuffix(".yaml"), *sets(*settings, change))
        assert "nothing to do" in again.out, again.out + again.err
    analysis = Path("runs/demo/analysis")
    assert json.loads((analysis / "selected_layers.json").read_text()) == {"attn": [], "mlp": []}
    stages = json.loads(Path("runs/demo/meta.json").read_text())["stages"]
    for condition in ("targeted_ablation", "single_ablation", "random_ablation"):
        record = stages[f"generate[baseline_think_newline/{condition}]"]
        assert record["outcome"] == "not testable" and NOTHING in record["reason"]
        assert not Path(f"runs/demo/generations/baseline_think_newline/{condition}.jsonl").exists()
    assert set(pd.read_csv(analysis / "condition_comparison.csv")["condition"]) == {"baseline"}
    one, two = (next(Path(f"runs/{name}/reports").glob("*.md")).read_text() for name in SECTIONS)
    assert "Nothing stands out" in one
    assert f"`selected` ({NOTHING}" in two or NOTHING in two
    assert "selected" not in set(
        pd.read_csv("runs/demo-phase2/analysis/subset_sweep_results.csv")["subset_name"]
    )
