"""What Phase 2 confirms on was never looked into: not fitted on, not selected on, in neither phase."""

import json

import pandas as pd
import pytest

from tests.foundation.study import PHASES, forget, sets

ONE, TWO = "runs/demo", "runs/demo-phase2"
FITTED = ("logit-lens", "ablation-scan", "error-injection", "direction")
"""The analyses that fit or select; others measure what comes of it, on all problems."""


def table(folder, name):
    return pd.read_csv(folder / name, dtype=str)


def data(folder, name):
    return json.loads((folder / name).read_text())


def looked_into(folder):
    """The problems that Phase 1's analyses name in any way, by artifact."""
    found = {}
    controls = table(folder, f"{ONE}/analysis/controls.csv")
    found["onsets"] = set(controls["example_id"])
    found["controls"] = set(controls["control_example_id"].dropna())
    found["injections"] = set(table(folder, f"{ONE}/analysis/error_injection.csv")["example_id"])
    card = data(folder, f"{ONE}/analysis/directions.json")
    found["directions"] = {*card["fit_problems"], *card["test_problems"]}
    work = (path for name in FITTED for path in (folder / ONE / "work").glob(f"{name}*.jsonl"))
    kept = "".join(path.read_text() for path in work)
    asked = (json.loads(line)["id"] for line in (folder / ONE / "dataset.jsonl").read_text().splitlines())
    found["values kept"] = {problem for problem in asked if problem in kept}
    return found


def test_no_problem_that_confirms_was_looked_into(finished):
    confirmed = set(table(finished, f"{TWO}/analysis/confirm_events.csv")["example_id"])
    assert len(confirmed) >= 2
    for name, problems in looked_into(finished).items():
        assert problems, name
        assert not problems & confirmed, name
    assert not set(table(finished, f"{TWO}/analysis/search_events.csv")["example_id"]) & confirmed
    assert set(data(finished, f"{TWO}/analysis/problem_split.json")["confirm"]) == confirmed


def test_the_choice_rests_on_the_half_that_it_is_made_on_alone(finished):
    split = data(finished, f"{TWO}/analysis/problem_split.json")
    choice = table(finished, f"{TWO}/analysis/tradeoff_search.csv")
    assert set(choice["problems"]) == {str(len(split["search"]))}


def test_both_phases_list_the_same_assignment(finished):
    first, second = (data(finished, f"{run}/analysis/problem_split.json") for run in (ONE, TWO))
    assert second["left_out"] == []
    for half in ("search", "confirm"):
        assert second[half] == first[half][: len(second[half])]


def confirm(cli, *more):
    config, settings = PHASES["demo-phase2"]
    return cli("phase2-confirm", "-c", config.removesuffix(".yaml"), *sets(*settings, *more))


def look_into(folder, problems):
    """As in a run that was fitted on all problems."""
    path = folder / ONE / "analysis/controls.csv"
    controls = pd.read_csv(path, dtype=str)
    more = controls.head(1).loc[[0] * len(problems)].assign(example_id=list(problems))
    pd.concat([controls, more]).to_csv(path, index=False)
    forget(folder / ONE, "analysis/controls.csv")


def test_what_an_earlier_phase_1_looked_into_is_left_out_by_name(run, cli):
    halves = data(run, f"{TWO}/analysis/problem_split.json")
    seen, *fresh = halves["confirm"]
    look_into(run, [seen])
    done = confirm(cli)
    assert done.code == 0, done.err
    assert "problems left out of the confirmation: 1" in done.out + done.err
    after = data(run, f"{TWO}/analysis/problem_split.json")
    assert after == {"search": halves["search"], "confirm": fresh, "left_out": [seen]}
    assert set(table(run, f"{TWO}/analysis/confirm_events.csv")["example_id"]) == set(fresh)
    config, settings = PHASES["demo-phase2"]
    cli("make-report-phase2", "-c", config.removesuffix(".yaml"), *sets(*settings))
    report = (run / TWO / "reports/backtracking_phase2_report.md").read_text()
    assert "Phase 1 had looked at 1 more" in report


def test_with_all_of_them_seen_nothing_is_confirmed(run, cli):
    look_into(run, data(run, f"{TWO}/analysis/problem_split.json")["confirm"])
    done = confirm(cli)
    assert done.code == 0, done.err
    assert "0 problems in the half that confirms that Phase 1 has not looked at" in done.out + done.err
    assert not (run / TWO / "analysis/confirm_results.csv").exists()
    config, settings = PHASES["demo-phase2"]
    assert cli("make-report-phase2", "-c", config.removesuffix(".yaml"), *sets(*settings)).code == 0


@pytest.mark.parametrize("problems", ["search_half", "all"])
def test_the_config_may_look_into_all(run, cli, problems):
    config, settings = PHASES["demo"]
    done = cli(
        "error-injection", "-c", config.removesuffix(".yaml"),
        *sets(*settings, f"analysis.problems={problems}"),
    )  # fmt: skip
    assert done.code == 0, done.err
    held_out = set(data(run, f"{ONE}/analysis/problem_split.json")["confirm"])
    seen = set(table(run, f"{ONE}/analysis/error_injection.csv")["example_id"])
    assert bool(seen & held_out) == (problems == "all")
