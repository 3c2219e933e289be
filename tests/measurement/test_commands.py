"""The measuring commands on a run whose completions, mistakes and onsets are planted."""

import json
import random
import re
from fractions import Fraction
from io import StringIO

import pandas as pd
import pytest

import backtracking
from backtracking.config.schema import ModelConfig
from backtracking.errors import UserError
from backtracking.model.loading import load_tokenizer
from backtracking.organism.task import tiny_problems
from backtracking.organism.traces import FINAL, TRIGGER, write_trace
from backtracking.run import io
from backtracking.run.records import GenerationRecord, Problem
from tests.foundation.command import CommandLine, assert_one_clear_message
from tests.foundation.study import forget

VARIANTS = ("baseline_think_newline", "think_same_line", "no_think_tags")


@pytest.fixture
def cli(capsys, monkeypatch):
    return CommandLine(capsys, monkeypatch)


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(ModelConfig())


def trace_record(tokenizer, problem, variant, condition, sample, rng):
    text = write_trace(problem, variant, rng).text
    ids = [*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id]
    return GenerationRecord(
        example_id=problem.id,
        sample_id=sample,
        variant=variant,
        condition=condition,
        prompt="",
        prompt_ids=[1, 2],
        completion=text,
        completion_ids=ids,
        finish_reason="stop",
        prompt_tokens=2,
        completion_tokens=len(ids),
        gen_params={},
        seed_key="",
    )


@pytest.fixture
def run(cli, tmp_path, monkeypatch, tokenizer):
    """A run folder up to its completions, all of them written by hand."""
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "small.yaml"
    config.write_text(
        "run: {name: small, run_id: small}\nmodel: {hf_id: bundled}\n"
        "dataset: {name: tiny_arithmetic, max_examples: 15}\ngeneration: {num_samples_per_prompt: 2}\n"
    )
    assert cli("prepare-data", "-c", config, "-q").code == 0
    folder = tmp_path / "runs" / "small"
    ids = {row.id: row for row in io.read_jsonl(folder / "dataset.jsonl", Problem, made_by="")}
    problems = [problem for problem in tiny_problems("test", 15, 0) if problem.id in ids]
    assert len(problems) == 15
    rng = random.Random(0)
    for variant in VARIANTS:
        for condition in ("baseline", "targeted_ablation"):
            rows = [
                trace_record(tokenizer, p, variant, condition, k, rng) for p in problems for k in range(2)
            ]
            io.write_jsonl(folder / "generations" / variant / f"{condition}.jsonl", rows)
    return folder


def test_detect_events_measures_what_was_planted(cli, run):
    outcome = cli("detect-events", "--run-id", "small", "-q")
    assert outcome.code == 0, outcome.err
    events = pd.read_csv(run / "analysis" / "backtracking_events.csv", dtype=str, keep_default_na=False)
    gold = {row.id: row.answer_value for row in io.read_jsonl(run / "dataset.jsonl", Problem, made_by="")}
    planted = {}
    for path in (run / "generations").rglob("*.jsonl"):
        for row in io.read_jsonl(path, GenerationRecord, made_by=""):
            final = FINAL.search(row.completion)
            key = (row.example_id, row.sample_id, row.variant, row.condition)
            planted[key] = (final.group(1) or final.group(2), row.completion)
    assert len(events) == len(planted) == 180
    for event in events.to_dict("records"):
        key = (event["example_id"], int(event["sample_id"]), event["variant"], event["condition"])
        answer, text = planted[key]
        assert event["predicted_answer"] == answer
        assert event["is_correct"] == str(answer == gold[event["example_id"]])
        assert event["has_backtracking_strict"] == str(bool(TRIGGER.search(text)))
    summary = json.loads((run / "analysis" / "summary_metrics.json").read_text())
    assert set(summary["groups"]) == set(summary["backtracking_vs_accuracy"]) & set(VARIANTS) == set(VARIANTS)
    coupling = pd.read_csv(run / "analysis" / "error_coupling.csv")
    assert coupling.loc[0, ["variant", "condition"]].tolist() == [VARIANTS[0], "baseline"]
    assert coupling.loc[0, "p_onset_after_wrong"] > coupling.loc[0, "p_onset_after_right"]
    curve = pd.read_csv(run / "analysis" / "accuracy_by_cap.csv")
    whole = curve[(curve["cap"] == curve["cap"].max()) & (curve["condition"] == "baseline")].set_index(
        "variant"
    )
    for variant in VARIANTS:
        rows = events[(events["variant"] == variant) & (events["condition"] == "baseline")]
        assert whole.loc[variant, "accuracy"] == pytest.approx((rows["is_correct"] == "True").mean())
    families = json.loads((run / "analysis" / "token_families.json").read_text())
    assert set(families["wait"].values()) >= {"Wait"}


