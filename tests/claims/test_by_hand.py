"""Verdicts' numbers and words worked out again by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from backtracking.claims import completions, formatting, reduction, scan, wording
from backtracking.claims.doses import dose_part
from backtracking.claims.evidence import Evidence
from backtracking.claims.parts import TableEstimate, above, measured_cell, within
from backtracking.measurements.bounded import deciding_problems
from backtracking.measurements.comparison import compare, paired_sums
from backtracking.measurements.floors import MOST_CUT, SMALLEST_LOSS
from backtracking.measurements.metrics import OUTCOMES
from tests.claims.planted import judged, judged2, scan_table, stepped
from tests.claims.test_doses import _doses, _phase1
from tests.report.tables import MAIN, run_paths


@pytest.mark.parametrize(
    ("amount", "said"),
    [(7, "7"), (98, "98"), (347, "350"), (350, "350"), (1_001, "1,100"), (12_345, "13,000")],
)
def test_a_number_that_is_about_right_is_rounded_up_to_two_digits(amount, said):
    assert wording.roughly(amount) == said


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((0.0,), "0.0"),
        ((None,), "0.0"),
        ((0.01234,), "0.012"),
        ((0.5, 2.0), "2.00"),
        ((-12.345,), "−12.3"),
        ((1, 1234.5), "1,234"),
    ],
)
def test_the_largest_number_has_three_digits(values, said):
    largest = max(values, key=lambda value: abs(value or 0.0)) or 0.0
    assert wording.written(largest, wording.fixed(*values)) == said


def test_a_rate_as_it_is_written():
    row = {"rate": 0.623, "rate_low": 0.581, "rate_high": 0.662, "total": 1200}
    assert wording.rate_text(row, "rate") == "62.3% [58.1, 66.2], n = 1,200"
    assert wording.rate_text(row, "rate", n=None) == "62.3% [58.1, 66.2]"
    assert wording.rate_text({"rate": 0.623, "rate_low": 0.5}, "rate") == "62.3%"
    assert wording.rate_text({"rate_low": 0.1}, "rate") == "—"
    assert wording.rate_text({"rate": math.inf}, "rate") == "—"
    change = {"x": -0.043, "x_low": -0.1, "x_high": 0.0004}
    assert wording.points(change, "x") == "−4.3 [−10.0, 0.0]"
    assert wording.points({}, "x") == "—"
    assert wording.in_points(TableEstimate(0.05, 0.01, 0.09, 9)) == "+5.0 [+1.0, +9.0]"
    assert wording.as_points(0.05) == "5 points"
    assert wording.span(TableEstimate(0.62, 0.404, 0.8, 9), percent=True) == "62% [40, 80]"
    assert wording.span(TableEstimate(3.31, 3.284, 3.34, 9)) == "3.31 [3.28, 3.34]"
    assert wording.plainly({"kl": 0.5, "kl_low": 0.25, "kl_high": 12.0}, "kl") == "0.5 [0.2, 12.0]"
    assert wording.plainly({}, "kl") == "—"
    assert [wording.p_value(p) for p in (None, 0.0004, 0.001, 0.25)] == ["—", "< 0.001", "0.001", "0.250"]
    assert [wording.counted(n, "pair") for n in (1, 2000)] == ["1 pair", "2,000 pairs"]
    assert wording.counted(2, "body", "bodies") == "2 bodies"
    assert [wording.whole({"n": n}, "n") for n in (1234.0, None)] == ["1,234", "—"]
    assert [wording.percent(share) for share in (None, 0.1234, -0.0001)] == ["—", "12.3%", "0.0%"]


def test_text_of_others_cannot_leave_its_code():
    assert wording.quoted("a`b|c\nd\te\x1b") == "`aˋb¦c⏎d⇥e\ufffd`"
    assert wording.quoted("") == "`∅`"
    assert wording.quoted(" wait") == "`␣wait`"
    assert wording.quoted("x" * 80) == f"`{'x' * 80}`"
    assert wording.quoted("x" * 81) == f"`{'x' * 79}…`"


@pytest.mark.parametrize(
    ("low", "high", "state"),
    [(-0.04, 0.04, "holds"), (0.06, 0.2, "fails"), (-0.2, -0.06, "fails"), (-0.06, 0.04, "open")],
)
def test_inside_a_margin_on_both_sides(low, high, state):
    part = within("x", TableEstimate((low + high) / 2, low, high, 40), 0.05, "")
    assert part.state == state
    assert part.numbers == {
        "x": (low + high) / 2, "x_low": low, "x_high": high, "x_threshold": 0.05, "x_problems": 40,
    }  # fmt: skip


def test_an_interval_that_ends_on_the_threshold_decides_nothing():
    assert above("x", TableEstimate(0.2, 0.1, 0.3, 40), 0.1, "").state == "open"
    assert above("x", TableEstimate(0.0, -0.1, 0.1, 40), 0.1, "").state == "open"


def _steps(onset, control, **more):
    """The table of the onset step: an interval (low, value, high) of the divergence for each side."""
    lines = [
        {"position_kind": kind, "scale": 0.0, "n": 400, "problems": problems, "family_change": -0.3,
         "family_change_low": -0.4, "family_change_high": -0.2}
        | dict(zip(("kl_low", "kl", "kl_high"), ends, strict=True))
        for kind, ends, problems in (("onset", onset, 30), ("control", control, 20))
    ]  # fmt: skip
    return pd.DataFrame(lines).assign(**more)


def test_the_divergence_at_onsets_above_that_elsewhere(tmp_path):
    table = _steps((0.45, 0.6, 0.7), (0.12, 0.2, 0.24))
    numbers = judged2(tmp_path, continuation_ablation_summary=table)["onset_step"].numbers
    assert numbers["kl_difference"] == pytest.approx(0.4)
    assert numbers["kl_difference_low"] == pytest.approx(0.4 - math.hypot(0.15, 0.04))
    assert numbers["kl_difference_high"] == pytest.approx(0.4 + math.hypot(0.1, 0.08))
    assert (numbers["kl_difference_problems"], numbers["family_change_problems"]) == (20, 30)


@pytest.mark.parametrize("side", [0, 1])
def test_a_divergence_without_its_interval_is_not_compared(tmp_path, side):
    table = _steps((0.45, 0.6, 0.7), (0.12, 0.2, 0.24))
    table.loc[side, "kl_low"] = np.nan
    found = judged2(tmp_path, continuation_ablation_summary=table)["onset_step"]
    assert (found.outcome, found.missing) == ("not testable", "intervals of the divergence")


def test_the_step_is_judged_at_the_strongest_scale(tmp_path):
    weak = _steps((0.11, 0.2, 0.3), (0.1, 0.2, 0.3), scale=0.5, family_change=0.1, family_change_low=0.05,
                  family_change_high=0.2)  # fmt: skip
    strong = _steps((0.45, 0.6, 0.7), (0.12, 0.2, 0.24))
    found = judged2(tmp_path, continuation_ablation_summary=pd.concat([weak, strong]))["onset_step"]
    assert (found.outcome, "at scale 0 " in found.because) == ("supported", True)


def test_what_an_ablation_is_to_remove():
    rows = pd.DataFrame(
        {
            "example_id": ["a", "a", "b", "b"],
            "has_backtracking_strict": [True, False, False, False],
            "onsets_after_wrong": [2, 1, 0, 0],
            "steps_wrong": [2, 2, 0, 1],
            "onsets_after_right": [1, 0, 0, 0],
            "steps_right": [4, 2, 2, 2],
        }
    )
    assert completions.response(rows, stepwise=True).value == pytest.approx(3 / 5 - 1 / 10)
    assert completions.response(rows, stepwise=False).value == pytest.approx(1 / 4)


def test_fresh_steps_count_where_the_table_tells_them_apart():
    columns = {
        "onsets_after_wrong": 5, "steps_wrong": 6, "onsets_after_right": 7, "steps_right": 8,
        "onsets_after_fresh_wrong": 1, "fresh_wrong": 2, "onsets_after_fresh_right": 3, "fresh_right": 4,
    }  # fmt: skip
    rows = pd.DataFrame([{"example_id": "a"} | columns] * 2)
    assert completions.sums_of_steps(rows).to_numpy().tolist() == [[2, 4, 6, 8]]
    assert completions.sums_of_steps(rows.drop(columns="fresh_wrong")).to_numpy().tolist() == [
        [10, 12, 14, 16]
    ]


def test_doses_are_held_to_the_strictest_level_of_a_sweep_in_waves(tmp_path):
    doses, earlier = _doses(tmp_path, (0.6, 0.4, 0.2)), _phase1(tmp_path)
    folder = doses.paths.analysis
    table, events = (pd.read_csv(folder / f"scale_sweep_{name}.csv") for name in ("results", "events"))
    once = dose_part(doses, earlier).numbers
    table.assign(nominal_level=[np.nan, 0.04, 0.01, 0.03]).to_csv(
        folder / "scale_sweep_results.csv", index=False
    )
    strict = dose_part(type(doses)(doses.paths), earlier).numbers
    rows = [events[events["arm"] == arm] for arm in ("writer_x0", "baseline")]
    by_hand = compare(*rows, OUTCOMES["backtracking"], 0.01)
    assert strict["fall_with_dose"] == once["fall_with_dose"] == pytest.approx(by_hand.value)
    assert strict["fall_with_dose_low"] == pytest.approx(by_hand.low)
    assert strict["fall_with_dose_low"] < once["fall_with_dose_low"]


def test_shares_of_the_variation_of_onsets():
    """Two formats of equal errors; one doubts in 60% and 20% of its steps, the other in 40% and none."""
    totals = np.array([[60.0, 100, 20, 100], [40.0, 100, 0, 100]])
    rates = np.array([0.4, 0.2])
    by_format, by_errors = rates.var(), 0.25 * 0.4**2
    whole = 0.3 * 0.7
    assert formatting.variation(totals) == pytest.approx(
        [by_format / whole, by_errors / whole, by_format / (by_format + by_errors)]
    )
    uneven = np.array([[60.0, 100, 20, 300], [40.0, 100, 0, 100]])
    usual = (0.25 + 0.5) / 2
    rates = np.array([usual * 0.6 + (1 - usual) * 20 / 300, usual * 0.4])
    assert formatting.variation(uneven)[0] == pytest.approx(rates.var() / (rates.mean() * (1 - rates.mean())))


def _patched(*shares, problems=30, **more):
    """Denoising shares with their intervals (low, value, high), one block after the other."""
    lines = [
        {"component": "attn", "layer": layer, "positions": "deciding", "direction": "denoising",
         "n_pairs": 40, "n_problems": problems, "share_low": low, "share": share, "share_high": high}
        for layer, (low, share, high) in enumerate(shares)
    ]  # fmt: skip
    return pd.DataFrame(lines).assign(**more)


def test_the_best_carrier_is_the_one_that_surely_moves_most(tmp_path):
    table = _patched((0.3, 0.9, 1.5), (0.62, 0.7, 0.78), (0.1, 0.2, 0.3))
    found = judged(tmp_path, stepped("baseline", 0.8), error_patching=table)["carries"]
    assert (found.outcome, found.numbers["share"]) == ("supported", 0.7)
    assert (found.numbers["share_low"], found.numbers["share_problems"]) == (0.62, 30)
    assert "attn 1 (deciding positions) moves 70% [62, 78] of the gap" in found.because


def test_none_carries_only_where_all_surely_fall_short(tmp_path):
    """The block that surely moves most falls short, another one may not."""
    table = _patched((0.2, 0.3, 0.4), (0.1, 0.4, 0.7))
    assert judged(tmp_path, stepped("baseline", 0.8), error_patching=table)["carries"].outcome == (
        "inconclusive"
    )


def test_pairs_of_few_problems_carry_nothing(tmp_path):
    table = _patched((0.62, 0.7, 0.78), problems=4)
    found = judged(tmp_path, stepped("baseline", 0.8), error_patching=table)["carries"]
    assert found.missing.startswith("only 4 problems")


def test_what_the_scan_would_have_seen(tmp_path):
    """By the definition: reach + the least loss + (t(1 − 5% ÷ 3) + t(80%)) standard errors."""
    table = scan_table([0.9, 0.9, 0.9], error=0.05)
    paths = run_paths(tmp_path, ablation_importance=table)
    seen = scan.sight(Evidence(paths))
    reach = 2 * 0.05 / stats.t.ppf(0.975, 99)  # the table's intervals are two standard errors wide on a side
    quantiles = stats.t.ppf(1 - 0.05 / 3, 99) + stats.t.ppf(0.8, 99)
    assert (seen.problems, seen.components, seen.reach) == (100, 3, pytest.approx(SMALLEST_LOSS))
    assert seen.nats == pytest.approx(SMALLEST_LOSS + quantiles * reach)
    asked = seen.nats * 0.8
    needed = seen.problems_for(asked)
    assert seen._with(int(needed)) <= asked < seen._with(int(needed) - 1)
    assert math.isnan(seen.problems_for(seen.reach))


def test_the_blindest_mode_is_what_the_scan_could_see(tmp_path):
    clear, blind = scan_table([0.9, 0.9], error=0.01), scan_table([0.9, 0.9], error=0.2)
    modes = pd.concat(
        [clear.assign(mode="zero"), blind.assign(mode="mean"), blind.assign(mode="scale", n_problems=1)]
    )
    evidence = Evidence(run_paths(tmp_path, ablation_importance=clear, ablation_modes=modes))
    alone = Evidence(run_paths(tmp_path / "alone", ablation_importance=blind))
    assert scan.sight(evidence) == scan.sight(alone)


def test_components_by_mode_of_removal():
    by_mode = {"zero": ["mlp 1", "attn 3"], "mean": ["attn 3", "mlp 2", "mlp 1"]}
    assert scan.in_every_mode(by_mode) == ["mlp 1", "attn 3"]
    assert not scan.agree(by_mode)
    assert scan.agree({"zero": ["mlp 1", "attn 3"], "mean": ["attn 3", "mlp 1"]})
    assert scan.what_stands_out({"zero": [], "mean": []}) == "standing out in the scan: none"
    assert scan.what_stands_out(by_mode).endswith("by `zero`: mlp 1, attn 3; by `mean`: attn 3, mlp 2, mlp 1")


def _sweep(**arm):
    """A sweep's table: a baseline, and an arm with these numbers over fifty problems."""
    line = {
        "arm": "arm", "subset_name": "arm", "kind": "intervention", "verdict": "inconclusive", "problems": 50,
        "total": 300, "accuracy": 0.3, "accuracy_diff": -0.5, "accuracy_diff_low": -0.6,
        "accuracy_diff_high": -0.42, "truncation_diff": 0.1, "truncation_diff_low": 0.05,
        "truncation_diff_high": 0.15,
    }  # fmt: skip
    base = {"arm": "baseline", "subset_name": "baseline", "kind": "baseline", "verdict": "", "accuracy": 0.8}
    return pd.DataFrame([base, line | arm])


