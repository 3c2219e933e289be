"""The parts that verdicts are made of, on a few numbers each: what holds, fails, stays open or is lacking."""

import math
from itertools import count
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from backtracking.artifacts import phase1 as files
from backtracking.artifacts import readings
from backtracking.claims import formatting, localisation, phase1, scan
from backtracking.claims.audit import arms, conditions
from backtracking.claims.evidence import Evidence
from backtracking.claims.parts import (
    TableEstimate,
    above,
    below,
    fact,
    measured_cell,
    missing,
    problems_to_decide,
    undecided,
    with_floor,
    within,
)
from backtracking.claims.verdict import Claim, as_data

CLAIM = Claim("key", "It is so", "Supported when it is.", ("rows_cut",), "All of it.")


def estimate(value, low, high, problems=40):
    return TableEstimate(value, low, high, problems)


class Held(Evidence):
    """Evidence of tables in memory."""

    def __init__(self, tables, selection=None):
        self._held, self._selection = tables, selection or {}

    def table(self, table):
        return self._held.get(table)

    def data(self, artifact):
        return self._selection if artifact is readings.SELECTION else self._held.get(artifact, {})

    def lack(self, artifact):
        return f"no {artifact.file}"


# Parts


@pytest.mark.parametrize(
    ("kind", "low", "high", "state"),
    [
        (above, 0.11, 0.3, "holds"), (above, 0.1, 0.3, "open"), (above, 0.0, 0.1, "open"),
        (above, 0.0, 0.09, "fails"), (below, 0.0, 0.09, "holds"), (below, 0.0, 0.1, "open"),
        (below, 0.1, 0.3, "open"), (below, 0.11, 0.3, "fails"), (within, -0.09, 0.09, "holds"),
        (within, -0.1, 0.09, "open"), (within, -0.09, 0.1, "open"), (within, 0.1, 0.3, "open"),
        (within, 0.11, 0.3, "fails"), (within, -0.3, -0.1, "open"), (within, -0.3, -0.11, "fails"),
    ],
)  # fmt: skip
def test_the_end_of_an_interval_on_the_threshold_decides_nothing(kind, low, high, state):
    assert kind("x", estimate((low + high) / 2, low, high), 0.1, "").state == state


@pytest.mark.parametrize(
    ("found", "threshold"),
    [
        (estimate(0.3, 0.1, 0.5, 20), 0.2),
        (estimate(0.1, -0.1, 0.4, 20), 0.2),
        (estimate(0.25, 0.0, 0.5, 8), 0.1),
        (estimate(-0.1, -0.15, 0.1, 30), -0.3),
    ],
)
def test_so_many_problems_would_decide(found, threshold):
    """The first number whose t quantiles, times the error of so many, reach no farther than the distance."""
    reach = found.value - found.low if threshold < found.value else found.high - found.value
    error = reach / stats.t.ppf(0.975, found.problems - 1) * math.sqrt(found.problems)
    for problems in count(2):
        quantiles = stats.t.ppf(0.975, problems - 1) + stats.t.ppf(0.8, problems - 1)
        if quantiles * error / math.sqrt(problems) <= abs(found.value - threshold):
            break
    assert problems_to_decide(found, threshold) == problems


def test_what_no_number_of_problems_decides():
    assert problems_to_decide(estimate(0.2, 0.1, 0.3), 0.2) == math.inf
    assert math.isnan(problems_to_decide(estimate(0.3, 0.1, 0.5, 1), 0.2))
    assert math.isnan(problems_to_decide(estimate(0.3, 0.3, 0.5), 0.2))
    assert math.isnan(problems_to_decide(estimate(0.3, math.nan, 0.5), 0.2))
    many = problems_to_decide(estimate(0.2, 0.1, 0.3, 100), 0.195)
    normal = 100 * (0.1 / stats.t.ppf(0.975, 99) / 0.005 * (stats.norm.ppf(0.975) + stats.norm.ppf(0.8))) ** 2
    assert many == math.ceil(normal) > 10_000


def test_within_a_margin_the_nearer_end_is_what_would_have_to_be_excluded():
    low = within("x", estimate(-0.04, -0.08, 0.0), 0.05, "")
    assert low.deciding == problems_to_decide(estimate(-0.04, -0.08, 0.0), -0.05)