def test_tables_of_formats_and_conditions(cli, run):
    for command in (
        ["detect-events"],
        ["formatting-sweep"],
        ["compare-conditions", "--variant", VARIANTS[1]],
    ):
        assert cli(*command, "--run-id", "small", "-q").code == 0
    table = pd.read_csv(run / "analysis" / "formatting_summary.csv")
    assert tuple(table["variant"]) == VARIANTS
    conditions = pd.read_csv(run / "analysis" / "condition_comparison.csv")
    assert conditions[["variant", "condition"]].to_numpy().tolist() == [
        [VARIANTS[1], "baseline"],
        [VARIANTS[1], "targeted_ablation"],
    ]
    for name in (
        "formatting_effect_on_backtracking",
        "backtracking_rate_by_condition",
        "backtracking_vs_accuracy",
    ):
        assert (run / "figures" / f"{name}.png").stat().st_size > 5000


def test_completions_of_an_unknown_problem_are_left_out_and_told(cli, run):
    dataset = run / "dataset.jsonl"
    forget(run, "dataset.jsonl")
    first, *others = map(json.loads, dataset.read_text().splitlines())
    dataset.write_text("".join(f"{json.dumps(problem)}\n" for problem in others))
    outcome = cli("detect-events", "--run-id", "small")
    assert outcome.code == 0, outcome.err
    assert re.search(r"left out: \d+, of 1 problem\n", outcome.err)
    events = pd.read_csv(run / "analysis/backtracking_events.csv")
    assert set(events["example_id"]) == {problem["id"] for problem in others}
    dataset.write_text(
        "".join(f"{json.dumps(problem | {'id': problem['id'] + '!'})}\n" for problem in others)
    )
    assert_one_clear_message(
        cli("detect-events", "--run-id", "small"), "belongs to a problem", first["id"], "by problem id"
    )


def test_completions_of_another_tokenizer_are_refused(cli, run):
    path = run / "generations" / VARIANTS[0] / "baseline.jsonl"
    rows = [row.model_copy(update={"completion_ids": row.completion_ids[1:]})
            for row in io.read_jsonl(path, GenerationRecord, made_by="")]  # fmt: skip
    io.write_jsonl(path, rows)
    assert_one_clear_message(cli("detect-events", "--run-id", "small"), "not what its token ids decode to")


def make_earlier_run(run, config_text):
    """A run folder as the earlier implementation left it: events, config and a meta.json of another shape."""
    earlier = run.parent / "earlier"
    (earlier / "analysis").mkdir(parents=True)
    events = pd.read_csv(run / "analysis" / "backtracking_events.csv")
    events.iloc[:, :17].to_csv(earlier / "analysis" / "backtracking_events.csv", index=False)
    (earlier / "config_resolved.yaml").write_text(config_text)
    (earlier / "meta.json").write_text("{}")
    return events[events["condition"] == "baseline"]


def test_metrics_v2_needs_the_events_table_only(cli, run, tmp_path):
    assert cli("detect-events", "--run-id", "small", "-q").code == 0
    baseline = make_earlier_run(run, "generation:\n  max_new_tokens: 40\n")
    config = tmp_path / "phase2.yaml"
    config.write_text(
        (tmp_path / "small.yaml").read_text().replace("small", "second")
        + "phase2: {subset_sweep: {subsets: {mlp_late_cluster: [[mlp, 1]], mlp_27_only: [[mlp, 1]]}}}\n"
    )
    outcome = cli("metrics-v2", "-c", config, "--phase1-run-id", "earlier", "-q")
    assert outcome.code == 0, outcome.err
    metrics = json.loads((tmp_path / "runs" / "second" / "analysis" / "metrics_v2.json").read_text())
    summary = metrics["baseline_only_summary"]
    assert summary["backtracking_rate"] == pytest.approx(baseline["has_backtracking_strict"].mean())
    assert summary["truncation_rate"] == pytest.approx((baseline["completion_tokens"] >= 40).mean())


