"""Fewer onsets told from fewer errors: the three outcomes against plain recounts, and on planted arms."""

from collections import defaultdict

import numpy as np
import pandas as pd
import pytest

from backtracking.config.schema import DetectionConfig, PromptingConfig
from backtracking.measurements import statistics
from backtracking.measurements.events import EventReader, events_frame
from backtracking.measurements.metrics import OUTCOMES
from backtracking.measurements.metrics_v2 import condition_table, formatting_table
from backtracking.measurements.outcome import FEWEST_WRONG_STEPS, judged_on, primary_outcome
from backtracking.measurements.tallies import contributions, tally
from backtracking.measurements.tradeoff import (
    DESTRUCTIVE,
    HELD,
    find_best_tradeoff,
    front_probability,
    summarize_arms,
)
from backtracking.run.records import GenerationRecord

PROBLEMS, SAMPLES, STEPS = 60, 4, 4
THREE = ("onset_after_wrong", "onset_after_right", "wrong_steps_per_row")


def written(generator, errs, doubts_wrong, doubts_right, final):
    """A completion of four sums; after a wrong one and after a right one an onset comes at these rates."""
    parts, right_ones = [], 0
    for step in range(STEPS):
        left, right = 10 * step + int(generator.integers(1, 9)), int(generator.integers(11, 19))
        is_wrong = generator.random() < errs
        parts.append(f"{left} + {right} = {left + right + int(is_wrong)}.")
        if generator.random() < (doubts_wrong if is_wrong else doubts_right):
            parts.append(f"Wait, {left} + {right} = {left + right}.")
        right_ones += not is_wrong
    return " ".join([*parts, f"\\boxed{{{final}}}"])


def completions(arm, *, errs=0.3, wrong=0.8, right=0.05, seed=0, spread=0.0, problems=PROBLEMS, **changes):
    """Rows of an arm; with a spread, hard problems have more errors and doubt them more."""
    generator = np.random.default_rng([seed, *map(ord, arm)])
    hard = np.random.default_rng(9).normal(size=problems)
    rates = errs(hard) if callable(errs) else np.full(problems, errs)
    rows = []
    for problem in range(problems):
        doubt = float(np.clip(wrong + spread * hard[problem], 0.0, 1.0))
        for sample in range(SAMPLES):
            text = written(generator, rates[problem], doubt, right, final=8)
            row = {
                "example_id": f"p{problem}", "sample_id": sample, "variant": "v", "condition": arm,
                "prompt": "", "prompt_ids": [1], "completion": text, "completion_ids": [],
                "finish_reason": "stop", "prompt_tokens": 1, "completion_tokens": 90, "gen_params": {},
                "seed_key": "",
            }  # fmt: skip
            rows.append(GenerationRecord(**(row | changes)))
    return rows


def events_of(*groups, problems=PROBLEMS):
    gold = {f"p{k}": "8" for k in range(problems)}
    reader = EventReader(DetectionConfig(), PromptingConfig(), None, gold)
    return events_frame([reader(row) for rows in groups for row in rows])


def arms_table(events, margin=0.05):
    """The same rows as a sweep would hold them."""
    return summarize_arms(as_arms(events), margin).set_index("arm", drop=False)


def as_arms(events):
    degenerate = {"is_loop": False, "is_empty": False, "non_ascii_burst": False, "distinct_3": 0.9}
    kinds = ["baseline" if name == "baseline" else "intervention" for name in events["condition"]]
    return events.assign(
        arm=events["condition"], subset_name=events["condition"], scale=None, num_components=1, kind=kinds,
        **degenerate,
    )  # fmt: skip


def recounted(records):
    """The three numbers from the text alone, step by step, with none of the program's code."""
    counts = defaultdict(int)
    for record in records:
        after_wait, seen = False, set()
        for sentence in record.completion.split(". "):
            body = sentence.removeprefix("Wait, ").rstrip(".")
            after_wait = sentence.startswith("Wait")
            if counts["open"]:
                counts[f"followed_{counts['open']}"] += after_wait
            counts["open"] = 0
            if " = " not in body or body in seen or after_wait:
                continue
            left, right = body.split(" = ")
            if left in seen:
                continue
            seen.add(left)
            first, second = map(int, left.split(" + "))
            kind = 1 if first + second == int(right) else 2
            counts[f"steps_{kind}"] += 1
            counts["open"] = kind
        counts["open"] = 0
    return {
        "onset_after_right": counts["followed_1"] / counts["steps_1"],
        "onset_after_wrong": counts["followed_2"] / counts["steps_2"],
        "wrong_steps_per_row": counts["steps_2"] / len(records),
    }


