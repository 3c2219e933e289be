"""Checks of what is compared with what: each trips on a spoiled run, and passes a clean one."""

import json

import pandas as pd
import pytest

from tests.audit.folders import CONFIG, VARIANTS, arms, checked, events, write_run

EVENTS = "backtracking_events"
MAIN, OTHER = VARIANTS
GENERATED = {"schema": 1, "stages": {f"generate[{MAIN}/baseline]": {"outcome": "done"}}}


def same_lengths():
    table = events()
    return table.assign(prompt_tokens=20 + table["example_id"].str[1:].astype(int))


def write_prompts(evidence, variant, prefix):
    folder = evidence.paths.generations / variant
    folder.mkdir(parents=True)
    rows = [{"example_id": f"p{k:02}", "sample_id": 0, "prompt_ids": [*prefix, k]} for k in range(12)]
    (folder / "baseline.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_prompts_of_the_same_length_on_all_problems_are_suspicious_and_no_more(tmp_path):
    assert checked("prompts_equal", write_run(tmp_path, {EVENTS: events()}, run_id="clean")).outcome == "pass"
    found = checked("prompts_equal", write_run(tmp_path, {EVENTS: same_lengths()}, run_id="bad"))
    assert found.outcome == "warn" and "same length on all 12 problems" in found.found
    assert "not recorded" in found.found


def test_prompts_of_the_same_length_that_differ_are_no_fault(tmp_path):
    other = write_run(tmp_path, {EVENTS: same_lengths()})
    for variant, prefix in ((MAIN, [1, 2]), (OTHER, [1, 3])):
        write_prompts(other, variant, prefix)
    assert checked("prompts_equal", other).outcome == "pass"
    own = write_run(tmp_path, {EVENTS: same_lengths()}, meta=GENERATED, run_id="own")
    assert checked("prompts_equal", own).outcome == "pass", "equal prompts are refused when they are rendered"


def test_prompts_that_are_the_same_fail_whoever_made_them(tmp_path):
    own = write_run(tmp_path, {EVENTS: events()}, meta=GENERATED)
    for variant in VARIANTS:
        write_prompts(own, variant, [1, 2])
    found = checked("prompts_equal", own)
    assert found.outcome == "fail" and "the prompts are the same" in found.found


def comparison(*lines):
    return pd.DataFrame(lines, columns=["variant", "condition", "total"])


@pytest.mark.parametrize(
    ("table", "outcome"),
    [
        (comparison((MAIN, "baseline", 48), (MAIN, "targeted_ablation", 48)), "pass"),
        (comparison((OTHER, "baseline", 48), (MAIN, "targeted_ablation", 48)), "fail"),
        (comparison(("all", "baseline", 96), ("all", "targeted_ablation", 48)), "fail"),
        (comparison((MAIN, "baseline", 96), (MAIN, "targeted_ablation", 48)).drop(columns="variant"), "fail"),
        (comparison((MAIN, "baseline", 48)).drop(columns="variant"), "not applicable"),
    ],
    ids=["own baseline", "another format's", "pooled", "pooled without a name", "format not told"],
)
def test_conditions_pooled(tmp_path, table, outcome):
    tables = {EVENTS: events(), "condition_comparison": table}
    assert checked("conditions_pooled", write_run(tmp_path, tables)).outcome == outcome


def test_arms_of_other_formats_than_the_baseline(tmp_path):
    table = events().query("condition != 'random_ablation'")
    table = table.assign(arm=table["condition"])
    found = checked("conditions_pooled", write_run(tmp_path, {"subset_sweep_events": table}))
    assert found.outcome == "fail" and "targeted_ablation" in found.found
    alike = table[table["variant"] == MAIN]
    clean = write_run(tmp_path, {"subset_sweep_events": alike}, run_id="clean")
    assert checked("conditions_pooled", clean).outcome == "pass"


@pytest.mark.parametrize(("accuracy", "outcome"), [(0.69, "pass"), (0.012, "fail")])
def test_baselines_disagree_in_tables_only(tmp_path, accuracy, outcome):
    earlier = write_run(tmp_path, {EVENTS: events(problems=40)}, run_id="phase1")
    swept = arms(("late", 1.0, 0.6, accuracy), ("late", 0.0, 0.1, 0.0), total=400)
    found = checked("baselines_disagree", write_run(tmp_path, {"scale_sweep_results": swept}), earlier)
    assert found.outcome == outcome
    assert checked("baselines_disagree", earlier).outcome == "not applicable"


@pytest.mark.parametrize("fault", ["none", "answers", "onsets"])
def test_baselines_disagree_by_problem(tmp_path, fault):
    earlier = write_run(tmp_path, {EVENTS: events()}, run_id="phase1")
    swept = events().query(f"condition == 'baseline' and variant == '{MAIN}'").assign(arm="baseline")
    if fault == "answers":
        swept["is_correct"] = False
    if fault == "onsets":
        swept["has_backtracking_strict"] = True
    found = checked("baselines_disagree", write_run(tmp_path, {"subset_sweep_events": swept}), earlier)
    assert found.outcome == ("pass" if fault == "none" else "fail")
    assert found.number == (0 if fault == "none" else pytest.approx(found.number))


@pytest.mark.parametrize(("draws", "outcome"), [(4, "pass"), (2, "pass"), (1, "fail")])
def test_random_draws(tmp_path, draws, outcome):
    table = events()
    found = checked("random_draws", write_run(tmp_path, {EVENTS: table.assign(draw=table["draw"] % draws)}))
    assert (found.outcome, found.number) == (outcome, draws)


def test_random_draws_that_have_the_same_components_are_one(tmp_path):
    listed = pd.DataFrame({"draw": [0, 1, 2], "components": ["attn 1", "attn 1", "attn 1"]})
    found = checked("random_draws", write_run(tmp_path, {EVENTS: events(), "random_draws": listed}))
    assert (found.outcome, found.number) == ("fail", 1)


@pytest.mark.parametrize(
    ("config", "outcome"),
    [
        ("ablation_generation: {random_control_seed: 1234}", "fail"),
        ("ablation_generation: {random_control_seed: 1234, random_draws: 10}", "pass"),
        ("phase2: {num_random: 1}", "fail"),
        ("run: {}", "warn"),
    ],
)
def test_random_draws_that_the_table_does_not_tell_apart(tmp_path, config, outcome):
    tables = {EVENTS: events().drop(columns="draw")}
    assert checked("random_draws", write_run(tmp_path, tables, config=config)).outcome == outcome


def test_random_draws_of_sweeps(tmp_path):
    lines = (("baseline", None, 0.6, 0.5), ("late", 0.0, 0.1, 0.4), ("random_late", 0.0, 0.5, 0.5))
    swept = write_run(tmp_path, {"subset_sweep_results": arms(*lines)})
    assert checked("random_draws", swept).outcome == "fail"
    alone = write_run(tmp_path, {"subset_sweep_results": arms(*lines[:2])}, run_id="alone")
    assert checked("random_draws", alone).outcome == "warn"
    table = events().assign(arm=lambda rows: rows["condition"], kind="random control")
    several = write_run(tmp_path, {"subset_sweep_events": table[table["draw"].notna()]}, run_id="several")
    assert checked("random_draws", several).number == 4


def test_no_random_set_at_all(tmp_path):
    table = events().query("condition != 'random_ablation'")
    assert checked("random_draws", write_run(tmp_path, {EVENTS: table})).outcome == "fail"
    alone = table[table["condition"] == "baseline"]
    assert (
        checked("random_draws", write_run(tmp_path, {EVENTS: alone}, run_id="b")).outcome == "not applicable"
    )


@pytest.mark.parametrize(
    ("damage", "config", "outcome"),
    [
        (0.2, CONFIG, "pass"),
        (1.7, CONFIG, "fail"),
        (0.2, "analysis: {max_collateral: 0.1}", "fail"),
        (None, CONFIG, "warn"),
        ("absent", CONFIG, "not applicable"),
    ],
)
def test_selection_collateral(tmp_path, damage, config, outcome):
    scan = pd.DataFrame({"component": ["attn", "mlp"], "layer": [5, 5], "kl_control": [damage, 3.0]})
    if damage == "absent":
        scan = scan.drop(columns="kl_control")
    data = {"selected_layers": {"attn": [5], "mlp": []}}
    run = write_run(tmp_path, {"ablation_importance": scan}, data, config)
    assert checked("selection_collateral", run).outcome == outcome


def controls(count=20, **columns):
    table = pd.DataFrame(
        {
            "example_id": [f"p{k % 12:02}" for k in range(count)],
            "sample_id": [k % 4 for k in range(count)],
            "pred_pos": [30 + k % 12 + k for k in range(count)],
            "control_kind": "matched_row",
            "matching": "same_problem",
            "control_example_id": [f"p{k % 12:02}" for k in range(count)],
            "control_sample_id": [(k + 1) % 4 for k in range(count)],
            "control_pos": [30 + k % 12 + k for k in range(count)],
        }
    )
    return table.assign(**columns)


@pytest.mark.parametrize(
    ("table", "outcome", "words"),
    [
        (controls(), "pass", ""),
        (controls(matching="unmatched"), "fail", "100.0% of 20 onsets have no control"),
        (controls(matching=["unmatched"] * 12 + ["same_problem"] * 8), "warn", "60.0% of 20 onsets"),
        (controls(control_example_id="p00", control_sample_id=1, control_pos=41), "fail", "used before"),
        (controls(control_pos=[60 + k % 12 + k for k in range(20)]), "warn", "standard deviations"),
        (controls(starts_sentence=True, control_starts_sentence=True), "pass", ""),
        (
            controls(starts_sentence=True, control_starts_sentence=[k % 2 > 0 for k in range(20)]),
            "warn",
            "50.0% of 20 controls",
        ),
        (controls(count=3), "not applicable", "fewer than 5"),
    ],
    ids=["clean", "none", "few", "reused", "elsewhere", "like places", "unlike places", "too few"],
)
def test_controls_matched(tmp_path, table, outcome, words):
    found = checked("controls_matched", write_run(tmp_path, {EVENTS: events(), "controls": table}))
    assert found.outcome == outcome and words in found.found


def test_controls_of_an_earlier_lens(tmp_path):
    lens = pd.DataFrame({"layer": range(3), "control_matching": "random_position"})
    found = checked("controls_matched", write_run(tmp_path, {"logit_lens": lens}))
    assert found.outcome == "warn" and "random_position" in found.found
