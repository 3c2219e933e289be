"""Checks of completions and answers: each trips on a spoiled run, and passes a clean one."""

import numpy as np
import pandas as pd
import pytest

from tests.audit.folders import CAP, CONFIG, arms, checked, events, gold, write_run

EVENTS = "backtracking_events"


def spoiled(**columns):
    """A clean table of completions with some columns replaced, by a value or a function of the table."""
    table = events()
    return table.assign(**{name: new(table) if callable(new) else new for name, new in columns.items()})


@pytest.mark.parametrize("problems", [0, 12], ids=["tables only", "with problems"])
@pytest.mark.parametrize(
    "name",
    [
        "rows_cut", "row_keys", "answers_without_digit", "gold_in_wrong_answers", "accuracy_at_chance",
    ],
)  # fmt: skip
def test_a_clean_run_passes(tmp_path, name, problems):
    assert checked(name, write_run(tmp_path, {EVENTS: events()}, problems=problems)).outcome == "pass"


@pytest.mark.parametrize(("share", "outcome"), [(0.0, "pass"), (0.2, "warn"), (0.99, "fail")])
@pytest.mark.parametrize("told_by", ["finish_reason", "truncated", "the cap", "a pile of lengths"])
def test_rows_cut(tmp_path, share, outcome, told_by):
    table = events(problems=40)
    is_cut = np.random.default_rng(1).random(len(table)) < share
    tokens = table["completion_tokens"].where(~is_cut, CAP)
    new = {
        "finish_reason": {"finish_reason": np.where(is_cut, "length", "stop")},
        "truncated": {"truncated": is_cut},
        "the cap": {"completion_tokens": tokens},
        "a pile of lengths": {"completion_tokens": tokens},
    }[told_by]
    config = "run: {}\n" if told_by == "a pile of lengths" else CONFIG
    found = checked("rows_cut", write_run(tmp_path, {EVENTS: table.assign(**new)}, config=config))
    if told_by == "a pile of lengths" and share == 0.0:
        assert found.outcome == "not applicable"
        return
    assert found.outcome == outcome
    assert found.number == pytest.approx(share, abs=0.09)


def test_rows_cut_under_an_arm_alone_only_warns(tmp_path):
    table = spoiled(truncated=lambda rows: rows["condition"] == "targeted_ablation")
    found = checked("rows_cut", write_run(tmp_path, {EVENTS: table}))
    assert (found.outcome, found.number) == ("warn", 1.0)
    assert "targeted_ablation" in found.found


def test_rows_cut_is_read_off_tables_of_rates_where_there_is_nothing_else(tmp_path):
    rates = pd.DataFrame({"variant": ["a", "b"], "total": 100, "truncation_rate": [0.02, 0.97]})
    found = checked("rows_cut", write_run(tmp_path, {"formatting_summary": rates}))
    assert found.outcome == "fail" and "97.0% of 100 completions of `b/baseline`" in found.found
    swept = arms(("baseline", None, 0.5, 0.5), ("late", 0.0, 0.1, 0.5)).assign(truncation_rate=[0.0, 0.9])
    found = checked("rows_cut", write_run(tmp_path, {"subset_sweep_results": swept}, run_id="swept"))
    assert found.outcome == "warn" and "`late_x0`" in found.found


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda rows: pd.concat([rows, rows.head(3)]), "3 rows of `baseline_think_newline/baseline`"),
        (lambda rows: rows.drop(rows.index[:30]), "missing"),
        (
            lambda rows: rows.assign(example_id=rows["example_id"].replace("p03", "elsewhere-7")),
            "elsewhere-7",
        ),
    ],
    ids=["twice", "missing", "foreign"],
)
def test_row_keys(tmp_path, spoil, words):
    found = checked("row_keys", write_run(tmp_path, {EVENTS: spoil(events())}, problems=12))
    assert found.outcome == "fail" and words in found.found


def test_row_keys_against_phase1(tmp_path):
    earlier = write_run(tmp_path, {EVENTS: events(problems=12)}, run_id="phase1")
    swept = events(problems=14).query("condition == 'baseline'").assign(arm="baseline")
    here = write_run(tmp_path, {"subset_sweep_events": swept}, run_id="phase2")
    found = checked("row_keys", here, earlier)
    assert found.outcome == "fail" and "2 of 14 problems" in found.found and "Phase 1's" in found.found


def test_a_few_missing_rows_warn(tmp_path):
    assert checked("row_keys", write_run(tmp_path, {EVENTS: events().drop(index=[5])})).outcome == "warn"


@pytest.mark.parametrize(
    ("answer", "outcome"), [("the answer", "fail"), ("twelve", "pass"), ("½", "pass"), ("12 apples", "pass")]
)
def test_answers_without_digit(tmp_path, answer, outcome):
    table = spoiled(predicted_answer=lambda rows: rows["predicted_answer"].where(rows.index % 4 > 0, answer))
    assert (
        checked("answers_without_digit", write_run(tmp_path, {EVENTS: table}, problems=12)).outcome == outcome
    )