def test_half_of_the_accuracy_lost(tmp_path):
    found = judged2(tmp_path, subset_sweep_results=_sweep())["destroys"]
    assert found.outcome == "supported"
    numbers = found.numbers
    assert numbers["accuracy_change_threshold"] == pytest.approx(-0.4), "half of 80%"
    assert numbers["loss"] == pytest.approx(0.5 / 0.8)
    assert (numbers["accuracy_change_high"], numbers["accuracy_change_problems"]) == (-0.42, 50)


def test_half_of_the_text_lost(tmp_path):
    arm = {"accuracy_diff": -0.1, "accuracy_diff_low": -0.15, "accuracy_diff_high": 0.0}
    lost = {"truncation_diff": 0.7, "truncation_diff_low": 0.55, "truncation_diff_high": 0.85}
    found = judged2(tmp_path, subset_sweep_results=_sweep(**arm, **lost))["destroys"]
    assert (found.outcome, found.numbers["loss"]) == ("supported", 0.7)
    assert found.numbers["truncation_change_threshold"] == MOST_CUT
    kept = judged2(tmp_path / "kept", subset_sweep_results=_sweep(**arm))["destroys"]
    assert kept.outcome == "contradicted"
    assert "none of the 1 arms that could be judged" in kept.because


def test_the_arm_that_lost_most_is_named_where_none_lost_half(tmp_path):
    little = {"accuracy_diff": -0.1, "accuracy_diff_low": -0.15, "accuracy_diff_high": 0.0}
    more = little | {"arm": "more", "subset_name": "more", "accuracy_diff": -0.2, "accuracy_diff_low": -0.22}
    table = pd.concat([_sweep(**little), _sweep(**more).tail(1)])
    numbers = judged2(tmp_path, subset_sweep_results=table)["destroys"].numbers
    assert numbers["loss"] == pytest.approx(0.2 / 0.5)
    assert numbers["accuracy_change_threshold"] == pytest.approx(-0.25)