def test_every_table_agrees_with_a_recount_of_the_text():
    base, arm = completions("baseline"), completions("targeted_ablation", wrong=0.4, errs=0.2)
    events = events_of(base, arm)
    conditions = condition_table(tally(events), "v").set_index("condition")
    swept = arms_table(events)
    formats = formatting_table(tally(events)).iloc[0]
    for name, records in (("baseline", base), ("targeted_ablation", arm)):
        truth = recounted(records)
        for outcome in THREE:
            assert conditions.loc[name, outcome] == pytest.approx(truth[outcome])
            assert swept.loc[name, outcome] == pytest.approx(truth[outcome])
            low, high = (conditions.loc[name, f"{outcome}_{end}"] for end in ("low", "high"))
            assert low < truth[outcome] < high
    for outcome in THREE:
        assert formats[outcome] == pytest.approx(recounted(base)[outcome])
        for column in (f"{outcome}_diff", f"{outcome}_diff_low", f"{outcome}_diff_p_holm"):
            assert conditions.loc["targeted_ablation", column] == pytest.approx(
                swept.loc["targeted_ablation", column]
            )


def test_corrections_and_repeats_are_no_fresh_steps():
    texts = "5 + 3 = 9. Wait, 5 + 3 = 8. 8 + 1 = 9. So 8 + 1 = 9. Hmm. 9 + 1 = 11. 2 + 2 = 5. Wait."
    row = completions("baseline", problems=1)[0].model_copy(update={"completion": texts})
    (event,) = events_of([row]).to_dict("records")
    assert (event["steps_wrong"], event["steps_right"]) == (3, 3)
    assert (event["fresh_wrong"], event["fresh_right"]) == (2, 1), "the sum behind Hmm is a reply as well"
    assert (event["onsets_after_fresh_wrong"], event["onsets_after_fresh_right"]) == (2, 0)


def test_an_arm_that_only_makes_fewer_errors_does_not_lower_the_primary_outcome():
    """It spares the hard problems, whose errors are mostly doubted: rows with an onset fall, and so does the
    share over all wrong steps, but no problem's own share does."""
    base = completions("baseline", spread=0.25, wrong=0.6, errs=lambda hard: 0.15 + 0.25 * (hard > 0))
    spared = completions("spared", spread=0.25, wrong=0.6, errs=lambda hard: 0.15 - 0.08 * (hard > 0))
    line = arms_table(events_of(base, spared)).loc["spared"]
    assert line["judged_on"] == "onset_after_wrong"
    assert line["backtracking_diff_high"] < 0
    assert line["wrong_steps_per_row_diff_high"] < 0
    assert line["onset_after_wrong_diff_low"] < 0 < line["onset_after_wrong_diff_high"]
    assert line["verdict"] == "inconclusive", "its interval is wider than the margin"


def test_an_arm_that_only_silences_onsets_lowers_it():
    events = events_of(completions("baseline"), completions("silent", wrong=0.3))
    line = arms_table(events, margin=0.1).loc["silent"]
    assert line["onset_after_wrong_diff_high"] < -0.3
    assert line["wrong_steps_per_row_diff_low"] < 0 < line["wrong_steps_per_row_diff_high"]
    assert line["verdict"] == HELD


def doubting(arm, wrong=0.9, right=0.45, **how):
    return completions(arm, wrong=wrong, right=right, **how)


def test_fewer_needless_checks_with_errors_noticed_as_before_are_a_reduction():
    table = arms_table(events_of(doubting("baseline"), doubting("calm", right=0.02)), margin=0.1)
    line = table.loc["calm"]
    assert (line["verdict"], line["what_fell"]) == (HELD, "needless checks")
    assert find_best_tradeoff(table)["arm"] == "calm"


