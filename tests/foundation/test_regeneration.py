"""Regeneration without what stands out: alone and together, the way it was selected, whole after a stop."""

import json
from collections import Counter

import pandas as pd
import pytest

from backtracking.claims.audit.checks import audit
from backtracking.claims.evidence import Evidence
from backtracking.run.paths import RunPaths

MAIN = "baseline_think_newline"


def rows(workdir, condition):
    path = workdir / f"runs/small/generations/{MAIN}/{condition}.jsonl"
    return {(row["example_id"], row["sample_id"]): row for row in map(json.loads, path.open())}


@pytest.fixture
def regenerate(generated, cli, small_config, workdir):
    """Completions under a condition, where the scan is said to have found these components."""
    analysis = workdir / "runs/small/analysis"
    analysis.mkdir()

    def run(condition, attn=(), mlp=(), *options):
        selected = json.dumps({"attn": list(attn), "mlp": list(mlp)})
        (analysis / "selected_layers.json").write_text(selected)
        outcome = cli("generate", "-c", small_config, "--condition", condition, *options)
        assert outcome.code == 0, outcome.err
        return outcome

    return run


def test_two_stand_outs_are_removed_alone_and_together(regenerate, cli, small_config, workdir):
    alone = {}
    for name, where in (("single_attn_1", {"attn": [1]}), ("single_mlp_2", {"mlp": [2]})):
        regenerate("targeted_ablation", **where)
        alone[name] = rows(workdir, "targeted_ablation")
    for condition in ("targeted_ablation", "single_ablation", "random_ablation"):
        regenerate(condition, [1], [2])
    single = rows(workdir, "single_ablation")
    dealt = Counter(row["condition"] for row in single.values())
    assert dealt == {"single_attn_1": len(single) / 2, "single_mlp_2": len(single) / 2}
    for key, row in single.items():
        assert row["completion_ids"] == alone[row["condition"]][key]["completion_ids"]
    assert {row["completion"] for row in rows(workdir, "targeted_ablation").values()} != {
        row["completion"] for row in single.values()
    }
    for command in ("detect-events", "compare-conditions"):
        assert cli(command, "-c", small_config).code == 0
    table = pd.read_csv(workdir / "runs/small/analysis/condition_comparison.csv").set_index("condition")
    assert {"baseline", "targeted_ablation", "random_ablation", *alone} == set(table.index)
    for name in alone:
        assert table.loc[name, "total"] == dealt[name]
        assert pd.notna(table.loc[name, "accuracy_diff"])
    assert checked(workdir) == "pass", "components removed alone share one set of rows"
    path = workdir / "runs/small/analysis/backtracking_events.csv"
    events = pd.read_csv(path)
    lost = events.index[events["condition"] == "single_attn_1"][:4]
    events.drop(index=lost).to_csv(path, index=False)
    assert checked(workdir) == "fail"


def checked(workdir):
    """What the audit says of the rows that are there."""
    found = audit(Evidence(RunPaths(workdir / "runs", "small")))
    return next(check.outcome for check in found if check.name == "row_keys")


def test_one_stand_out_is_not_removed_twice(regenerate, workdir):
    outcome = regenerate("single_ablation", [1])
    assert "one component stands out" in outcome.out + outcome.err
    assert not (workdir / f"runs/small/generations/{MAIN}/single_ablation.jsonl").exists()


def test_random_sets_are_the_same_when_their_run_is_resumed(regenerate, cli, small_config, workdir):
    regenerate("random_ablation", [1], [2])
    path = workdir / f"runs/small/generations/{MAIN}/random_ablation.jsonl"
    listed = workdir / "runs/small/analysis/random_sets.csv"
    whole, sets = path.read_bytes(), listed.read_bytes()
    assert len(pd.read_csv(listed)) == 1 + 2
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:7]))
    listed.unlink()
    outcome = cli("generate", "-c", small_config, "--condition", "random_ablation")
    assert "resuming: 7 of 16 completions done" in outcome.err
    assert (path.read_bytes(), listed.read_bytes()) == (whole, sets)
    more = regenerate("random_ablation", [1], [2], "--set", "ablation_generation.random_draws=3")
    assert "resuming" not in more.err, "other sets: every row is dealt anew"
    assert {row["draw"] for row in rows(workdir, "random_ablation").values()} == {0, 1, 2}


@pytest.mark.slow
def test_components_are_replaced_by_their_means_where_means_selected_them(cli, workdir):
    sizes = [
        "dataset.max_examples=24",
        "generation.num_samples_per_prompt=1",
        "ablation_generation.mode=as_selected",
        "ablation_generation.scale=0",
    ]
    base = ["-c", "demo", *(part for size in sizes for part in ("--set", size))]
    for command in ("prepare-data", "generate", "detect-events"):
        assert cli(command, *base, *(["--variant", MAIN] if command == "generate" else [])).code == 0
    analysis = workdir / "runs/demo/analysis"
    (analysis / "selected_layers.json").write_text('{"attn": [5], "mlp": []}')
    texts = {}
    for mode in ("mean", "zero"):
        (analysis / "ablation_selection.json").write_text(json.dumps({"mode": mode}))
        outcome = cli("generate", *base, "--condition", "targeted_ablation")
        assert outcome.code == 0, outcome.err
        record = json.loads((workdir / "runs/demo/meta.json").read_text())["stages"]
        assert record[f"generate[{MAIN}/targeted_ablation]"]["notes"]["removed_by"] == mode
        lines = (workdir / f"runs/demo/generations/{MAIN}/targeted_ablation.jsonl").read_text().splitlines()
        texts[mode] = [json.loads(line)["completion"] for line in lines]
    assert texts["mean"] != texts["zero"]
