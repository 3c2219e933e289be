"""Checks of onsets, interventions and provenance: each trips on a spoiled run, and passes a clean one."""

import pandas as pd
import pytest

from tests.audit.folders import CONFIG, arms, checked, events, write_run

EVENTS = "backtracking_events"
FAMILIES = {"wait": {"1": " Wait"}, "but wait": {"2": " But"}, "let me check": {"3": " let"}}


def with_onsets_on(word, share):
    table = events()
    first = table["onset_token_text"].where(table.index % 100 >= 100 * share, word)
    return table.assign(onset_token_text=first.where(table["has_backtracking_strict"], ""))


@pytest.mark.parametrize(
    ("families", "table", "outcome"),
    [
        ({"wait": FAMILIES["wait"]}, events(), "pass"),
        ({name: FAMILIES[name] for name in ("wait", "let me check")}, events(), "pass"),
        (FAMILIES, events(), "warn"),
        (FAMILIES, with_onsets_on(" But", 0.5), "fail"),
        (None, events(), "pass"),
        (None, with_onsets_on(" but", 0.1), "warn"),
        (None, with_onsets_on(" but", 0.5), "fail"),
        (None, None, "not applicable"),
    ],
)
def test_common_trigger_words(tmp_path, families, table, outcome):
    tables = {} if table is None else {EVENTS: table}
    data = {} if families is None else {"token_families": families}
    assert checked("common_trigger_words", write_run(tmp_path, tables, data)).outcome == outcome


def test_triggers_that_are_scored_as_whole_phrases_may_begin_with_any_word(tmp_path):
    scan = pd.DataFrame({"component": ["attn"], "layer": [5], "delta_triggers": [-0.1]})
    tables = {EVENTS: with_onsets_on(" But", 0.5), "ablation_importance": scan}
    run = write_run(tmp_path, tables, {"token_families": FAMILIES})
    assert checked("common_trigger_words", run).outcome == "pass"
    built_on = write_run(
        tmp_path, {"subset_sweep_events": tables[EVENTS].assign(arm="baseline")}, run_id="p2"
    )
    assert checked("common_trigger_words", built_on).outcome == "fail"
    assert checked("common_trigger_words", built_on, run).outcome == "pass"


def test_nobody_scores_triggers_in_imported_traces(tmp_path):
    imported = write_run(tmp_path, {EVENTS: events()}, {"token_families": FAMILIES}, meta={"schema": 1})
    assert checked("common_trigger_words", imported).outcome == "not applicable"


def test_where_nothing_was_confirmed_the_sweeps_intervals_count(tmp_path):
    wide = SWEPT.assign(backtracking_diff=-0.1, backtracking_diff_low=-0.3, backtracking_diff_high=0.1)
    tables = {"subset_sweep_results": wide, "confirm_results": CONFIRMED.head(1)}
    assert checked("interval_too_wide", write_run(tmp_path, tables)).outcome == "warn"
    narrow = wide.assign(backtracking_diff_low=-0.12, backtracking_diff_high=-0.08, role="winner")
    confirmed = write_run(tmp_path, tables | {"confirm_results": narrow}, run_id="confirmed")
    assert checked("interval_too_wide", confirmed).outcome == "pass"


def test_nothing_is_claimed_of_a_control(tmp_path):
    wide = SWEPT.assign(backtracking_diff=-0.02, backtracking_diff_low=-0.3, backtracking_diff_high=0.26)
    table = wide.assign(kind=["baseline", "random control"])
    found = checked("interval_too_wide", write_run(tmp_path, {"subset_sweep_results": table}))
    assert found.outcome == "not applicable"


def step(masses, **columns):
    table = pd.DataFrame({"example_id": "p00", "sample_id": range(len(masses)), "pred_pos": 30, "scale": 0.0})
    return table.assign(position_kind="onset", onset_prob=0.1, subset_name="late", **columns)


@pytest.mark.parametrize(("mass", "outcome"), [(0.45, "pass"), (0.1, "warn")])
def test_greedy_lacks_onsets(tmp_path, mass, outcome):
    table = step([mass] * 8, family_prob_before=mass, other_families_prob_before=mass)
    found = checked("greedy_lacks_onsets", write_run(tmp_path, {"continuation_ablation_results": table}))
    assert found.outcome == outcome


@pytest.mark.parametrize(("kept", "outcome"), [(6, "pass"), (2, "warn")])
def test_onsets_that_one_greedy_continuation_lacks(tmp_path, kept, outcome):
    table = pd.DataFrame({"position_kind": ["onset"] * 8 + ["matched_row"] * 8})
    table["greedy_onset"] = [place < kept for place in range(8)] + [True] * 8
    sure = step([0.9] * 8, family_prob_before=0.9, other_families_prob_before=0.0)
    run = write_run(tmp_path, {"onset_stability": table, "continuation_ablation_results": sure})
    found = checked("greedy_lacks_onsets", run)
    assert (found.outcome, found.number) == (outcome, 1 - kept / 8)


