"""What leaks: first divergences, unmarked checks and fates of corrections, on hand-made rows."""

import pandas as pd
import pytest

from backtracking.measurements.divergence import (
    BaselineRows,
    divergence_summary,
    first_divergences,
    replaced_tokens,
)
from backtracking.measurements.specificity import (
    correction_flow,
    main_family,
    specificity_table,
    unmarked_checks,
)
from backtracking.mechanism.text_damage import damage_by_arm
from backtracking.run.records import GenerationRecord
from backtracking.text.arithmetic.steps import CheckedStep, read_steps
from backtracking.text.onsets.triggers import Triggers
from tests.phase2.world import IDS, tokenizer


def _record(words, example="p0", sample=0, condition="baseline"):
    ids = [IDS[word] for word in words]
    return GenerationRecord(
        example_id=example, sample_id=sample, variant="plain", condition=condition, prompt="", prompt_ids=[0],
        completion="".join(words), completion_ids=ids, finish_reason="stop", prompt_tokens=1,
        completion_tokens=len(ids), gen_params={}, seed_key="",
    )  # fmt: skip


BASE = [" So", " 1", ".", " Wait", ",", " 2", "</think>", " Final", ":", " 2"]


def _divergences(*arms):
    baseline = BaselineRows(
        {(f"p{k}", 0): _record(BASE, f"p{k}") for k in range(len(arms))},
        {(f"p{k}", 0): 3 for k in range(len(arms))},
    )
    records = [_record(words, f"p{k}", condition="arm") for k, words in enumerate(arms)]
    return first_divergences(
        baseline, records, Triggers({"wait": ((IDS[" Wait"],), (IDS["Wait"],))}), tokenizer(), "</think>"
    )


def test_first_divergence_names_place_and_tokens():
    table = _divergences(
        [" So", " 1", ".", " Now", " 9"],
        BASE,
        [*BASE[:-1], " 3"],
        [" Then", *BASE[1:]],
        BASE[:4],
        [*BASE, " we"],
    )
    assert table["step"].tolist() == [3, pd.NA, 9, 0, 4, 10]
    assert table["new_text"].tolist()[:1] == [" Now"]
    assert table["removes_trigger"].eq(True).tolist() == [True, False, False, False, False, False]
    assert table["steps_from_onset"].tolist() == [0, pd.NA, 6, -3, 1, 7]
    assert table["region"].tolist()[0] == "think"
    assert table["region"].tolist()[2] == "answer"
    assert table["baseline_trigger_tokens"].tolist() == [1] * 6


def test_no_interval_of_the_index_from_fewer_problems_than_a_verdict_needs():
    hit = [*BASE[:3], " Now", *BASE[4:]]
    few, enough = (divergence_summary(_divergences(*[hit] * count)).iloc[0] for count in (5, 6))
    assert few["specificity_index"] == enough["specificity_index"] == pytest.approx(10.0)
    assert pd.isna(few["specificity_index_low"]) and pd.notna(enough["specificity_index_low"])


def test_no_interval_of_the_damage_from_two_problems():
    lines = pd.DataFrame({"arm": "a", "example_id": ["p0", "p1"], "kl_per_token": [0.1, 2.0]})
    assert pd.isna(damage_by_arm(lines)["kl_per_token_high"]).all()
    many = lines.assign(example_id="q0")
    more = pd.concat([lines, *(many.assign(example_id=f"q{k}") for k in range(4))])
    assert pd.notna(damage_by_arm(more)["kl_per_token_high"]).all()


def test_without_an_onset_in_the_baseline_there_is_no_family():
    """Phrases of the relaxed list alone are the commonest onset's of nobody."""
    rows = pd.DataFrame({
        "example_id": ["a", "b"], "sample_id": 0, "condition": "baseline", "arm": "baseline",
        "onset_phrase": "hmm", "has_backtracking_strict": False, "family_onsets": 0, "synonym_onsets": 1,
        "unmarked_checks": 0, "wrong_steps": 0, "completion_tokens": 9, "is_correct": True,
        "predicted_answer": "1", "finish_reason": "stop",
    })  # fmt: skip
    assert main_family(rows) == ()
    line = specificity_table(pd.concat([rows, rows.assign(arm="x", condition="x")])).iloc[0]
    assert pd.isna(line["family_onsets_diff"]) and line["synonym_onsets_diff"] == 0