def test_the_nearest_arm_is_the_one_that_keeps_most_accuracy():
    """An arm that changes accuracy by nothing at all is nearer than one that loses some."""

    def arm(name, change):
        row = {"arm": name, "onsets_removed": 0.05, "onsets_removed_low": 0.0, "onsets_removed_high": 0.08}
        return reduction.Tried(row | {"accuracy_diff": change}, OUTCOMES["backtracking"])

    tried = [arm("loses", -0.2), arm("same", 0.0), arm("unknown", None)]
    assert reduction._nearest(tried).startswith("nearest is `same`")
    assert reduction._nearest(tried[::2]).startswith("nearest is `loses`")
    assert reduction._nearest([]) == "none lowers the outcome"


def test_shares_of_the_variation_in_words():
    """Six problems of which each says the same: the shares are certain, and written as percentages."""
    names = [f"p{k}" for k in range(6)]
    sums = [pd.DataFrame([line] * 6, index=names) for line in ([60, 100, 20, 100], [40, 100, 0, 100])]
    part = formatting._shares_part(sums, ["broken"])
    share = 0.01 / (0.01 + 0.04)
    assert part.numbers["format_share"] == pytest.approx(share)
    assert part.numbers["variation_by_format"] == pytest.approx(0.01 / 0.21)
    assert part.numbers["variation_by_errors"] == pytest.approx(0.04 / 0.21)
    assert "steps 5% [5, 5] follows the format" in part.says
    assert "19% [19, 19] errors" in part.says
    assert "share of both is 20% [20, 20]; left out, since they break accuracy: `broken`" in part.says
    assert "left out" not in formatting._shares_part(sums, []).says