@pytest.mark.parametrize("config", [[], ["-c", "small.yaml"]])
def test_an_earlier_runs_tables_know_its_cap_and_forgive_its_keys(cli, run, config):
    assert cli("detect-events", "--run-id", "small", "-q").code == 0
    settings = (
        (run / "config_resolved.yaml").read_text().replace("generation:\n", "generation:\n  top_a: 1\n")
    )
    cap = settings.index("max_new_tokens: ")
    settings = settings[:cap] + "max_new_tokens: 40" + settings[settings.index("  #", cap) :] + "legacy: {}\n"
    baseline = make_earlier_run(run, settings.replace('run_id: "small"', 'run_id: "earlier"'))
    for command in (["formatting-sweep"], ["compare-conditions", "--variant", VARIANTS[0]], ["make-report"]):
        outcome = cli(*command, "--run-id", "earlier", *config)
        assert outcome.code == 0, outcome.err
    rates = pd.read_csv(run.parent / "earlier" / "analysis" / "formatting_summary.csv").set_index("variant")
    cut = baseline["completion_tokens"] >= 40
    for variant, rows in cut.groupby(baseline["variant"]):
        assert rates.loc[variant, "truncation_rate"] == pytest.approx(rows.mean())


def test_prompts_shows_every_token(cli, run, tokenizer):
    outcome = cli("prompts", "--run-id", "small", "--variant", VARIANTS[0], "--example", "3", "--ids")
    assert outcome.code == 0, outcome.err
    header, *_ = outcome.out.splitlines()
    listed = [line.split(maxsplit=2) for line in outcome.out.splitlines() if line[:6].strip().isdigit()]
    assert header.endswith(f"{len(listed)} tokens")
    ids = [int(token) for _, token, _ in listed]
    assert tokenizer.decode(ids[-2:]) == "<think>\n"
    assert outcome.out.count("│") == len(ids) - 1
    for variant in VARIANTS:
        assert f"{variant}, problem" in cli("prompts", "--run-id", "small").out


def test_prompts_of_an_unknown_problem(cli, run):
    assert_one_clear_message(
        cli("prompts", "--run-id", "small", "--example", "99"), "no problem '99'", "from 0 to 14"
    )


@pytest.mark.parametrize(
    ("text", "verdict", "rule", "read"),
    [
        ("She makes $18 a day.", "right: $18", "last_number", "makes »$18« a day"),
        ("No.\nSo \\boxed{20}", "wrong: 20", "boxed", "⏎So »\\boxed{20}«"),
        ("It is at least 18.", "ungraded: no answer", "hedged", "»It is at least 18«"),
        ("Hello", "ungraded: no answer", "none", ""),
    ],
)
def test_a_text_of_ones_own_is_graded_in_one_line(cli, monkeypatch, text, verdict, rule, read):
    outcome = cli("grade", text, "--gold", "18")
    assert outcome.out.startswith(f"{verdict}, by rule {rule}\n") and read in outcome.out
    assert ("characters" in outcome.out) == bool(read)
    found = backtracking.judge_answer(text, 18)
    assert found.verdict == verdict.partition(":")[0] and found.answer.rule == rule
    if read:
        shown = read.partition("»")[2].partition("«")[0]
        assert text[found.answer.start : found.answer.end] == shown
    monkeypatch.setattr("sys.stdin", StringIO(text))
    assert cli("grade", "-", "--gold", "18").out == outcome.out