def test_specificity_index_is_hit_share_over_token_share():
    hits = [[*BASE[:3], " Now", *BASE[4:]]] * 6
    misses = [[" Then", *BASE[1:]]] * 2
    summary = divergence_summary(_divergences(*hits, *misses, BASE)).iloc[0]
    assert summary["diverged"] == 8
    assert summary["specificity_index"] == pytest.approx((3 / 4) / (1 / 10))
    assert summary["specificity_index_low"] < summary["specificity_index"] < summary["specificity_index_high"]
    top = replaced_tokens(_divergences(*hits, *misses, BASE)).iloc[0]
    assert (top["baseline_text"], top["new_text"], top["count"], top["share"]) == (" Wait", " Now", 6, 0.75)


def test_an_arm_that_changes_nothing_has_no_divergence():
    table = _divergences(BASE, BASE)
    assert table["step"].isna().all()
    assert divergence_summary(table).iloc[0]["diverged"] == 0
    assert replaced_tokens(table).empty


def test_steps_are_keyed_by_what_they_compute():
    steps = read_steps("12 + 5 = 18. Wait, 12  +  5 = 17.")
    assert [step.is_right for step in steps] == [False, True]
    assert steps[0].expression == steps[1].expression


def test_results_that_come_first_are_keyed_by_what_they_are_results_of():
    steps = read_steps("17 = 5*3 + 2. Then 20 = 4*5 + 1. Then 30 = 6*6. Then 6 * 6 = 36.")
    assert [step.is_right for step in steps] == [True, False, False, True]
    assert [step.expression for step in steps] == ["5*3+2=", "4*5+1=", "6*6=", "6*6="]


def test_unmarked_checks_are_repeats_without_a_trigger_between():
    steps = [CheckedStep(start, "1+2", True) for start in (0, 20, 40)]
    assert unmarked_checks(steps, []) == 2
    assert unmarked_checks(steps, [30]) == 1
    assert unmarked_checks(steps[:1], [5]) == 0


def _rows(arm, **columns):
    count = len(columns["wrong_steps"])
    base = {
        "arm": arm,
        "example_id": [f"p{k}" for k in range(count)],
        "sample_id": 0,
        "predicted_answer": "1",
        "family_onsets": 0,
        "synonym_onsets": 0,
        "unmarked_checks": 0,
        "completion_tokens": 10,
        "finish_reason": "stop",
    }
    return pd.DataFrame(base | columns)


def test_correction_flow_follows_rows_that_erred_and_recovered():
    baseline = _rows(
        "baseline",
        wrong_steps=[1, 1, 1, 1, 1, 0],
        is_correct=[True, True, True, True, False, True],
        has_backtracking_strict=[True, True, True, False, True, True],
    )
    arm = _rows(
        "arm",
        wrong_steps=[1, 1, 0, 1, 1, 1],
        is_correct=[True, True, True, False, True, True],
        has_backtracking_strict=[True, False, False, False, False, False],
    )
    flow = correction_flow(pd.concat([baseline, arm])).set_index(["arm", "baseline_fate", "fate"])
    counts = flow["count"][flow["count"] > 0].to_dict()
    assert counts == {
        ("baseline", "marked", "marked"): 3, ("baseline", "silent", "silent"): 1,
        ("arm", "marked", "marked"): 1, ("arm", "marked", "silent"): 1, ("arm", "marked", "never_erred"): 1,
        ("arm", "silent", "wrong"): 1,
    }  # fmt: skip
    assert (flow["total"] == 4).all()


def test_specificity_pairs_rows_with_the_baseline():
    baseline = _rows(
        "baseline", wrong_steps=[0] * 4, is_correct=[True] * 4,
        has_backtracking_strict=[True, True, False, False], family_onsets=[2, 2, 0, 0],
    )  # fmt: skip
    arm = _rows(
        "arm", wrong_steps=[0] * 4, is_correct=[True] * 4,
        has_backtracking_strict=[False, True, True, False], family_onsets=[0, 1, 1, 0],
        synonym_onsets=[1, 0, 0, 0],
    )  # fmt: skip
    line = specificity_table(pd.concat([baseline, arm])).iloc[0]
    assert line["family_onsets_diff"] == pytest.approx(-0.5)
    assert line["synonym_onsets_diff"] == pytest.approx(0.25)
    assert line["new_onset_rate"] == pytest.approx(0.5)
    assert line["kept_onset_rate"] == pytest.approx(0.5)


def test_without_a_hit_the_specificity_index_is_not_known_to_be_zero():
    summary = divergence_summary(_divergences(*[[" Then", *BASE[1:]]] * 6)).iloc[0]
    assert (summary["specificity_index"], summary["specificity_index_low"]) == (0.0, 0.0)
    assert 1.0 < summary["specificity_index_high"] <= 10.0