def test_what_is_taken_away_is_counted_at_the_mix_of_steps_of_the_baseline():
    """By hand from the text: an arm that errs more has the same share taken away as one that does not."""
    base, calm = doubting("baseline"), doubting("calm", right=0.02, wrong=0.7)
    worse = doubting("worse", right=0.02, wrong=0.7, errs=0.6)
    table = arms_table(events_of(base, calm, worse), margin=0.1)
    before = recounted(base)
    wrong = before["wrong_steps_per_row"] * len(base)
    right = table.loc["baseline", "fresh_right_count"]
    whole = wrong * before["onset_after_wrong"] + right * before["onset_after_right"]
    for arm in ("calm", "worse"):
        line = table.loc[arm]
        lost = wrong * line["onset_after_wrong_diff"] + right * line["onset_after_right_diff"]
        assert line["onsets_removed"] == pytest.approx(-lost / whole)
        assert line["onsets_removed_low"] < 0.65 < line["onsets_removed_high"]
        assert line["what_fell"] == "needless checks; noticing of errors", "the larger fall comes first"
    gap = table.loc["calm", "onsets_removed"] - table.loc["worse", "onsets_removed"]
    assert abs(gap) < 0.1 < table.loc["worse", "backtracking_rate"] - table.loc["calm", "backtracking_rate"]


@pytest.mark.parametrize(
    ("base", "arm"),
    [
        ({"right": 0.05}, {"right": 0.0}),
        ({"wrong": 0.9, "right": 0.05}, {"wrong": 0.6, "right": 0.18}),
    ],
    ids=["hardly any backtracking is needless", "doubt moves from wrong to right steps"],
)
def test_a_fall_that_takes_hardly_any_onsets_away_is_none(base, arm):
    table = arms_table(events_of(completions("baseline", **base), completions("arm", **arm)), margin=0.1)
    assert table.loc["arm", "onsets_removed"] < 0.1
    assert table.loc["arm", "verdict"] != HELD
    assert table.loc["arm", "what_fell"] == ""


def test_fewer_checks_are_not_called_needless_while_noticing_may_be_lost():
    groups = [doubting("baseline", problems=30), doubting("arm", right=0.02, wrong=0.85, problems=30)]
    line = arms_table(events_of(*groups, problems=30), margin=0.15).loc["arm"]
    assert line["onset_after_right_diff_high"] < 0 < line["onset_after_wrong_diff_high"]
    assert line["onset_after_wrong_diff_low"] < -0.05
    strict = arms_table(events_of(*groups, problems=30), margin=0.05).loc["arm"]
    assert strict["what_fell"] == ""
    assert strict["verdict"] == "inconclusive"


def test_the_winner_lowers_the_primary_outcome_not_the_rows_with_an_onset():
    base = completions("baseline")
    fewer_errors, silent = completions("fewer_errors", errs=0.03), completions("silent", wrong=0.4)
    events = events_of(base, fewer_errors, silent)
    table = arms_table(events, margin=0.1)
    assert table.loc["fewer_errors", "backtracking_rate"] < table.loc["silent", "backtracking_rate"]
    assert find_best_tradeoff(table)["arm"] == "silent"
    front = front_probability(as_arms(events), seed=0, draws=200)
    assert front["silent"] > 0.9 > front["baseline"]


def test_without_onsets_there_is_no_front():
    quiet = events_of(completions("baseline", wrong=0, right=0), completions("other", wrong=0, right=0))
    assert front_probability(as_arms(quiet), seed=0, draws=50).isna().all()


@pytest.mark.parametrize("sign", [{"finish_reason": "length"}, {"completion": " "}])
def test_an_arm_that_breaks_the_text_is_destructive(sign):
    """Answers are right in all of them: it is the text that is lost."""
    broken = completions("broken", **sign)
    events = as_arms(events_of(completions("baseline"), broken))
    events["is_correct"] = True
    events["is_empty"] = events["condition"].eq("broken") & ("completion" in sign)
    assert summarize_arms(events, 0.05).set_index("arm").loc["broken", "verdict"] == DESTRUCTIVE


def test_without_checkable_steps_rows_with_an_onset_are_meant():
    texts = ("Let me see. Wait, no. \\boxed{8}", "Let me see. \\boxed{8}")
    groups = [
        [row.model_copy(update={"completion": texts[k % 4 > 1]}) for k, row in enumerate(completions(arm))]
        for arm in ("baseline", "arm")
    ]
    table = arms_table(events_of(*groups))
    assert table["judged_on"].eq("backtracking").all()
    assert table["onset_after_wrong"].isna().all()
    assert table["fresh_wrong_count"].eq(0).all()
    assert judged_on(table).name == "backtracking_rate"


