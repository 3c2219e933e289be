"""H1, H0, what contributes, carries and writes: each outcome from planted tables."""

import numpy as np
import pandas as pd
import pytest

from backtracking.claims import localisation
from backtracking.claims.evidence import Evidence
from backtracking.claims.parts import fact, missing
from tests.claims.planted import FOUND, NOTHING, judged, random_sets, scan_table, stepped
from tests.report.tables import MAIN, run_paths

GROWS = fact(True, "grows with the dose")
BASE = stepped("baseline", 0.8)


def place(folder, targeted, random, scan=FOUND, doses=GROWS, **tables):
    """Verdicts about the place of the onset, with the doses given."""
    events = pd.concat([BASE, targeted, random])
    paths = run_paths(folder, backtracking_events=events, ablation_importance=scan, **tables)
    return {verdict.key: verdict for verdict in localisation.judge_localisation(Evidence(paths), MAIN, doses)}


def targeted(after_wrong, **how):
    return stepped("targeted_ablation", after_wrong, **how)


@pytest.mark.parametrize(
    ("case", "outcome", "contributes", "says"),
    [
        ((targeted(0.1), random_sets(0.8)), "supported", "supported", "0 of 20 random sets"),
        ((targeted(0.78), random_sets(0.8)), "contradicted", "contradicted", "Not met: "),
        ((targeted(0.6), random_sets(0.8)), "contradicted", "supported", "removes"),
        ((targeted(0.1), random_sets(0.03)), "contradicted", "supported", "random sets remove as much"),
        (
            (targeted(0.42, problems=20), random_sets(0.8)),
            "inconclusive",
            "supported",
            "problems would decide",
        ),
        (
            (targeted(0.1), random_sets([0.05] + [0.8] * 19)),
            "inconclusive",
            "supported",
            "1 of 20 random sets",
        ),
        ((targeted(0.1), random_sets(0.8, sets=5)), "not testable", "supported", "distinct random sets: 5"),
        ((targeted(0.1, sound_accuracy=0.4), random_sets(0.8)), "contradicted", "supported", "Not met: "),
    ],
    ids=[
        "most of it",
        "nothing",
        "a quarter",
        "as random sets",
        "few problems",
        "one set",
        "few sets",
        "breaks",
    ],
)
def test_h1_wants_all_of_its_parts(tmp_path, case, outcome, contributes, says):
    found = place(tmp_path, *case)
    assert found["H1"].outcome == outcome, found["H1"].because
    assert found["contributes"].outcome == contributes, found["contributes"].because
    assert says in found["H1"].because + found["H1"].missing


@pytest.mark.parametrize("scan", [FOUND, NOTHING], ids=["one stands out", "none does"])
def test_a_scan_of_few_problems_decides_nothing(tmp_path, scan):
    few = scan.assign(n_problems=2)
    other = scan.assign(n_problems=2, selectivity_p_holm=1.0)
    modes = pd.concat([few.assign(mode="zero"), other.assign(mode="mean")])
    found = place(tmp_path, targeted(0.1), random_sets(0.8), few, ablation_modes=modes)
    for claim in ("H1", "contributes", "H0", "writes"):
        assert found[claim].outcome == "not testable", found[claim].because
        assert "only 2 problems; a verdict needs 6" in found[claim].missing


@pytest.mark.parametrize(
    ("doses", "outcome"),
    [
        (GROWS, "supported"),
        (fact(False, "a stronger dose takes less"), "contradicted"),
        (missing("three strengths"), "not testable"),
    ],
)
def test_h1_wants_a_dose_response(tmp_path, doses, outcome):
    found = place(tmp_path, targeted(0.1), random_sets(0.8), doses=doses)["H1"]
    assert found.outcome == outcome
    assert ("three strengths" in found.missing) == (outcome == "not testable")


def test_fewer_errors_are_not_fewer_onsets(tmp_path):
    """An arm whose rows backtrack less because fewer steps are wrong removes nothing of the response."""
    fewer = targeted(0.8)
    cured = (fewer["steps_wrong"] == 1) & (np.arange(len(fewer)) % 4 == 1)
    fewer.loc[cured, ["steps_wrong", "onsets_after_wrong"]] = 0
    fewer.loc[cured, "has_backtracking_strict"] = fewer.loc[cured, "onsets_after_right"] > 0
    assert fewer["has_backtracking_strict"].mean() < 0.75 * BASE["has_backtracking_strict"].mean()
    found = place(tmp_path, fewer, random_sets(0.8))
    assert {found[key].outcome for key in ("H1", "contributes")} == {"contradicted"}


