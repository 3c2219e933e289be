"""Two runs side by side: the differences are those of the rows, and what a run lacks is said."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import confint_proportions_2indep

from backtracking.measurements.statistics import Interval, difference_of_independent, rate
from backtracking.reports.render import as_markdown
from backtracking.reports.two_runs.comparison import compared
from backtracking.reports.two_runs.page import page
from backtracking.run.paths import RunPaths
from backtracking.run.records import GenerationRecord
from tests.explore.conftest import type_command
from tests.report.earlier import write_phase1, write_phase2

PROBLEMS, SAMPLES = 30, 4
CONFIG = """
run: {name: planted, output_dir: runs}
model: {hf_id: bundled}
dataset: {name: tiny_arithmetic, max_examples: 6}
generation: {num_samples_per_prompt: 2}
"""


def write_run(root, run_id, shares, *, settings="", text="{}", verdicts=None, first=0):
    """A run of planted rows: in each problem so many of the samples have an onset, and are right."""
    paths = RunPaths(root / "runs", run_id)
    paths.analysis.mkdir(parents=True)
    paths.config.write_text(CONFIG + settings)
    paths.meta.write_text(json.dumps(META | {"run_id": run_id}))
    rows = [
        {
            "example_id": f"p{first + problem}",
            "sample_id": sample,
            "variant": "baseline_think_newline",
            "condition": "baseline",
            "has_backtracking_strict": sample < share,
            "has_backtracking_relaxed": sample < share,
            "is_correct": sample >= share,
            "completion_tokens": 20 + sample,
            "finish_reason": "stop",
            "truncated": False,
            "has_gold": True,
        }
        for problem, share in enumerate(shares)
        for sample in range(SAMPLES)
    ]
    pd.DataFrame(rows).to_csv(paths.table("backtracking_events.csv"), index=False)
    problems = [
        {"id": f"p{first + k}", "question": text.format(first + k), "answer": "1", "answer_value": "1"}
        for k in range(len(shares))
    ]
    paths.dataset.write_text("".join(json.dumps(problem) + "\n" for problem in problems))
    paths.table("selected_layers.json").write_text(json.dumps({"attn": [5], "mlp": []}))
    if verdicts is not None:
        paths.table("claims.json").write_text(json.dumps({"verdicts": verdicts}))
    return paths


META = {
    "name": "planted", "created": "2026-01-01", "config_source": "by hand", "config_hash": "0",
    "environment": {"git": {"sha": "abc", "dirty": False}, "packages": {"numpy": "2.0"}},
    "seeds": {"run": 0}, "schema": 1, "stages": {},
}  # fmt: skip


@pytest.fixture
def shares():
    generator = np.random.default_rng(3)
    return generator.integers(0, SAMPLES + 1, PROBLEMS), generator.integers(0, SAMPLES + 1, PROBLEMS)


def line(data, metric):
    return next(one for one in data["rates"] if one["metric"] == metric)


def test_the_difference_is_that_of_the_problems_both_ran(tmp_path, shares):
    one, other = write_run(tmp_path, "one", shares[0]), write_run(tmp_path, "other", shares[1])
    found = line(compared(one, other), "backtracking_rate")
    per_problem = (np.asarray(shares[1]) - np.asarray(shares[0])) / SAMPLES
    error = per_problem.std(ddof=1) / math.sqrt(PROBLEMS)
    assert found["paired"] and found["problems"] == PROBLEMS
    assert found["difference"]["value"] == pytest.approx(per_problem.mean())
    assert found["difference"]["high"] - found["difference"]["value"] == pytest.approx(
        2.045 * error, rel=1e-3
    )
    assert found["a"] == found["a_shared"]


def test_problems_that_only_one_run_has_do_not_count_in_the_difference(tmp_path, shares):
    one = write_run(tmp_path, "one", shares[0])
    other = write_run(tmp_path, "other", [*shares[1][:20], *[4] * 10][5:], first=5)
    found = line(compared(one, other), "backtracking_rate")
    theirs = np.asarray([*shares[1][:20], *[4] * 10][5:])
    assert found["problems"] == 25
    assert found["difference"]["value"] == pytest.approx((theirs - shares[0][5:]).mean() / SAMPLES)
    assert found["a"]["value"] == pytest.approx(np.mean(shares[0]) / SAMPLES)
    assert found["a_shared"]["value"] == pytest.approx(np.mean(shares[0][5:]) / SAMPLES)


def test_equal_ids_of_other_problems_are_not_paired(tmp_path, shares):
    one = write_run(tmp_path, "one", shares[0], text="What is {}+1?")
    other = write_run(tmp_path, "other", shares[1], text="What is {}+2?")
    found = line(compared(one, other), "backtracking_rate")
    assert not found["paired"] and found["problems"] == 0
    assert found["difference"]["low"] < found["difference"]["value"] < found["difference"]["high"]
    assert "independent runs" in as_markdown(page(compared(one, other)))


@pytest.fixture
def written(tmp_path, shares):
    """Two runs of equal problems, and a way to write their completions."""
    runs = [write_run(tmp_path, name, shares[0]) for name in ("one", "other")]

    def write(run, *rows, told="said"):
        path = runs[run].generations / "baseline_think_newline" / "baseline.jsonl"
        path.parent.mkdir(parents=True)
        path.write_text(
            "".join(
                GenerationRecord(
                    example_id=example, sample_id=sample, variant="baseline_think_newline",
                    condition="baseline", prompt="", prompt_ids=[1], completion=told,
                    completion_ids=[ord(letter) for letter in told], finish_reason="stop", prompt_tokens=1,
                    completion_tokens=len(told), gen_params={}, seed_key="",
                ).model_dump_json()
                + "\n"
                for example, sample in rows
            )
        )  # fmt: skip
        return compared(*runs)

    return write


def test_completions_that_are_the_same_in_both_are_counted(written):
    written(0, ("p0", 0), ("p0", 1), ("p1", 0), ("p1", 1))
    found = written(1, ("p0", 0), ("p1", 0), ("p9", 3))
    (counts,) = found["completions"]
    assert (counts["a"], counts["b"], counts["both"], counts["same"]) == (4, 3, 2, 2)
    assert "The 2 completions that both have are the same, token for token." in as_markdown(page(found))


def test_a_run_whose_completions_are_a_part_of_the_others_says_so(written):
    written(0, ("p0", 0), ("p0", 1), ("p1", 0), ("p1", 1))
    said = as_markdown(page(written(1, ("p0", 0), ("p1", 0))))
    assert "All 2 completions of B are among the 4 of A, token for token" in said
    assert "only from completions that B does not have" in said


def test_other_completions_of_the_same_samples_are_not_called_the_same(written):
    written(0, ("p0", 0), ("p0", 1))
    found = written(1, ("p0", 0), ("p0", 1), told="something else")
    assert found["completions"][0]["same"] == 0
    assert "token for token" not in as_markdown(page(found))


def test_independent_differences_are_newcombes_where_completions_are_independent():
    counts, sizes = (180, 150), (400, 500)
    sides = [rate(np.repeat([1, 0], [k, n - k]), np.ones(n)) for k, n in zip(counts, sizes, strict=True)]
    found = difference_of_independent(*sides)
    expected = confint_proportions_2indep(*[x for pair in zip(counts, sizes, strict=True) for x in pair],
                                          method="newcomb")  # fmt: skip
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-3)


def test_independent_differences_cover_the_truth():
    generator, hits = np.random.default_rng(0), 0
    for _ in range(400):
        sides = []
        for mean, problems in ((0.3, 25), (0.5, 60)):
            chance = generator.beta(2 * mean, 2 * (1 - mean), problems)
            sides.append(rate(generator.binomial(4, chance), np.full(problems, 4)))
        found = difference_of_independent(*sides)
        hits += found.low <= -0.2 <= found.high
    assert 0.92 <= hits / 400 <= 0.99


def test_what_has_no_interval_gives_none():
    found = difference_of_independent(Interval(0.5, 0.4, 0.6), Interval(0.2, math.nan, math.nan))
    assert found.value == pytest.approx(0.3) and math.isnan(found.low) and math.isnan(found.high)


def test_a_run_does_not_differ_from_itself(tmp_path, shares):
    one = write_run(tmp_path, "one", shares[0], verdicts=[VERDICT])
    data = compared(one, one)
    assert not data["settings"] and not data["made_with"] and not data["packages"]
    assert {found["difference"]["value"] for found in data["rates"]} == {0.0}
    assert data["a"]["name"] == str(one.root)


VERDICT = {"key": "H1", "claim": "H1: few", "outcome": "supported", "because": "so"}


def test_settings_code_and_verdicts_that_differ_are_shown(tmp_path, shares):
    settings = "phase2: {subset_sweep: {subsets: {mlp_late_cluster: [[mlp, 4]], mlp_27_only: [[mlp, 5]]}}}\n"
    one = write_run(tmp_path, "one", shares[0], verdicts=[VERDICT])
    other = write_run(
        tmp_path, "other", shares[0], settings=settings, verdicts=[VERDICT | {"outcome": "inconclusive"}]
    )
    text = other.config.read_text().replace("num_samples_per_prompt: 2", "num_samples_per_prompt: 4")
    other.config.write_text(text)
    other.meta.write_text(other.meta.read_text().replace('"abc"', '"def"').replace("2.0", "2.1"))
    data = compared(one, other)
    assert {
        (found["key"], found["a"], found["b"]) for found in data["settings"] if found["a"] is not None
    } == {("generation.num_samples_per_prompt", 2, 4)}
    assert any(found["key"].startswith("phase2") and found["b"] for found in data["settings"])
    assert [(found["key"], found["a"], found["b"]) for found in data["made_with"]] == [("code", "abc", "def")]
    assert data["packages"] == [{"key": "numpy", "a": "2.0", "b": "2.1"}]
    shown = as_markdown(page(data))
    assert "**H1: few**" in shown and "Different verdicts: 1" in shown


def test_what_neither_run_recorded_is_not_called_the_same(tmp_path):
    data = compared(write_phase1(tmp_path), write_phase2(tmp_path))
    _, _, made_with = as_markdown(page(data)).partition("## Code, model and data")
    assert "Not compared: A and B recorded none of them." in made_with
    assert "No difference" not in made_with


def test_earlier_runs_are_compared_as_far_as_they_go(tmp_path, shares):
    earlier, later = write_phase1(tmp_path), write_run(tmp_path, "later", shares[0])
    data = compared(earlier, later)
    lacking = " ".join(data["lacking"]["a"])
    assert (
        "verdicts" in lacking and "matched by id alone" in lacking and "an earlier implementation" in lacking
    )
    assert {found["metric"] for found in data["rates"]} >= {"backtracking_rate", "accuracy"}
    assert {(found["component"], found["layer"]) for found in data["components"]} == {("attn", 5), ("mlp", 4)}
    assert not any(found["key"].startswith("analysis") for found in data["settings"])


def test_runs_that_kept_rates_alone_have_no_intervals(tmp_path):
    (tmp_path / "x").mkdir()
    one, other = write_phase2(tmp_path), write_phase2(tmp_path / "x")
    table = pd.read_csv(other.table("subset_sweep_results.csv"))
    table["accuracy"] += 0.125
    table.to_csv(other.table("subset_sweep_results.csv"), index=False)
    data = compared(one, other)
    found = next(
        one for one in data["rates"] if (one["condition"], one["metric"]) == ("mlp_27_only", "accuracy")
    )
    assert found["difference"] == {"value": pytest.approx(0.125), "low": None, "high": None}
    assert "differences have no intervals" in as_markdown(page(data))
    assert any("kept rates" in what for what in data["lacking"]["a"])


def test_a_run_without_anything_says_so(tmp_path, shares):
    one, bare = write_run(tmp_path, "one", shares[0]), write_phase1(tmp_path, without=TABLES)
    data = compared(one, bare)
    assert data["rates"] == [] and data["components"] == [] and data["verdicts"] == []
    lacking = " ".join(data["lacking"]["b"])
    assert "rates" in lacking and "selected components" in lacking and "verdicts" in lacking
    assert "No condition is in both runs" in as_markdown(page(data))


TABLES = (
    "backtracking_events.csv",
    "condition_comparison.csv",
    "formatting_summary.csv",
    "selected_layers.json",
)


def test_the_command_prints_json_and_writes_a_page(tmp_path, shares, capsys, monkeypatch):
    write_run(tmp_path, "one", shares[0]), write_run(tmp_path, "other", shares[1], text="<b>{}")
    monkeypatch.chdir(tmp_path)
    type_command("compare", "one", "other", "--json")
    data = json.loads(capsys.readouterr().out)
    assert data["a"]["run_id"] == "one" and line(data, "accuracy")["difference"]["value"] is not None
    type_command("compare", "one", "runs/other")
    assert "accuracy" in capsys.readouterr().out
    type_command("compare", "one", "other", "--html", "both.html")
    text = (tmp_path / "both.html").read_text(encoding="utf-8")
    assert "<table" in text and "<script" not in text
