"""Metrics tables against naive recomputation from the events, on new and on earlier tables."""

import json

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.contingency_tables import StratifiedTable

from backtracking.measurements import metrics_v2, tallies
from backtracking.measurements.events import EVENT_COLUMNS

MAIN, OTHER = "baseline_think_newline", "no_think_tags"
CONDITIONS = ("baseline", "targeted_ablation", "random_ablation")


def make_events(problems=30, samples=3, seed=0):
    """Random events in which every group has rates of its own."""
    generator = np.random.default_rng(seed)
    rows = []
    for variant in (MAIN, OTHER):
        for condition in CONDITIONS:
            for problem in range(problems):
                for sample in range(samples):
                    strict = generator.random() < {"baseline": 0.7, "targeted_ablation": 0.2}.get(
                        condition, 0.6
                    )
                    finish = "stop" if generator.random() < 0.8 else "length"
                    correct = generator.choice(["True", "False", ""]) if finish == "stop" else ""
                    tokens = int(generator.integers(50, 200))
                    rows.append(
                        dict.fromkeys(EVENT_COLUMNS, "")
                        | {
                            "example_id": f"p{problem}",
                            "sample_id": sample,
                            "variant": variant,
                            "condition": condition,
                            "has_backtracking_strict": strict,
                            "has_backtracking_relaxed": strict or generator.random() < 0.3,
                            "is_correct": correct,
                            "completion_tokens": tokens,
                            "finish_reason": finish,
                            "truncated": finish != "stop",
                            "answer_token": tokens - 5 if correct else -1,
                            "n_onsets_strict": int(strict) * int(generator.integers(1, 4)),
                            "n_onsets_relaxed": int(strict) * 3,
                            "has_doubt": not strict,
                            "has_redo": strict,
                            "has_gold": True,
                            "n_onsets_doubt": int(not strict),
                            "n_onsets_redo": int(strict),
                            "steps_right": int(generator.integers(0, 4)),
                            "steps_wrong": int(generator.integers(1, 3)),
                            "onsets_after_right": 0,
                            "onsets_after_wrong": int(strict),
                            "fresh_right": 2,
                            "fresh_wrong": 1,
                            "onsets_after_fresh_right": 0,
                            "onsets_after_fresh_wrong": int(strict),
                        }
                        | {
                            f"{kind}_{policy}": strict
                            for kind in ("strict", "relaxed")
                            for policy in ("anywhere", "clause_start")
                        }
                    )
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def events():
    return make_events()