def test_a_part_rests_on_its_fewest_problems():
    part = fact(True, "", problems=40, other_problems=7, none_problems=0, sets=3)
    assert part.problems == 7
    assert fact(True, "", sets=3).problems == 0
    assert with_floor(part) is part
    few = with_floor(fact(False, "said", x_problems=5))
    assert (few.state, few.says, few.numbers) == ("missing", "said", {"x_problems": 5})
    assert few.lacks == "only 5 problems; a verdict needs 6"
    lacking = missing("a table")
    assert with_floor(lacking) is lacking


def test_a_cell_with_its_interval():
    row = {"x": 0.5, "x_low": 0.4, "x_high": 0.6}
    assert measured_cell(row, "x", 12.0) == estimate(0.5, 0.4, 0.6, 12)
    assert measured_cell(row, "x", None) == estimate(0.5, 0.4, 0.6, 0)
    for end in row:
        assert measured_cell(row | {end: None}, "x", 12) is None


# Verdicts


def test_the_weightiest_part_makes_the_outcome():
    holds, fails, lacks, open_ = fact(True, "a"), fact(False, "b"), missing("c"), undecided("d")
    parts = (holds, open_, lacks, fails)
    outcomes = [CLAIM.judge(*parts[: known + 1]).outcome for known in range(4)]
    assert outcomes == ["supported", "inconclusive", "not testable", "contradicted"]
    assert CLAIM.judge(holds, fact(True, "e")).because == "a; e"
    assert CLAIM.judge(holds, open_, fails).because == "Not met: b. Open: d. Met: a"
    assert CLAIM.judge(holds, about="Of all").because == "Of all. Met: a"
    assert CLAIM.judge(lacks, holds, lacks).because == "missing: c. So far: a"
    assert CLAIM.judge(lacks).missing == "c"
    assert CLAIM.missing("c").because == "missing: c"


def test_the_number_that_would_decide_is_the_largest_of_what_is_open():
    near, far = (above("x", estimate(value, 0.0, 0.5, 20), 0.2, "said") for value in (0.25, 0.4))
    needed = [problems_to_decide(estimate(value, 0.0, 0.5, 20), 0.2) for value in (0.25, 0.4)]
    assert needed[0] > needed[1] > 20
    assert CLAIM.judge(near, far).deciding_problems == needed[0]
    assert CLAIM.judge(far, undecided("e")).deciding_problems == needed[1]
    assert CLAIM.judge(near, fact(False, "f")).deciding_problems is None
    assert CLAIM.judge(undecided("e")).deciding_problems is None
    enough = above("x", estimate(0.4, 0.0, 0.5, 20), 0.2, "said", deciding=20.0)
    assert CLAIM.judge(enough).deciding_problems is None
    assert "more problems would be needed to decide" in CLAIM.judge(enough).because
    more = above("x", estimate(0.4, 0.0, 0.5, 20), 0.2, "said", deciding=20.5)
    assert CLAIM.judge(more).deciding_problems == 21


def test_what_hinges_on_the_way_of_removal_is_inconclusive():
    found = CLAIM.mode_dependent(undecided("split"), fact(False, "b"), missing("c"))
    assert (found.outcome, found.missing, found.deciding_problems) == ("inconclusive", "", None)
    assert found.because.endswith("split. Not met: b")


def test_numbers_that_are_not_defined_are_null():
    (held,) = as_data([CLAIM.judge(fact(True, "a", x=math.inf, y=1.5, z="all", n=3))])["verdicts"]
    assert held["numbers"] == {"x": None, "y": 1.5, "z": "all", "n": 3}
    assert held["depends_on"] == ["rows_cut"]


# Claims


def format_lines(*lines):
    names = ("variant", "backtracking_diff", "backtracking_diff_low", "backtracking_diff_high",
             "backtracking_diff_p_holm", "accuracy_diff_high")  # fmt: skip
    table = pd.DataFrame([dict(zip(names, line, strict=True)) for line in lines])
    return table.assign(problems=40, backtracking_count=10, total=100)


MAIN = ("main", math.nan, math.nan, math.nan, math.nan, math.nan)