def test_without_steps_the_rate_is_meant_and_it_is_said(tmp_path):
    columns = [f"{what}_{kind}" for what in ("steps", "onsets_after") for kind in ("wrong", "right")]
    rows = [part.drop(columns=columns) for part in (BASE, targeted(0.0, after_right=0.0), random_sets(0.8))]
    paths = run_paths(tmp_path, backtracking_events=pd.concat(rows), ablation_importance=FOUND)
    found = localisation.judge_localisation(Evidence(paths), MAIN, GROWS)[0]
    assert found.outcome == "supported" and "the share of completions with an onset" in found.because


@pytest.mark.parametrize(
    ("mean", "outcome"),
    [([0.001, 0.9, 0.9], "supported"), ([0.9, 0.001, 0.9], "inconclusive"), ([0.9] * 3, "inconclusive")],
)
def test_modes_of_removal_that_disagree_support_nothing(tmp_path, mean, outcome):
    modes = pd.concat(
        [FOUND.assign(mode="zero"), scan_table(mean).assign(mode="mean"), NOTHING.assign(mode="scale")]
    )
    found = place(tmp_path, targeted(0.1), random_sets(0.8), ablation_modes=modes)
    assert (found["H1"].outcome, found["contributes"].outcome) == (outcome, outcome)
    if outcome == "inconclusive":
        for key in ("H1", "contributes", "H0"):
            assert found[key].because.startswith("mode-dependent: ")
            assert "stand out in the scan when removed by `zero`: " in found[key].because
            assert "; by `mean`: " in found[key].because
    else:
        assert found["H0"].outcome == "contradicted"


@pytest.mark.parametrize(
    ("scan", "rates", "h0", "h1"),
    [
        (NOTHING, (0.8, 0.8), "supported", "contradicted"),
        (FOUND, (0.8, 0.8), "contradicted", "contradicted"),
        (scan_table([0.9] * 3, error=0.4), (0.8, 0.8), "inconclusive", "not testable"),
        (NOTHING.drop(columns="selectivity_excess_low"), (0.8, 0.8), "not testable", "not testable"),
        (NOTHING, (0.3, 0.8), "contradicted", "not testable"),
    ],
    ids=["seen and none", "one stands out", "blind scan", "no errors given", "yet it differs"],
)
def test_h0_needs_power_and_is_never_the_lack_of_significance(tmp_path, scan, rates, h0, h1):
    how = {"problems": 400, "samples": 8}
    events = pd.concat(
        [
            stepped("baseline", 0.8, **how),
            targeted(rates[0], **how),
            random_sets(rates[1], problems=400),
        ]
    )
    paths = run_paths(tmp_path, backtracking_events=events, ablation_importance=scan)
    found = {
        verdict.key: verdict for verdict in localisation.judge_localisation(Evidence(paths), MAIN, GROWS)
    }
    assert (found["H0"].outcome, found["H1"].outcome) == (h0, h1), found["H0"].because
    if h0 == "inconclusive":
        assert found["H0"].deciding_problems > 100


def test_the_scans_own_rule_is_judged(tmp_path):
    """Without controls the scan ranks by effect, and selectivity has no values."""
    scan = FOUND.assign(selectivity_p_holm=np.nan, effect=[2.0, 0.1, 0.1], effect_p_holm=[0.001, 0.9, 0.9])
    paths = run_paths(
        tmp_path,
        backtracking_events=pd.concat([BASE, targeted(0.1), random_sets(0.8)]),
        ablation_importance=scan,
    )
    assert localisation.judge_localisation(Evidence(paths), MAIN, GROWS)[0].outcome == "not testable"
    paths.table("ablation_selection.json").write_text('{"rule": "effect"}')
    assert localisation.judge_localisation(Evidence(paths), MAIN, GROWS)[0].outcome == "supported"


def test_an_ablation_that_breaks_the_text_is_no_evidence_for_h1(tmp_path):
    found = place(tmp_path, targeted(0.1).assign(finish_reason="length"), random_sets(0.8))
    assert (found["H1"].outcome, found["contributes"].outcome) == ("not testable", "not testable")
    assert "100.0% are cut" in found["H1"].because


def test_tables_of_an_earlier_study_do_not_hide_truncation(tmp_path):
    events = pd.concat([BASE, targeted(0.1), random_sets(0.8)]).drop(columns="finish_reason")
    found = judged(tmp_path, events, ablation_importance=FOUND)["H1"]
    assert found.outcome == "not testable" and "were cut" in found.because