def test_a_handful_of_wrong_steps_does_not_decide():
    def values(wrong, followed):
        return pd.DataFrame({"fresh_wrong": [wrong], "onsets_after_fresh_wrong": [followed]})

    enough = FEWEST_WRONG_STEPS
    assert primary_outcome(values(enough, 1)).outcome == "onset_after_wrong"
    assert primary_outcome(values(enough - 1, 1)).outcome == "backtracking"
    assert primary_outcome(values(enough, 0)).outcome == "backtracking"


def test_tables_that_lack_the_counts_say_nothing_about_them():
    events = events_of(completions("baseline"), completions("silent", wrong=0.3))
    older = events.drop(columns=[name for name in events if "fresh" in name])
    assert not any("after_wrong" in column for column in condition_table(tally(older), "v"))
    table = arms_table(older)
    assert not any("after_wrong" in column for column in table)
    assert table["judged_on"].eq("backtracking").all()


@pytest.mark.parametrize("problems", [1, 2])
def test_few_problems_have_values_and_no_false_certainty(problems):
    groups = [completions(arm, problems=problems, wrong=1.0, errs=0.9) for arm in ("baseline", "arm")]
    table = condition_table(tally(events_of(*groups, problems=problems)), "v").set_index("condition")
    assert table.loc["arm", "onset_after_wrong"] == 1.0
    assert np.isnan(table.loc["arm", "onset_after_wrong_diff_low"]) == (problems == 1)


def test_all_cut_rows_count_only_what_was_seen():
    cut = [
        row.model_copy(update={"completion": "5 + 3 = 9. 6 + 1 = 8.", "finish_reason": "length"})
        for row in completions("baseline", problems=4)
    ]
    events = events_of(cut)
    assert events["fresh_wrong"].eq(1).all(), "what follows the last step was cut off"
    assert condition_table(tally(events), "v")["onset_after_wrong"].iloc[0] == 0.0


def naive_difference(ours, theirs):
    """Problem by problem in plain Python: Mantel and Haenszel's mean, error by leaving one problem out."""

    def mean(kept):
        weights = [ours[k][1] * theirs[k][1] / (ours[k][1] + theirs[k][1]) for k in kept]
        gaps = [ours[k][0] / ours[k][1] - theirs[k][0] / theirs[k][1] for k in kept]
        return sum(w * g for w, g in zip(weights, gaps, strict=True)) / sum(weights)

    both = [k for k in ours if ours[k][1] and theirs[k][1]]
    without = [mean([k for k in both if k != left]) for left in both]
    n = len(both)
    error = (sum((one - mean(both)) ** 2 for one in without) * n / (n - 1)) ** 0.5
    return mean(both), error, n


def test_the_difference_inside_problems_is_the_one_by_hand():
    sums = contributions(events_of(completions("baseline"), completions("arm", wrong=0.5, errs=0.15)))
    condition = np.repeat(["baseline", "arm"], PROBLEMS * SAMPLES)
    parts = [
        {
            key: (float(part["onsets_after_fresh_wrong"].sum()), float(part["fresh_wrong"].sum()))
            for key, part in sums[condition == name].groupby("example_id")
        }
        for name in ("arm", "baseline")
    ]
    value, error, problems = naive_difference(*parts)
    arrays = [tuple(np.array([part[k] for k in parts[0]]).T) for part in parts]
    found = statistics.difference_within(*arrays)
    assert (found.value, found.problems) == (pytest.approx(value), problems)
    assert found.error == pytest.approx(error, rel=1e-9)


@pytest.mark.parametrize(("problems", "rate", "change"), [(25, 0.9, -0.5), (60, 0.6, 0.0)])
def test_its_interval_covers_where_errors_are_spared_selectively(problems, rate, change):
    generator = np.random.default_rng(3)
    covered = []
    for _ in range(400):
        hard = generator.normal(size=problems)
        theirs = generator.binomial(6, 1 / (1 + np.exp(0.8 - hard)))
        ours = generator.binomial(6, np.where(hard > 0, 0.15, 0.3))
        share = np.clip(rate + 0.1 * hard, 0.5 if change else 0.01, 1.0)
        followed = generator.binomial(theirs, share), generator.binomial(ours, share + change)
        found = statistics.difference_within((followed[1], ours), (followed[0], theirs))
        covered.append(found.low <= change <= found.high)
    assert 0.92 <= np.mean(covered) <= 0.995


def test_outcomes_are_declared_for_both_phases():
    assert all(OUTCOMES[name].compared == OUTCOMES[name].shown == (1, 2) for name in THREE)