@pytest.mark.parametrize(
    ("others", "state"),
    [
        ([("a", 0.1, 0.06, 0.14, 0.01, 0.0)], "holds"),
        ([("a", 0.1, 0.06, 0.14, 0.05, 0.0)], "open"),
        ([("a", 0.1, 0.04, 0.14, 0.01, 0.0)], "open"),
        ([("a", 0.0, -0.04, 0.04, 0.9, 0.0)], "fails"),
        ([("a", 0.0, -0.04, 0.04, 0.9, 0.0), ("b", -0.1, -0.14, -0.06, 0.01, 0.0)], "holds"),
        ([("a", 0.0, -0.04, 0.04, 0.9, 0.0), ("b", 0.02, -0.02, 0.06, 0.9, 0.0)], "open"),
        ([("a", 0.1, 0.06, 0.14, 0.01, -0.06), ("b", 0.0, -0.04, 0.04, 0.9, 0.0)], "fails"),
        ([("a", 0.1, 0.06, 0.14, 0.01, -0.05)], "holds"),
        ([("a", 0.1, 0.06, 0.14, 0.01, -0.06)], "missing"),
        ([("a", 0.1, math.nan, 0.14, 0.01, 0.0)], "missing"),
        ([("a", 0.1, 0.06, 0.14, math.nan, 0.0)], "missing"),
        ([], "missing"),
    ],
)
def test_a_format_changes_backtracking_or_surely_does_not(others, state):
    part = formatting._effect(Held({files.FORMATS: format_lines(MAIN, *others)}), "main")
    assert part.state == state
    if state != "missing":
        kept = [line for line in others if line[-1] >= -0.05]
        assert part.numbers["format_difference"] == max((line[1] for line in kept), key=abs)
        assert math.isnan(part.deciding) == (state != "open")


def test_a_format_that_breaks_accuracy_is_named():
    table = format_lines(MAIN, ("a", 0.1, 0.06, 0.14, 0.01, -0.06))
    assert formatting._broken(table, "main") == ["a"]
    assert formatting._broken(table.drop(columns="accuracy_diff_high"), "main") == []
    assert (
        formatting._no_other(table, "main")
        == "a second prompt format that leaves accuracy standing (`a` breaks it)"
    )
    assert formatting._no_other(table.iloc[:1], "main") == "a second prompt format"
    silent = table.assign(backtracking_count=0)
    assert (
        formatting._effect(Held({files.FORMATS: silent}), "other").lacks
        == "no onsets in 200 baseline completions"
    )


def test_variation_of_onsets_over_steps():
    """Two formats that err in 1 of 4 steps; onsets behind 0.8 and 0.4 of wrong steps, 0.2 of right ones."""
    totals = np.array([[8.0, 10, 6, 30], [4, 10, 6, 30]])
    overall = [0.25 * 0.8 + 0.75 * 0.2, 0.25 * 0.4 + 0.75 * 0.2]
    by_format = ((overall[0] - overall[1]) / 2) ** 2
    by_errors = 0.25 * 0.75 * (0.6**2 + 0.2**2) / 2
    rate = sum(overall) / 2
    whole = rate * (1 - rate)
    assert formatting.variation(totals).tolist() == pytest.approx(
        [by_format / whole, by_errors / whole, by_format / (by_format + by_errors)]
    )


@pytest.mark.parametrize(
    ("ends", "state"),
    [
        ((0.6, 0.45, 0.8), "open"), ((0.9, 0.45, 0.95), "holds"), ((0.6, 0.0, 0.7), "fails"),
        ((0.6, 0.0, 0.8), "open"), ((0.8, 0.41, 0.9), "holds"), ((0.8, 0.4, 0.9), "open"),
        ((0.3, 0.2, 0.39), "fails"),
    ],
)  # fmt: skip
def test_at_least_four_fifths_by_the_estimate_and_surely_two(ends, state):
    assert localisation._against(estimate(*ends), 0.8, 0.4, "").state == state


def prefixes(gaps, targets=(0.1,)):
    lines = [("random_ablation", draw, gap) for draw, gap in enumerate(gaps)]
    lines += [("random_ablation", None, 9.0)] + [("targeted_ablation", None, gap) for gap in targets]
    return pd.DataFrame(lines, columns=["arm", "draw", "gap"])