def _patching(shares, pairs=45, half=0.05):
    lines = [
        {
            "component": "attn",
            "layer": layer,
            "positions": "deciding",
            "direction": direction,
            "share": share,
            "share_low": share - half,
            "share_high": share + half,
            "n_pairs": pairs,
            "n_problems": pairs,
        }
        for direction, values in (("denoising", shares), ("noising", [1.0] * len(shares)))
        for layer, share in enumerate(values)
    ]
    return pd.DataFrame(lines)


@pytest.mark.parametrize(
    ("table", "outcome"),
    [
        (_patching([0.1, 0.9]), "supported"),
        (_patching([0.1, 0.2]), "contradicted"),
        (_patching([0.1, 0.5]), "inconclusive"),
        (_patching([0.1, 0.9], pairs=7), "not testable"),
        (None, "not testable"),
    ],
    ids=["one carries", "none does", "near half", "few pairs", "no table"],
)
def test_carrying_is_denoising(tmp_path, table, outcome):
    tables = {} if table is None else {"error_patching": table}
    assert judged(tmp_path, BASE, **tables)["carries"].outcome == outcome


def _direct(direct, total, half=0.1):
    ends = {
        f"{name}{end}": value + sign * half
        for name, value in (("direct", direct), ("total", total))
        for end, sign in (("", 0), ("_low", -1), ("_high", 1))
    }
    return pd.DataFrame([{"layer": 0, "component": "mlp", "head": np.nan} | ends])


@pytest.mark.parametrize(
    ("direct", "total", "scan", "outcome"),
    [
        (2.0, 1.5, FOUND, "supported"),
        (-0.5, 1.5, FOUND, "contradicted"),
        (2.0, -0.5, FOUND, "contradicted"),
        (0.12, 1.5, FOUND, "inconclusive"),
        (2.0, 1.5, NOTHING, "not testable"),
    ],
    ids=["both", "only removal", "only direct", "hardly", "nothing stands out"],
)
def test_writing_is_direct_effect_and_removal(tmp_path, direct, total, scan, outcome):
    found = judged(tmp_path, BASE, ablation_importance=scan, direct_effects=_direct(direct, total))
    assert found["writes"].outcome == outcome


TWO = scan_table([0.001, 0.001, 0.9])


@pytest.mark.parametrize(
    ("modes", "direct", "outcome"),
    [
        ((FOUND, NOTHING), 2.0, "inconclusive"),
        ((TWO, FOUND), -0.5, "inconclusive"),
        ((TWO, FOUND), 2.0, "supported"),
        ((FOUND, FOUND), -0.5, "contradicted"),
    ],
    ids=["one way finds nothing", "the common one does not write", "the common one writes", "ways agree"],
)
def test_that_none_writes_needs_ways_of_removal_that_agree(tmp_path, modes, direct, outcome):
    both = pd.concat([table.assign(mode=name) for table, name in zip(modes, ("zero", "mean"), strict=True)])
    tables = {"ablation_importance": modes[0], "ablation_modes": both, "direct_effects": _direct(direct, 1.5)}
    found = judged(tmp_path, BASE, **tables)["writes"]
    assert found.outcome == outcome
    assert found.because.startswith("mode-dependent: ") == (outcome == "inconclusive")
    assert ("by `mean`: " in found.because) == (outcome == "inconclusive"), "both findings are shown"


def _prefixes(share, gaps, sets=20):
    """Fixed prefixes under the target, which removes this share, and under random sets with these gaps."""
    lines = [{"arm": "targeted_ablation", "draw": None, "gap": 0.8 * (1 - share), "share_removed": share}]
    lines += [{"arm": "random_ablation", "draw": k, "gap": gaps, "share_removed": 0.0} for k in range(sets)]
    table = pd.DataFrame(lines).assign(problems=60)
    return table.assign(
        share_removed_low=table["share_removed"] - 0.1, share_removed_high=table["share_removed"] + 0.1
    )


@pytest.mark.parametrize(
    ("table", "outcome"),
    [
        (_prefixes(0.9, 0.8), "supported"),
        (_prefixes(0.05, 0.8), "contradicted"),
        (_prefixes(0.9, 0.01), "contradicted"),
        (_prefixes(0.45, 0.8), "inconclusive"),
    ],
    ids=["most", "hardly any", "random sets do more", "near half"],
)
def test_fixed_prefixes_decide_where_there_are_some(tmp_path, table, outcome):
    """In free text this target removes most: what counts is what it does behind the same errors."""
    found = place(tmp_path, targeted(0.1), random_sets(0.8), fixed_prefixes=table)["H1"]
    assert found.outcome == outcome, found.because
    assert "fixed prefixes" in found.because
