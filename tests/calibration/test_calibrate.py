"""The calibration on tiny studies: kept as it goes, null studies that are null, and the table."""

import json
from dataclasses import asdict, replace

import pandas as pd
import pytest

from backtracking.artifacts.phase1 import EVENTS
from backtracking.calibration import calibrate as calibration
from backtracking.calibration.calibrate import SMALL_SCOPE, PlantedStudy, calibrate
from backtracking.calibration.nulls import AS_PLANNED, CHOICES, LABELS, AnalystChoice, Desk, relabelled
from backtracking.calibration.second_nulls import REDUCTION, SecondDesk, mixed, second_null, swept_rows
from backtracking.calibration.studies import SMALL, SMALL_SECOND, outcomes, run_second, run_study
from backtracking.calibration.table import HEADING, tables_as_markdown, write_section
from backtracking.calibration.truths import BY_NAME, SECOND
from tests.measurement.test_outcome import as_arms, completions, events_of

SIZE = asdict(SMALL)
SECOND_SIZE = asdict(SMALL_SECOND)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A small study of one planted model, through the whole first phase."""
    return run_study(BY_NAME["one writer"], "qwen2", tmp_path_factory.mktemp("study"), SMALL)


def test_a_planted_mechanism_goes_through_the_pipeline_to_its_verdicts(finished):
    found = outcomes(finished)
    assert found["H0"] == "contradicted" and found["writes"] == found["onset_step"] == "supported"
    assert not any(BY_NAME["one writer"].is_wrong(claim, outcome) for claim, outcome in found.items())


def test_nobody_looks_at_the_pictures_of_a_calibration(finished):
    assert not [path for kind in ("png", "svg") for path in finished.output_dir.parent.rglob(f"*.{kind}")]
    said = {json.loads(card.read_text())["nothing"] for card in finished.figures.glob("*.json")}
    assert said == {"the run was made without pictures"}


def test_relabelling_keeps_rows_and_labels_of_each_problem(finished):
    events = pd.read_csv(EVENTS.path(finished))
    drawn = relabelled(events, seed=0)
    assert not drawn["condition"].equals(events["condition"])
    pd.testing.assert_series_equal(drawn["is_correct"], events["is_correct"])
    for problem, rows in events.groupby("example_id"):
        counts = rows.groupby([*LABELS, "sample_id"], dropna=False).size()
        again = drawn[drawn["example_id"] == problem].groupby([*LABELS, "sample_id"], dropna=False).size()
        assert sorted(map(str, counts.items())) == sorted(map(str, again.items()))


def test_unchanged_rows_are_judged_as_the_run_judged_them(finished, tmp_path):
    desk = Desk(finished, tmp_path, calibration.VARIANTS)
    here = desk.judge(pd.read_csv(EVENTS.path(finished)))
    found = outcomes(finished)
    del found["onset_step"]  # of another run, whose positions rows do not decide
    kept = {claim: outcome for claim, outcome in found.items() if outcome != "not testable"}
    assert kept and kept == {claim: here[claim] for claim in kept}, "the audit may only withhold"


def test_choices_leave_what_they_say(finished):
    events = pd.read_csv(EVENTS.path(finished))
    assert CHOICES[0] == AS_PLANNED and AS_PLANNED.apply(events) is events
    halves = [set(AnalystChoice(half, None, 0).apply(events)["example_id"]) for half in (0, 1)]
    assert not halves[0] & halves[1] and halves[0] | halves[1] == set(events["example_id"])
    other = AnalystChoice(None, None, 1).apply(events)
    counts = [table["condition"].value_counts().to_dict() for table in (events, other)]
    assert counts[0] == counts[1]
    baseline = other["condition"] == "baseline"
    assert set(other[baseline].index) == set(events[events["condition"] == "baseline"].index)


def outcome_of(study, _folder):
    """What a study would say, without any."""
    claims = {"H1": "supported" if study.seed == 1 else "inconclusive", "error_detection": "supported"}
    return study.model_copy(update={"outcomes": claims, "ever": ["H1"]})


def test_a_calibration_goes_on_where_it_stopped(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(
        calibration, "do", lambda study, folder: (done.append(study.name), outcome_of(study, folder))[1]
    )
    first = calibrate(tmp_path, SMALL_SCOPE, 1, lambda _: None)
    assert len(done) == len(first) == len(set(done))
    again = calibrate(tmp_path, replace(SMALL_SCOPE, nulls=2), 1, lambda _: None)
    assert len(done) == len(first) + 1 == len(again), "only the second null is new"


def study(kind, truth, seed, size=SIZE, **found):
    return PlantedStudy(kind=kind, truth=truth, architecture="qwen2", seed=seed, size=size, **found)


def test_the_table_marks_what_is_against_the_truth_and_counts_false_claims():
    table = tables_as_markdown(
        [
            study("truth", "one writer", 0, outcomes={"H0": "supported", "error_detection": "supported"}),
            study("truth", "null", 0, outcomes={"H0": "inconclusive", "error_detection": "not testable"}),
            *(
                study("relabelled", "null", n, outcomes={"H1": "supported" if n < 2 else "inconclusive"})
                for n in range(40)
            ),
            study("analyst", "null", 0, ever=["format_effect"]),
            *(
                study("second", SECOND[0].name, n, outcomes={"turned_down": "contradicted"}, size=SECOND_SIZE)
                for n in range(2)
            ),
            study("mixed", SECOND[0].name, 0, outcomes={"turned_down": "inconclusive"}),
            study("second analyst", SECOND[0].name, 0, ever=["turned_down"]),
        ]
    )
    assert "| one writer | qwen2 | 1 × 24 | **yes (false)** | yes |" in table
    assert "| one writer | H0 | contradicted | 0 of 1 (≥ 0%) |" in table
    assert "| H1 | – | 2 of 40 (≤ 17%) | 0 of 1 (≤ 98%) |" in table
    assert f"| {SECOND[0].name} | qwen2 | 2 × 12 | no 2 |" in table
    assert "| turned_down | – | 0 of 1 (≤ 98%) | 1 of 1 (≤ 100%) |" in table
    assert "| writes | – | – | – |" in table, "rows drawn again say nothing about the scan"
    assert "| format_effect | – | 0 of 40 (≤ 9%) | 1 of 1 (≤ 100%) |" in table


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A small study of Phase 2 on the reasoner that ships."""
    return run_second(SECOND[0], tmp_path_factory.mktemp("second"), SMALL_SECOND, seed=0)