def test_a_scan_that_does_not_count_its_problems_is_read(tmp_path):
    ends = {f"{name}{end}": value for name in ("direct", "total")
            for end, value in (("", 2.0), ("_low", 1.9), ("_high", 2.1))}  # fmt: skip
    direct = pd.DataFrame([{"layer": 0, "component": "mlp", "head": np.nan} | ends])
    scan_alone = scan_table([0.001, 0.9, 0.9]).drop(columns="n_problems")
    found = judged(tmp_path, stepped("baseline", 0.8), ablation_importance=scan_alone, direct_effects=direct)
    assert found["writes"].outcome == "supported"
    assert found["writes"].numbers["direct_problems"] == 0


def test_a_cell_of_a_table_that_does_not_count_its_problems():
    row = {"x": 0.5, "x_low": 0.4, "x_high": 0.6}
    assert measured_cell(row, "x", None) == TableEstimate(0.5, 0.4, 0.6, 0)
    assert measured_cell(row, "x", 12.0) == TableEstimate(0.5, 0.4, 0.6, 12)
    assert measured_cell(row | {"x_low": math.nan}, "x", 12.0) is None


def test_accuracy_that_is_held_and_how_many_problems_would_show_it():
    """What may be lost: five points, and no more than a quarter of what the baseline has."""
    base, arm = stepped("baseline", 0.8, problems=40), stepped("targeted_ablation", 0.8, problems=40)
    part = completions.held_accuracy("held", arm, base, "accuracy")
    sums = paired_sums(arm, base, OUTCOMES["accuracy"])
    assert part.numbers["held_threshold"] == -0.05
    assert part.deciding == deciding_problems(*sums, 0.05)
    assert part.numbers["held"] == pytest.approx(arm["is_correct"].mean() - base["is_correct"].mean())
    weak = [rows.assign(is_correct=rows["sample_id"] == 0) for rows in (arm, base)]
    assert completions.held_accuracy("held", *weak, "accuracy").numbers["held_threshold"] == pytest.approx(
        -1 / 24
    )