@pytest.fixture(scope="module")
def path(events, tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "backtracking_events.csv"
    events.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def sums(path):
    return tallies.tally_file(path)


@pytest.fixture(scope="module")
def earlier_path(events, tmp_path_factory):
    path = tmp_path_factory.mktemp("earlier") / "backtracking_events.csv"
    events[list(EVENT_COLUMNS[:17])].to_csv(path, index=False)
    return path


def part(events, variant, condition):
    return events[(events["variant"] == variant) & (events["condition"] == condition)]


def test_every_rate_against_naive_counting(events, sums):
    rows = part(events, OTHER, "targeted_ablation")
    line = tallies.summarize(tallies.select(sums, variant=OTHER, condition="targeted_ablation"))
    correct = rows["is_correct"] == "True"
    finished = rows["finish_reason"] == "stop"
    graded = rows["is_correct"] != ""
    assert line["total"] == len(rows)
    assert line["backtracking_count"] == rows["has_backtracking_strict"].sum()
    assert line["backtracking_rate"] == pytest.approx(rows["has_backtracking_strict"].mean())
    assert line["relaxed_rate"] == pytest.approx(rows["has_backtracking_relaxed"].mean())
    assert line["accuracy"] == pytest.approx(correct.mean())
    assert line["accuracy_graded"] == pytest.approx(correct.sum() / graded.sum())
    assert line["accuracy_finished"] == pytest.approx((correct & finished).sum() / finished.sum())
    assert line["truncation_rate"] == pytest.approx(1 - finished.mean())
    assert line["onsets_per_1k_tokens"] == pytest.approx(
        1000 * rows["n_onsets_strict"].sum() / rows["completion_tokens"].sum()
    )
    assert line["tokens_to_answer"] == pytest.approx(rows["answer_token"][rows["answer_token"] > 0].mean())
    assert line["relaxed_count"] == rows["has_backtracking_relaxed"].sum()
    assert line["strict_anywhere_count"] == rows["strict_anywhere"].sum()
    assert line["finished_correct_count"] == (correct & finished).sum()
    assert line["answered_count"] == (rows["answer_token"] > 0).sum()
    for name in ("backtracking_rate", "accuracy", "accuracy_finished", "onsets_per_1k_tokens"):
        assert line[f"{name}_low"] < line[name] < line[f"{name}_high"]


def test_reading_in_pieces_changes_nothing(path, sums, monkeypatch):
    monkeypatch.setattr(tallies, "CHUNK", 17)
    pieces = tallies.tally_file(path)
    pd.testing.assert_frame_equal(pieces, sums)


def test_a_reference_that_comes_late_in_the_alphabet_stays_first(events, tmp_path, monkeypatch):
    monkeypatch.setattr(tallies, "CHUNK", 17)
    renamed = events.replace({"variant": {MAIN: "zebra"}})
    renamed.to_csv(tmp_path / "events.csv", index=False)
    assert metrics_v2.formatting_table(tallies.tally_file(tmp_path / "events.csv"))["variant"].tolist() == [
        "zebra",
        OTHER,
    ]


def test_problems_may_be_called_anything(events, tmp_path):
    names = {"p0": "NA", "p1": "null", "p2": "nan"}
    events.replace({"example_id": names}).to_csv(tmp_path / "events.csv", index=False)
    problems = tallies.tally_file(tmp_path / "events.csv").index.get_level_values("example_id")
    assert set(names.values()) < set(problems)
    assert len(set(problems)) == events["example_id"].nunique()


@pytest.mark.parametrize(
    "spelling",
    [
        {"True": "True"},
        {"True": "true", "False": "false"},
        {"True": "1.0", "False": "0.0"},
        {"True": "1", "False": "0"},
    ],
)
def test_truth_values_however_spelled(events, sums, spelling, tmp_path):
    respelled = events.assign(is_correct=events["is_correct"].replace(spelling))
    respelled.to_csv(tmp_path / "events.csv", index=False)
    pd.testing.assert_frame_equal(tallies.tally_file(tmp_path / "events.csv"), sums)


def test_conditions_are_compared_within_one_variant_with_its_own_baseline(events, sums):
    table = metrics_v2.condition_table(sums, OTHER)
    assert list(table.columns[:6]) == [
        "variant",
        "condition",
        "total",
        "backtracking_count",
        "backtracking_rate",
        "accuracy",
    ]
    assert list(table["condition"]) == list(CONDITIONS)
    base = part(events, OTHER, "baseline").groupby("example_id")["has_backtracking_strict"].mean()
    for row in table.to_dict("records")[1:]:
        ours = part(events, OTHER, row["condition"]).groupby("example_id")["has_backtracking_strict"].mean()
        assert row["backtracking_diff"] == pytest.approx((ours - base).mean())
        assert row["backtracking_diff_p"] <= row["backtracking_diff_p_holm"]
        assert row["backtracking_minimum_detectable"] > 0
    assert table["backtracking_diff"].isna().iloc[0]


def test_other_variants_rows_do_not_matter(events, sums):
    alone = tallies.tally(typed(events[events["variant"] == OTHER]))
    pd.testing.assert_frame_equal(
        metrics_v2.condition_table(alone, OTHER), metrics_v2.condition_table(sums, OTHER)
    )


def typed(events):
    return events.assign(
        is_correct=events["is_correct"].map({"True": True, "False": False}).astype("boolean")
    )


def test_formatting_is_baseline_only_and_in_the_configs_order(events, sums):
    table = metrics_v2.formatting_table(sums, (OTHER, MAIN))
    assert list(table["variant"]) == [OTHER, MAIN]
    assert list(table.columns[:5]) == [
        "variant",
        "total",
        "backtracking_count",
        "backtracking_rate",
        "accuracy",
    ]
    for row in table.to_dict("records"):
        rows = part(events, row["variant"], "baseline")
        assert row["total"] == len(rows)
        assert row["backtracking_rate"] == pytest.approx(rows["has_backtracking_strict"].mean())


def test_backtracking_against_accuracy(events, sums):
    found = metrics_v2.compute_backtracking_vs_accuracy_baseline(sums)[MAIN]
    rows = part(events, MAIN, "baseline")
    strict, correct = rows["has_backtracking_strict"].astype(bool), rows["is_correct"] == "True"
    assert found["with_backtracking"]["accuracy"] == pytest.approx(correct[strict].mean())
    assert found["without_backtracking"]["accuracy"] == pytest.approx(correct[~strict].mean())
    finished = rows["finish_reason"] == "stop"
    for name, chosen in (("with_backtracking", strict), ("without_backtracking", ~strict)):
        assert found[name]["truncation_rate"] == pytest.approx(1 - finished[chosen].mean())
        assert found[name]["accuracy_finished"] == pytest.approx(correct[chosen & finished].mean())
    assert found["rate_ratio"] == pytest.approx(correct[strict].mean() / correct[~strict].mean())
    tables = [
        pd.crosstab(strict[group.index], correct[group.index]).reindex(
            index=[True, False], columns=[True, False], fill_value=0
        )
        for _, group in rows.groupby("example_id")
    ]
    whole = [
        table.to_numpy()
        for table in tables
        if (table.sum(axis=0) > 0).all() and (table.sum(axis=1) > 0).all()
    ]
    assert found["informative_problems"] == len(whole)
    assert found["odds_ratio"] == pytest.approx(
        StratifiedTable([t.astype(float) for t in whole]).oddsratio_pooled
    )


def test_the_four_objects_keep_the_earlier_meanings(events, sums, tmp_path):
    metrics_v2.save_metrics_v2(sums, tmp_path / "metrics_v2.json")
    metrics = json.loads((tmp_path / "metrics_v2.json").read_text())
    assert list(metrics) == [
        "baseline_only_summary",
        "backtracking_vs_accuracy",
        "formatting_effect",
        "variant_specific",
    ]
    rows = events[events["condition"] == "baseline"]
    correct, graded = (rows["is_correct"] == "True").sum(), (rows["is_correct"] != "").sum()
    summary = metrics["baseline_only_summary"]
    assert summary["accuracy"] == pytest.approx(correct / graded)
    assert summary["accuracy_of_all"] == pytest.approx(correct / len(rows))
    assert summary["total"] == len(rows)
    assert summary[MAIN]["total"] == len(part(events, MAIN, "baseline"))
    assert metrics["variant_specific"][MAIN]["targeted_ablation"]["total"] == 90
    assert metrics["formatting_effect"][OTHER]["backtracking_diff"] is not None


def test_an_earlier_implementations_table_is_enough(earlier_path, sums, tmp_path):
    earlier = tallies.tally_file(earlier_path)
    metrics = metrics_v2.save_metrics_v2(earlier, tmp_path / "metrics_v2.json")
    full = metrics_v2.save_metrics_v2(sums, tmp_path / "full.json")
    for key in ("accuracy", "backtracking_rate", "backtracking_rate_low", "accuracy_of_all"):
        assert metrics["baseline_only_summary"][key] == full["baseline_only_summary"][key]
    assert "truncation_rate" not in metrics["baseline_only_summary"]


def test_truncation_of_an_earlier_run_is_read_off_its_cap(events, earlier_path):
    line = tallies.summarize(
        tallies.select(tallies.tally_file(earlier_path, cap=150), variant=MAIN, condition="baseline")
    )
    tokens = part(events, MAIN, "baseline")["completion_tokens"]
    assert line["truncation_rate"] == pytest.approx((tokens >= 150).mean())


def test_one_variant_one_condition_one_problem(events, tmp_path):
    few = events[
        (events["variant"] == MAIN) & (events["condition"] == "baseline") & (events["example_id"] == "p0")
    ]
    few.to_csv(tmp_path / "events.csv", index=False)
    sums = tallies.tally_file(tmp_path / "events.csv")
    metrics = metrics_v2.save_metrics_v2(sums, tmp_path / "m.json")
    assert metrics["baseline_only_summary"]["problems"] == 1
    assert np.isnan(metrics["baseline_only_summary"]["backtracking_rate_low"])
    assert len(metrics_v2.condition_table(sums, MAIN)) == 1
    json.loads((tmp_path / "m.json").read_text())


def test_accuracy_by_backtracking_has_two_rows_per_variant(sums):
    table = metrics_v2.accuracy_by_backtracking(sums)
    assert list(zip(table["variant"], table["has_backtracking"], strict=True)) == [
        (MAIN, True), (MAIN, False), (OTHER, True), (OTHER, False),
    ]  # fmt: skip