def test_phase_2_goes_from_problems_to_its_verdicts(swept):
    found = outcomes(swept)
    assert set(REDUCTION) <= set(found)
    assert not any(SECOND[0].is_wrong(claim, outcome) for claim, outcome in found.items())


def test_mixed_arms_keep_rows_and_the_number_of_each_arm(swept):
    rows = swept_rows(swept)
    assert {"baseline"} < set(rows["arm"])
    drawn = mixed(rows, seed=0)
    assert not drawn["arm"].equals(rows["arm"])
    pd.testing.assert_series_equal(drawn["is_correct"], rows["is_correct"])
    for problem in rows["example_id"].unique():
        mine = [table.loc[table["example_id"] == problem, "arm"].value_counts() for table in (rows, drawn)]
        assert mine[0].to_dict() == mine[1].to_dict()


def test_a_real_reduction_is_found_and_a_mixed_one_is_not(tmp_path):
    """The same rows: as they are, an arm checks no right step; mixed, none does anything."""
    events = events_of(*(completions(arm, wrong=0.98, right=rate, problems=200) for arm, rate in
                         (("baseline", 0.45), ("calm", 0.02), ("same", 0.45))), problems=200)  # fmt: skip
    rows = as_arms(events).assign(condition=lambda table: table["arm"])
    assert SecondDesk(tmp_path / "desk").confirmed(rows)["turned_down"] == "supported"
    planned, ever = second_null(rows, tmp_path / "desk", 0, partial=True)
    assert planned["turned_down"] != "supported" and ever <= set(REDUCTION)


def test_the_section_is_replaced_and_the_rest_of_the_page_stays(tmp_path):
    page = tmp_path / "claims.md"
    page.write_text(f"# Claims\n\nRules.\n\n{HEADING}\n\nold\n\n## After\n\nkept\n")
    for table in ("first\n", "new\n"):
        write_section(page, table)
    assert page.read_text() == f"# Claims\n\nRules.\n\n{HEADING}\n\nnew\n\n## After\n\nkept\n"
    fresh = tmp_path / "fresh.md"
    fresh.write_text("# Claims\n\nRules.\n")
    write_section(fresh, "new\n")
    assert fresh.read_text() == f"# Claims\n\nRules.\n\n{HEADING}\n\nnew\n"