def test_without_gold_answers_no_answer_is_said_to_grade_as_wrong(tmp_path):
    words = spoiled(predicted_answer="the answer", is_correct=None)
    found = checked("answers_without_digit", write_run(tmp_path, {EVENTS: words}))
    assert (found.outcome, found.found) == ("not applicable", "no completion of the baseline is graded")


def test_answers_that_ask_for_words_need_no_digit(tmp_path):
    letters = {f"p{k:02}": "ABCDEFGHIJKL"[k] for k in range(12)}
    table = spoiled(predicted_answer=lambda rows: rows["example_id"].map(letters), is_correct=True)
    assert checked("answers_without_digit", write_run(tmp_path, {EVENTS: table})).outcome == "not applicable"


def test_regrade_disagreement(tmp_path):
    clean = write_run(tmp_path, {EVENTS: events()}, problems=12, run_id="clean")
    assert checked("regrade_disagreement", clean).outcome == "pass"
    shifted = spoiled(is_correct=lambda rows: rows["is_correct"].to_numpy()[::-1])
    found = checked("regrade_disagreement", write_run(tmp_path, {EVENTS: shifted}, problems=12, run_id="bad"))
    assert found.outcome == "fail" and found.details


def test_regrade_disagreement_without_the_problems_compares_answers_with_themselves(tmp_path):
    assert (
        checked("regrade_disagreement", write_run(tmp_path, {EVENTS: events()}, run_id="clean")).outcome
        == "pass"
    )
    table = spoiled(is_correct=lambda rows: rows["is_correct"] & (rows["sample_id"] > 1))
    found = checked("regrade_disagreement", write_run(tmp_path, {EVENTS: table}, run_id="bad"))
    assert found.outcome == "fail" and "both right and wrong" in found.found


@pytest.mark.parametrize("problems", [0, 12], ids=["tables only", "with problems"])
def test_gold_in_wrong_answers(tmp_path, problems):
    table = events()
    boxed = (table["sample_id"] == 0) & table["is_correct"]
    table["predicted_answer"] = table["predicted_answer"].where(
        ~boxed, "\\boxed{" + table["predicted_answer"] + "}"
    )
    table["is_correct"] &= ~boxed
    found = checked("gold_in_wrong_answers", write_run(tmp_path, {EVENTS: table}, problems=problems))
    assert found.outcome == "fail" and "boxed" in found.details[0]


@pytest.mark.parametrize("problems", [0, 12], ids=["tables only", "with problems"])
def test_accuracy_at_chance(tmp_path, problems):
    """Gold answers joined by position: every problem is graded with the next one's."""
    table = events()
    wrong_gold = table["example_id"].map({f"p{k:02}": gold((k + 5) % 12) for k in range(12)})
    table["is_correct"] = table["predicted_answer"] == wrong_gold
    found = checked("accuracy_at_chance", write_run(tmp_path, {EVENTS: table}, problems=problems))
    assert found.outcome == "fail"


def test_accuracy_at_chance_of_answers_from_few_values(tmp_path):
    """Half of the problems have the answer 1: an accuracy of 50% is then no knowledge."""
    generator = np.random.default_rng(0)
    table = events(problems=40)
    truth = {f"p{k:02}": str(k % 2) for k in range(40)}
    guessed = pd.Series(generator.integers(0, 2, len(table)).astype(str))
    table = table.assign(predicted_answer=guessed, is_correct=guessed == table["example_id"].map(truth))
    found = checked("accuracy_at_chance", write_run(tmp_path, {EVENTS: table}))
    assert found.outcome == "fail" and found.number == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(("accuracy", "outcome"), [(0.012, "fail"), (0.03, "pass"), (0.4, "pass")])
def test_accuracy_at_chance_of_a_sweep_in_tables_only(tmp_path, accuracy, outcome):
    swept = arms(("baseline", None, 0.6, accuracy), ("late", 0.5, 0.3, 0.1), total=2000)
    assert (
        checked("accuracy_at_chance", write_run(tmp_path, {"subset_sweep_results": swept})).outcome == outcome
    )


def test_accuracy_at_chance_of_a_sweep_against_phase1s_answers(tmp_path):
    """What is 30% against open numbers is chance where Phase 1's answers are few."""
    table = events(problems=40)
    answers = pd.Series(np.random.default_rng(0).integers(0, 3, len(table)).astype(str))
    truth = table["example_id"].map({f"p{k:02}": str(k % 3) for k in range(40)})
    right = table["is_correct"].to_numpy()
    answers = answers.where(~right, truth)
    earlier = write_run(
        tmp_path, {EVENTS: table.assign(predicted_answer=answers, is_correct=answers == truth)}
    )
    swept = arms(("baseline", None, 0.6, 0.33), total=200)
    here = write_run(tmp_path, {"subset_sweep_results": swept}, run_id="two")
    assert checked("accuracy_at_chance", here).outcome == "pass"
    assert checked("accuracy_at_chance", here, earlier).outcome == "fail"


def test_too_few_problems_say_nothing_of_chance(tmp_path):
    found = checked("accuracy_at_chance", write_run(tmp_path, {EVENTS: events(problems=3)}, problems=3))
    assert found.outcome == "not applicable"