def test_gaps_of_enough_random_sets():
    gaps = [k / 10 for k in range(localisation.FEWEST_SETS)]
    assert localisation._given_gaps(Held({files.PREFIXES: prefixes(gaps)})) == (0.1, gaps)
    for table in (prefixes(gaps[1:]), prefixes(gaps, targets=()), prefixes(gaps).drop(columns="gap")):
        assert localisation._given_gaps(Held({files.PREFIXES: table})) is None
    assert localisation._given_gaps(Held({})) is None


def test_the_share_removed_on_fixed_prefixes():
    line = {"arm": "targeted_ablation", "draw": math.nan, "share_removed": 0.5, "share_removed_low": 0.4,
            "share_removed_high": 0.6, "problems": 30}  # fmt: skip
    table = pd.DataFrame([line | {"draw": 1.0, "share_removed": 0.1}, line | {"arm": "other"}, line])
    assert localisation._given(Held({files.PREFIXES: table})) == estimate(0.5, 0.4, 0.6, 30)
    assert localisation._given(Held({files.PREFIXES: table.iloc[:2]})) is None
    assert localisation._given(Held({files.PREFIXES: table.drop(columns="share_removed")})) is None


def test_injected_errors_of_any_kind_are_read():
    table = pd.DataFrame({"kind": ["off by one", "any wrong"], "x": [1, 2]})
    assert phase1._injected(Held({readings.INJECTION_SUMMARY: table}))["x"] == 2
    assert phase1._injected(Held({readings.INJECTION_SUMMARY: table.iloc[:1]})) is None
    assert phase1._injected(Held({})) is None


@pytest.mark.parametrize(
    ("odds", "outcome"),
    [((0.5, 0.3, 0.9), "supported"), ((0.5, 0.3, 1.0), "inconclusive"), ((2.0, 1.1, 3.0), "contradicted")],
)
def test_odds_are_judged_by_their_logarithm(odds, outcome):
    row = dict(zip(("odds_ratio", "odds_ratio_low", "odds_ratio_high"), odds, strict=True))
    data = {"backtracking_vs_accuracy": {"v": row | {"informative_problems": 30}}}
    found = phase1._judge_costs(Held({files.SUMMARY: data}), "v")
    assert found.outcome == outcome
    assert found.numbers["log_odds_ratio_low"] == pytest.approx(math.log(odds[1]))
    assert phase1._judge_costs(Held({files.SUMMARY: data}), "other").outcome == "not testable"
    unknown = {"backtracking_vs_accuracy": {"v": {"odds_ratio": 2.0, "informative_problems": 1}}}
    assert phase1._judge_costs(Held({files.SUMMARY: unknown}), "v").missing.endswith("an onset: 1")


# The scan


@pytest.mark.parametrize("problems", [2, 24, 300])
def test_what_a_scan_sees(problems):
    seen = scan.Sight(reach=0.1, error=0.05, problems=problems, components=10)
    quantiles = stats.t.ppf(1 - 0.05 / 10, problems - 1) + stats.t.ppf(0.8, problems - 1)
    assert seen.nats == pytest.approx(0.1 + quantiles * 0.05)
    assert math.isnan(seen.problems_for(0.1))
    for nats in (0.15, 0.3):
        spread = 0.05 * math.sqrt(problems)
        needed = next(
            n for n in count(2)
            if 0.1 + (stats.t.ppf(0.995, n - 1) + stats.t.ppf(0.8, n - 1)) * spread / math.sqrt(n) <= nats
        )  # fmt: skip
        assert seen.problems_for(nats) == needed


def importance(*lines):
    names = ("component", "layer", "selectivity", "selectivity_p_holm", "mode", "n_problems")
    return pd.DataFrame(lines, columns=names)