@pytest.mark.parametrize(
    ("gold", "why"),
    [
        ("abc", "neither a number nor a formula"),
        ("1,5", "different numbers in different places"),
        ("1.200,50", "different numbers in different places"),
        ("", "it is empty"),
        ("N/A", "letters with a slash"),
        ("n/a", "letters with a slash"),
        ("I/O", "letters with a slash"),
        ("18 or 20", "several answers"),
        ('{"value": 18}', "a mapping"),
        ("{'value': 18}", "a mapping"),
        ("B", "a letter; give the number it stands for"),
        ("(C)", "a letter; give the number it stands for"),
        ("\\text{(D)}", "a letter; give the number it stands for"),
        (float("nan"), "neither a number nor a formula"),
        (float("inf"), "neither a number nor a formula"),
        (None, "neither a number nor a formula"),
    ],
)
def test_a_gold_answer_that_cannot_be_read_is_a_mistake(cli, gold, why):
    with pytest.raises(UserError) as caught:
        backtracking.judge_answer("She makes $18 a day.", gold)
    assert why in caught.value.why
    if isinstance(gold, str):
        assert_one_clear_message(cli("grade", "She makes $18 a day.", "--gold", gold), repr(gold), why)


@pytest.mark.parametrize(
    ("text", "gold"),
    [
        ("\\boxed{18}", 18),
        ("1.50 dollars", Fraction(3, 2)),
        ("\\boxed{1,250}", "1,250"),
        ("\\boxed{\\{1,2\\}}", "\\{1,2\\}"),
        ("\\boxed{1, 2}", "1, 2"),
        ("\\boxed{2\\pi}", "2\\pi"),
        ("\\boxed{2xy}", "2xy"),
        ("\\boxed{N}", "N"),
        ("\\boxed{x}", "x"),
        ("\\boxed{a/b}", "a/b"),
    ],
)
def test_numbers_lists_and_formulas_are_gold_answers(text, gold):
    assert backtracking.judge_answer(text, gold).verdict == "right"


@pytest.mark.parametrize("given", [5, None, b"18"])
def test_what_is_no_text_is_a_mistake(given):
    with pytest.raises(UserError, match="no text but"):
        backtracking.judge_answer(given, 18)


def test_a_pattern_that_is_none_is_a_mistake():
    with pytest.raises(UserError, match="not a regular expression"):
        backtracking.judge_answer("18", 18, answer_regex="(")


@pytest.mark.parametrize(
    ("text", "is_path"),
    [("nofile.txt", True), ("out/traces.jsonl", True), ("./answer", True), ("~/answer", True)]
    + [(text, False) for text in ("18.", "1/2", "Final: 18.", "\\frac{a}{b.c}", "18.5", "It is 18.Wait")],
)
def test_a_text_that_looks_like_a_path_is_told_to_be_a_text(cli, text, is_path):
    assert ("is graded as a text" in cli("grade", text, "--gold", "18").err) is is_path


def test_labels_from_sheet_to_scores(cli, run):
    assert_one_clear_message(
        cli("detection-quality", "--run-id", "small"),
        "run small has no labels",
        "backtracking import-labels LABELS.jsonl --run-id small",
        "backtracking label-sample --run-id small",
    )
    assert cli("label-sample", "--run-id", "small", "-n", "60").code == 0
    path = run / "analysis" / "label_sample.csv"
    sheet = pd.read_csv(path, dtype=str, keep_default_na=False)
    assert len(sheet) == 60
    assert_one_clear_message(cli("detection-quality", "--run-id", "small"), "no sentence is labelled yet")
    triggers = ("Wait", "Hold on", "Actually", "But wait")
    sheet["label"] = ["y" if text.startswith(triggers) else "n" for text in sheet["sentence"]]
    sheet.to_csv(path, index=False)
    assert_one_clear_message(cli("label-sample", "--run-id", "small"), "has labels in it")
    outcome = cli("detection-quality", "--run-id", "small")
    assert outcome.code == 0, outcome.err
    quality = pd.read_csv(run / "analysis" / "detection_quality.csv").set_index("detector")
    assert quality.loc["strict", ["precision", "recall"]].tolist() == [1.0, 1.0]
    assert quality.loc["strict", "precision_low"] < 1.0
    key = pd.read_csv(run / "analysis" / "label_key.csv", dtype={"example_id": str})
    assert quality.loc["strict", "precision_problems"] == key.loc[key["strict"], "example_id"].nunique()
    yes = key.loc[(sheet["label"] == "y").to_numpy(), "example_id"].nunique()
    assert quality.loc["strict", "recall_problems"] == yes
    assert ("too few for any claim" in outcome.out) == (quality.filter(like="_problems") < 6).any(axis=None)