def test_greedy_lacks_onsets_in_an_earlier_table(tmp_path):
    table = step([0] * 8).assign(scale=1.0, onset_prob=[0.9, 0.8, 0.9, 0.2, 0.1, 0.1, 0.1, 0.1])
    found = checked("greedy_lacks_onsets", write_run(tmp_path, {"continuation_ablation_results": table}))
    assert (found.outcome, found.number) == ("warn", 0.625)


def test_greedy_text_lacks_nothing(tmp_path):
    greedy = write_run(tmp_path, {EVENTS: events()}, config="generation: {do_sample: false}")
    assert checked("greedy_lacks_onsets", greedy).outcome == "pass"
    sampled = write_run(tmp_path, {EVENTS: events()}, run_id="sampled")
    assert checked("greedy_lacks_onsets", sampled).outcome == "not applicable"


def test_arms_that_leave_every_completion_as_it_was(tmp_path):
    table = events()
    assert checked("arms_without_divergence", write_run(tmp_path, {EVENTS: table})).outcome == "pass"
    base = table.query("condition == 'baseline' and variant == 'baseline_think_newline'")
    same = pd.concat([table.query("condition == 'baseline'"), base.assign(condition="targeted_ablation")])
    found = checked("arms_without_divergence", write_run(tmp_path, {EVENTS: same}, run_id="idle"))
    assert found.outcome == "fail" and "targeted_ablation" in found.found
    ledger = {"by_condition": {"targeted_ablation#0": {"attn_5": {"total_calls": 9, "ablation_calls": 9}}}}
    acting = write_run(tmp_path, {EVENTS: same}, {"hook_debug": ledger}, run_id="acting")
    assert checked("arms_without_divergence", acting).outcome == "warn"


@pytest.mark.parametrize(("onsets", "outcome"), [(False, "pass"), (True, "fail")])
def test_a_ban_of_words_that_never_come_is_no_broken_arm(tmp_path, onsets, outcome):
    base = events().query("condition == 'baseline' and variant == 'baseline_think_newline'")
    base = base.assign(arm="baseline", has_backtracking_strict=onsets)
    rows = pd.concat([base, base.assign(arm="no_trigger_tokens")])
    swept = arms(("baseline", None, float(onsets), 0.5), ("no_trigger_tokens", None, float(onsets), 0.5))
    swept = swept.assign(arm=swept["subset_name"], kind=["baseline", "suppression"])
    for name, tables in (
        ("rows", {"subset_sweep_events": rows, "subset_sweep_results": swept}),
        ("rates", {"subset_sweep_results": swept}),
    ):
        found = checked("arms_without_divergence", write_run(tmp_path, tables, run_id=name))
        assert found.outcome == outcome, name
        assert ("no onset in the baseline" in found.found) is not onsets, name


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        (("late", 0.0, 0.1, 0.4), "pass"),
        (("late", 1.0, 0.6, 0.5), "pass"),
        (("late", 0.0, 0.6, 0.5), "fail"),
    ],
    ids=["acts", "scale 1 is nothing", "idle"],
)
def test_arms_with_the_baselines_every_number(tmp_path, line, outcome):
    swept = arms(("baseline", None, 0.6, 0.5), line, ("early", 0.0, 0.3, 0.3))
    assert (
        checked("arms_without_divergence", write_run(tmp_path, {"subset_sweep_results": swept})).outcome
        == outcome
    )


def test_arms_that_bound_nothing(tmp_path):
    swept = arms(("baseline", None, 0.6, 0.5), ("late", 0.0, 0.1, 0.4)).assign(num_components=0)
    found = checked("arms_without_divergence", write_run(tmp_path, {"subset_sweep_results": swept}))
    assert found.outcome == "fail" and "changes no component" in found.found
    idle = {"by_condition": {"late_x0": {"attn_5": {"total_calls": 9, "ablation_calls": 0}}}}
    found = checked("arms_without_divergence", write_run(tmp_path, {}, {"hook_debug": idle}, run_id="idle"))
    assert found.outcome == "fail" and "never acted" in found.found
    waiting = write_run(tmp_path, {}, {"hook_debug": idle | {"matches_schedule": True}}, run_id="waiting")
    assert checked("arms_without_divergence", waiting).outcome == "warn"


@pytest.mark.parametrize(
    ("debug", "outcome"),
    [
        ({"total_calls": 9, "ablation_calls": 8, "matches_schedule": True, "differences": []}, "pass"),
        ({"total_calls": 9, "ablation_calls": 8, "matches_schedule": False, "differences": ["a: 1"]}, "fail"),
        ({"total_calls": 9, "ablation_calls": 0}, "fail"),
        ({"total_calls": 9, "ablation_calls": 8}, "not applicable"),
        ({}, "not applicable"),
    ],
)
def test_hooks_against_schedule(tmp_path, debug, outcome):
    assert (
        checked("hooks_against_schedule", write_run(tmp_path, {}, {"hook_debug": debug})).outcome == outcome
    )


SWEPT = arms(("baseline", None, 0.6, 0.5), ("late", 0.0, 0.1, 0.5))
HELD = SWEPT.assign(
    verdict=["", "non-destructive"], kind=["baseline", "intervention"], arm=["baseline", "late_x0"]
)
CONFIRMED = HELD.assign(role=["baseline", "winner"])