def test_what_stands_out_in_each_way_of_removal():
    table = importance(
        ("attn", 1, 0.5, 0.04, "zero", 30), ("mlp", 2, 0.9, 0.01, "zero", 30),
        ("mlp", 0, 0.9, 0.05, "zero", 30),
        ("mlp", 2, 0.9, 0.01, "mean", 30), ("mlp", 3, 0.9, 0.01, "scale", 30),
    )  # fmt: skip
    held = Held({readings.IMPORTANCE: table.iloc[:3], readings.IMPORTANCE_BY_MODE: table})
    assert scan.standouts(held) == {"zero": ["mlp 2", "attn 1"], "mean": ["mlp 2"]}
    assert scan.in_every_mode(scan.standouts(held)) == ["mlp 2"]
    assert not scan.agree(scan.standouts(held))
    alone = Held({readings.IMPORTANCE: table.iloc[:3]})
    assert scan.standouts(alone) == {"": ["mlp 2", "attn 1"]}
    few = Held({readings.IMPORTANCE: table.iloc[:3].assign(n_problems=[4, 5, 5])})
    assert scan.standouts(few) == "only 5 problems; a verdict needs 6"
    untested = Held({readings.IMPORTANCE: table.iloc[:3].assign(selectivity_p_holm=math.nan)})
    assert isinstance(scan.standouts(untested), str)
    assert scan.standouts(Held({})) == f"no {readings.IMPORTANCE.file}"


# The audit


def test_completions_without_a_value_count_as_none_of_it():
    """Of the two shared problems, one differs by a half and the other not."""
    left = pd.DataFrame({"example_id": ["a", "a", "b", "c"], "x": [1.0, None, 1.0, 0.0]})
    right = pd.DataFrame({"example_id": ["a", "b", "d"], "x": [1.0, 1.0, 1.0]})
    found = conditions._difference(left, right, "x")
    assert (found.value, found.problems) == (pytest.approx(2 / 3 - 1), 2)


def completions_of(values, condition="arm", **columns):
    rows = pd.DataFrame({"example_id": "p", "sample_id": range(len(values)), "strict": values} | columns)
    return SimpleNamespace(
        rows=rows, condition=condition, name=condition, table="t", variant="v",
        holds=lambda name: name in rows, is_baseline=condition == "baseline",
    )  # fmt: skip


def test_arms_are_the_same_where_all_that_is_known_of_shared_rows_is():
    base = completions_of([1.0, 0.0, None], completion_tokens=[5, 6, 7])
    assert arms._are_same(base, completions_of([1.0, 0.0, None], completion_tokens=[5, 6, 7])) is True
    assert arms._are_same(base, completions_of([1.0], completion_tokens=[5])) is True
    assert arms._are_same(base, completions_of([1.0, 0.0, None], completion_tokens=[5, 6, 8])) is False
    assert arms._are_same(base, completions_of([1.0, 0.0, 0.0], completion_tokens=[5, 6, 7])) is False
    assert arms._are_same(base, completions_of([1.0])) is None
    elsewhere = completions_of([1.0], completion_tokens=[5])
    elsewhere.rows["sample_id"] = 9
    assert arms._are_same(base, elsewhere) is None


def audited(*groups, matches_schedule=False):
    table = pd.DataFrame(
        {"arm": ["baseline", "ban"], "kind": ["baseline", "suppression"], "subset_name": "x"}
    )
    held = Held({})
    held.data = lambda _: {"matches_schedule": matches_schedule}
    return SimpleNamespace(by_table=groups, arms=[("t", table)], evidence=held)


def test_an_arm_that_does_what_the_baseline_does():
    known = {"completion_tokens": [5, 6]}
    base = completions_of([0.0, 0.0], "baseline", **known)
    same = [completions_of([0.0, 0.0], name, **known) for name in ("ban", "idle", "acted", "waited")]
    other = completions_of([1.0, 0.0], "other", **known)
    ledger = {"acted": 3.0, "waited": 0.0}
    found = list(arms._of_rows(audited(base, *same, other, matches_schedule=True), ledger))
    assert [one.outcome for one in found] == ["pass", "fail", "warn", "warn", "pass"]
    assert "had nothing to ban" in found[0].found
    assert found[-1] == arms._CHANGES
    found = list(arms._of_rows(audited(base, same[3]), ledger))
    assert [one.outcome for one in found] == ["fail"]
    loud = completions_of([1.0, 0.0], "baseline", **known)
    silenced = completions_of([1.0, 0.0], "ban", **known)
    found = list(arms._of_rows(audited(loud, silenced), ledger))
    assert [one.outcome for one in found] == ["fail"], "there was something to ban"