def test_what_is_left_standing_of_text_and_rates(tmp_path):
    rows = [stepped("baseline", 0.8), stepped("targeted_ablation", 0.1)]
    paths = run_paths(tmp_path, backtracking_events=pd.concat(rows))
    evidence = Evidence(paths)
    assert completions.fallen_apart(evidence, MAIN) == completions.floor(evidence, MAIN, "accuracy") == ""
    cut = pd.concat([rows[0], rows[1].assign(finish_reason="length")])
    broken = Evidence(run_paths(tmp_path / "cut", backtracking_events=cut))
    assert "100.0% are cut" in completions.fallen_apart(broken, MAIN)
    base_cut = pd.concat([rows[0].assign(finish_reason="length"), rows[1]])
    lost = Evidence(run_paths(tmp_path / "lost", backtracking_events=base_cut))
    assert "baseline" in completions.fallen_apart(lost, MAIN)
    assert "baseline" in completions.floor(lost, MAIN, "accuracy")
    unknown = Evidence(run_paths(tmp_path / "unknown", backtracking_events=cut.drop(columns="finish_reason")))
    assert completions.fallen_apart(unknown, MAIN) == completions.UNKNOWN_ENDS
    assert completions.floor(unknown, MAIN, "accuracy") == completions.UNKNOWN_ENDS
    alone = Evidence(run_paths(tmp_path / "alone", backtracking_events=rows[0]))
    assert completions.fallen_apart(alone, MAIN) == ""
    assert completions.lacking(alone, MAIN, "baseline", "targeted_ablation") == (
        f"completions of {MAIN!r} under 'targeted_ablation'"
    )
    assert completions.lacking(evidence, MAIN, "baseline", "targeted_ablation") == ""
    never = stepped("baseline", 0.0, after_right=0.0)
    silent = Evidence(run_paths(tmp_path / "silent", backtracking_events=never))
    assert "onset" in completions.silent(silent, MAIN)
    assert completions.silent(evidence, MAIN) == completions.silent(evidence, "another") == ""


def test_text_that_ends_by_itself_as_often():
    base = stepped("baseline", 0.8, problems=40)
    half_cut = base.assign(finish_reason=np.where(base["sample_id"] < 3, "length", "stop"))
    part = completions.sound_text(half_cut, base)
    assert (part.state, part.numbers["cut_change"]) == ("fails", pytest.approx(0.5))
    few = half_cut[half_cut["example_id"] == "p0"]
    assert completions.sound_text(few, base).lacks.startswith("problems under both conditions: 1")
    assert completions.sound_text(base.drop(columns="finish_reason"), base).lacks == completions.UNKNOWN_ENDS