@pytest.mark.parametrize(
    ("tables", "data", "outcome"),
    [
        ({"subset_sweep_results": HELD}, {}, "fail"),
        ({"subset_sweep_results": HELD, "confirm_results": CONFIRMED}, {}, "pass"),
        ({"subset_sweep_results": HELD.assign(verdict="destructive")}, {}, "pass"),
        ({"subset_sweep_results": SWEPT}, {}, "warn"),
        ({"tradeoff_search": HELD, "confirm_results": CONFIRMED.head(1)}, {}, "fail"),
        ({"tradeoff_search": HELD.assign(verdict=""), "confirm_results": CONFIRMED.head(1)}, {}, "pass"),
        ({"confirm_results": CONFIRMED}, {"problem_split": {"search": ["a", "b"], "confirm": ["b"]}}, "fail"),
        ({}, {}, "not applicable"),
    ],
    ids=[
        "never",
        "confirmed",
        "none wins",
        "not told",
        "not measured",
        "none qualified",
        "same half",
        "no arms",
    ],
)
def test_winner_unconfirmed(tmp_path, tables, data, outcome):
    assert checked("winner_unconfirmed", write_run(tmp_path, tables, data)).outcome == outcome


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ((-0.40, -0.55, -0.25), "pass"),
        ((-0.06, -0.24, 0.12), "warn"),
        ((-0.12, -0.23, -0.01), "warn"),
        ((0.003, -0.03, 0.036), "pass"),
        ((None, None, None), "not applicable"),
    ],
)
def test_interval_too_wide(tmp_path, change, outcome):
    value, low, high = change
    table = SWEPT.assign(backtracking_diff=[None, value], backtracking_diff_low=[None, low])
    table = table.assign(backtracking_diff_high=[None, high])
    assert (
        checked("interval_too_wide", write_run(tmp_path, {"subset_sweep_results": table})).outcome == outcome
    )


def test_the_interval_of_what_arms_are_judged_on_counts_too(tmp_path):
    narrow = SWEPT.assign(backtracking_diff=-0.4, backtracking_diff_low=-0.45, backtracking_diff_high=-0.35)
    table = narrow.assign(onset_after_wrong_diff=0.02, onset_after_wrong_diff_low=-0.2)
    table = table.assign(onset_after_wrong_diff_high=0.2)
    found = checked("interval_too_wide", write_run(tmp_path, {"subset_sweep_results": table}))
    assert found.outcome == "warn" and "fresh wrong steps" in found.found


def baseline_of_phase2(changed):
    table = events().query("condition == 'baseline' and variant == 'baseline_think_newline'")
    is_changed = pd.Series(range(len(table)), index=table.index) < changed
    return table.assign(arm="baseline", completion_tokens=table["completion_tokens"] + is_changed)


@pytest.mark.parametrize(("changed", "outcome"), [(0, "pass"), (6, "warn"), (24, "fail")])
def test_bfloat16_divergence(tmp_path, changed, outcome):
    half = "model: {torch_dtype: bfloat16}\nrun: {seed: 0}\n" + CONFIG
    earlier = write_run(tmp_path, {EVENTS: events()}, config=half, run_id="phase1")
    here = write_run(tmp_path, {"subset_sweep_events": baseline_of_phase2(changed)}, config=half)
    found = checked("bfloat16_divergence", here, earlier)
    assert (found.outcome, found.number) == (outcome, changed / 48)
    assert checked("bfloat16_divergence", earlier).outcome == "not applicable"


def test_rows_that_were_sampled_otherwise_say_nothing_of_the_number_format(tmp_path):
    earlier = write_run(tmp_path, {EVENTS: events()}, config="run: {seed: 1}\n" + CONFIG, run_id="phase1")
    swept = {"subset_sweep_events": baseline_of_phase2(24)}
    here = write_run(
        tmp_path, swept, config="run: {seed: 0}\n" + CONFIG, meta={"model": {"dtype": "float32"}}
    )
    assert checked("bfloat16_divergence", here, earlier).outcome == "pass"


def made_by(*codes, sha="abc", dirty=False):
    stages = {f"stage{k}": {"code": code} for k, code in enumerate(codes)}
    return {"schema": 1, "environment": {"git": {"sha": sha, "dirty": dirty}}, "stages": stages}


@pytest.mark.parametrize(
    ("meta", "outcome"),
    [
        (made_by("abc"), "pass"),
        ({"git_commit": "abc1234"}, "pass"),
        (
            {"schema": 1, "environment": {"version": "0.1.0", "source": "f" * 64, "git": {"sha": None}}},
            "pass",
        ),
        (made_by("abc", dirty=True), "warn"),
        (made_by("abc", "abc with uncommitted changes"), "warn"),
        (made_by("abc", "def"), "warn"),
        ({"schema": 1}, "warn"),
        (None, "warn"),
    ],
    ids=["clean", "earlier", "released", "dirty", "dirty stage", "two revisions", "no record", "no meta"],
)
def test_code_revision(tmp_path, meta, outcome):
    assert checked("code_revision", write_run(tmp_path, meta=meta)).outcome == outcome
