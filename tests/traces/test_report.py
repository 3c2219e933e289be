"""What the report of imported traces says of endings, answers and labels, and of what cannot be done."""

import json
import re
from pathlib import Path

import pytest

from backtracking.run import io
from tests.foundation.command import CommandLine

LABELLED = Path(__file__).parents[1] / "text" / "data" / "labelled_traces.jsonl"
ENDINGS = ("stop", "length", "stop", "stop")
TEXTS = (
    "2 + 3 = 6. Wait, no, 2 + 3 = 5. Final: 5",
    "2 + 3 = 6. Wait, so \\boxed{5}.",
    "So it is plenty.",
    "It is 7. Final: 7",
)


@pytest.fixture
def cli(capsys, monkeypatch, tmp_path, no_pictures):
    monkeypatch.chdir(tmp_path)
    return CommandLine(capsys, monkeypatch)


def imported(cli, rows, run="these"):
    Path(f"{run}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert cli("import-traces", f"{run}.jsonl", "-q").code == 0
    return report_of(run)


def report_of(run):
    return Path(f"runs/{run}/reports/backtracking_state_transition_report.md").read_text(encoding="utf-8")


def four_each(problems=8):
    return [
        {"id": f"p{k}", "text": text, "gold": "5", "finish_reason": ending}
        for k in range(problems)
        for text, ending in zip(TEXTS, ENDINGS, strict=True)
    ]


def test_nothing_is_told_that_only_a_model_could_do(cli):
    report = imported(cli, four_each())
    audit, _, _ = report.partition("## Audit")[2].partition("\n## ")
    assert "25.0% of 32 completions of `imported/baseline` are cut" in audit
    assert "import traces written under a higher token limit" in audit
    folded = report.partition("<details>")[2].partition("</details>")[0]
    shown = report.replace(folded, "")
    for words in ("at the cap", "token cap", "generate again", "max_new_tokens", "cannot answer"):
        assert words not in shown, words
    lacks = re.findall(r"\| \*\*not testable\*\* \| missing: ([^|]+) \|", folded)
    assert lacks and not [said for said in lacks if re.match(r"[a-z_]+\.(csv|json)", said)]


def test_a_cut_trace_that_boxed_its_answer_is_right_and_ungraded_ones_are_counted(cli):
    report = imported(cli, four_each())
    events = io.read_csv(Path("runs/these/analysis/backtracking_events.csv"))
    assert events["is_correct"].tolist()[:2] == [True, True] and events["truncated"].tolist()[1]
    assert events["is_correct"].isna().sum() == 8
    assert "few of those have come to an answer" in report
    line = next(line for line in report.splitlines() if line.startswith("- Right answers"))
    assert "Right answers: 50.0% [" in line and "of 32 traces with a gold answer" in line
    assert "8 of these could not be graded" in line and "and count as wrong" in line
    assert "Among those that could: 66.7% [" in line
    all_graded = imported(cli, [row for row in four_each() if row["text"] != TEXTS[2]], "graded")
    assert "of 24 traces with a gold answer; all of them could be graded" in all_graded
    one = imported(cli, [{"text": "Perhaps.", "gold": "5"}, {"text": "Final: 5", "gold": "5"}], "one")
    assert "1 of these could not be graded" in one and "and counts as wrong" in one


def test_the_audit_is_that_of_the_report(cli):
    report = imported(cli, four_each())
    counts = json.loads(cli("audit", "these", "--json").out)["counts"]
    said = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    assert f"whether these numbers can carry claims: {said}" in report
    checks = {check["name"]: check for check in json.loads(cli("audit", "these", "--json").out)["checks"]}
    for name in ("baselines_disagree", "bfloat16_divergence"):
        assert checks[name]["outcome"] == "not applicable", "there is no other run to compare with"


def test_without_gold_answers_the_audit_says_nothing_of_answers(cli):
    imported(cli, [{key: row[key] for key in ("id", "text")} for row in four_each()])
    checks = {check["name"]: check for check in json.loads(cli("audit", "these", "--json").out)["checks"]}
    assert checks["answers_without_digit"]["outcome"] == "not applicable"


def test_answers_are_looked_at_where_there_are_gold_answers_only(cli):
    rows = [row | {"gold": "5" if row["text"] == TEXTS[3] else None} for row in four_each()]
    rows = [row | {"id": f"{row['id']}-{k}"} for k, row in enumerate(rows)]
    for row in rows:
        row["text"] = "Final: seven words" if row["gold"] is None else row["text"]
    imported(cli, rows)
    checks = {check["name"]: check for check in json.loads(cli("audit", "these", "--json").out)["checks"]}
    assert checks["answers_without_digit"]["found"].startswith("0 of 8 answers")


def test_what_labels_show_of_the_detectors_is_in_the_report(cli):
    assert cli("import-traces", LABELLED, "--run-id", "lab", "-q").code == 0
    before = report_of("lab")
    assert "How well onsets are found" not in before and "import-labels" not in before
    assert "`backtracking detection-quality --run-id lab` scores the detectors with them" in before
    said = cli("detection-quality", "--run-id", "lab").out
    assert "229 labelled sentences of 16 problems" in said
    assert "of the labelled sentences alone" in said and "make-report --run-id lab" in said
    cli("make-report", "--run-id", "lab")
    report = report_of("lab")
    table = io.read_csv(Path("runs/lab/analysis/sentence_quality.csv")).set_index(["target", "detector"])
    line = table.loc[("doubt_or_redo", "doubt_or_redo")]
    precision, recall = (
        f"{100 * line[name]:.1f}% [{100 * line[f'{name}_low']:.1f}, {100 * line[f'{name}_high']:.1f}]"
        for name in ("precision", "recall")
    )
    short = f"On 229 labelled sentences, the rules find doubt and redo with precision {precision}"
    assert f"{short} and recall {recall}: see" in report
    section = report.partition("## How well onsets are found")[2].partition("\n## ")[0]
    assert "229 labelled sentences of 16 problems. These shares are of the labelled sentences" in section
    shown = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", section, re.MULTILINE)
    looked_for = {(kind, kind) for kind in ("doubt", "redo")}
    assert set(shown) == looked_for | {key for key in table.index if key[0] == "doubt_or_redo"}
    Path("more.jsonl").write_text(LABELLED.read_text(encoding="utf-8").splitlines()[0], encoding="utf-8")
    rows = json.loads(Path("more.jsonl").read_text(encoding="utf-8"))
    labels = {"id": rows["id"], "sentences": rows["sentences"][:1]}
    Path("labels.jsonl").write_text(json.dumps(labels), encoding="utf-8")
    assert "replaced: " in cli("import-labels", "labels.jsonl", "--run-id", "lab").out
    cli("make-report", "--run-id", "lab")
    stale = report_of("lab")
    assert "so these shares are out of date; run: `backtracking detection-quality" in stale
    assert "the rules find" not in stale
    cli("detection-quality", "--run-id", "lab")
    cli("make-report", "--run-id", "lab")
    assert "out of date" not in report_of("lab") and "the rules find" in report_of("lab")
    Path("runs/lab/analysis/sentence_labels.csv").unlink()
    cli("make-report", "--run-id", "lab")
    assert "the rules find" not in report_of("lab") and "How well onsets are found" not in report_of("lab")


def test_labels_of_the_same_number_and_another_meaning_make_shares_out_of_date(cli):
    imported(cli, four_each())
    labels = [{"id": f"p{k}", "sample": 0, "sentence": "Wait, no,", "label": "aha"} for k in range(8)]
    Path("labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in labels))
    for meaning, is_stale in (("redo", False), ("doubt", True)):
        cli("import-labels", "labels.jsonl", "--run-id", "these", "--map", f"aha={meaning}")
        if not is_stale:
            cli("detection-quality", "--run-id", "these")
        cli("make-report", "--run-id", "these")
        assert ("out of date" in report_of("these")) is is_stale
        assert ("the rules find" in report_of("these")) is not is_stale


def test_each_share_of_the_headline_says_by_itself_what_it_lacks(cli):
    rows = [{"id": f"p{k}", "text": "It is 5. This is odd, let us see."} for k in range(8)]
    imported(cli, rows)
    labels = [{"id": f"p{k}", "sentence": "This is odd, let us see.", "label": "doubt"} for k in range(8)]
    Path("labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in labels))
    cli("import-labels", "labels.jsonl", "--run-id", "these")
    cli("detection-quality", "--run-id", "these")
    cli("make-report", "--run-id", "these")
    line = next(line for line in report_of("these").splitlines() if "the rules find" in line)
    assert "precision unknown (the rules find nothing) and recall 0.0% [" in line and "too few" not in line


def test_labels_drawn_from_a_run_say_how_many_they_are(cli):
    imported(cli, four_each())
    drawn = cli("label-sample", "--run-id", "these", "-n", "20").out
    assert drawn.splitlines()[-1].endswith("run: backtracking detection-quality --run-id these")
    path = Path("runs/these/analysis/label_sample.csv")
    sheet = io.read_csv(path)
    sheet["label"] = ["y" if text.startswith("Wait") else "n" for text in sheet["sentence"]]
    io.write_csv(path, sheet)
    said = cli("detection-quality", "--run-id", "these").out
    turns = int(sheet["label"].eq("y").sum())
    problems = io.read_csv(Path("runs/these/analysis/label_key.csv"))["example_id"].nunique()
    stands = f"20 labelled sentences of {problems} problems, in {turns} of which the writer turns back"
    assert stands in said and "weighted back" in said
    cli("make-report", "--run-id", "these")
    assert stands in report_of("these")
    Path("labels.jsonl").write_text(json.dumps({"id": "p0", "sentence": "It is 7.", "label": "none"}))
    assert cli("import-labels", "labels.jsonl", "--run-id", "these").code == 0
    cli("detection-quality", "--run-id", "these")
    cli("make-report", "--run-id", "these")
    report = report_of("these")
    assert "- On 20 labelled sentences, weighted back to all" in report, "drawn labels are of the whole run"
    assert report.count("Detectors against labels") == 2 and report.count("The sheet asks whether") == 1
    sheet["label"] = "n"
    io.write_csv(path, sheet)
    cli("make-report", "--run-id", "these")
    report = report_of("these")
    assert "- On 1 labelled sentence, the rules find" in report
    assert f"out of date; run: `backtracking detection-quality --run-id these --labels {path}`" in report
    again = cli("label-sample", "--run-id", "these", "-n", "900", "--force").out
    assert ", all there are" in again and again.splitlines()[-1].endswith(f"--run-id these --labels {path}")


def test_few_labels_are_called_few_in_the_report(cli):
    imported(cli, [{"id": "a", "text": "It is 5. Wait, no."}, {"id": "b", "text": "It is 6."}])
    Path("labels.jsonl").write_text(json.dumps({"id": "a", "sentence": "Wait, no.", "label": "redo"}))
    cli("import-labels", "labels.jsonl", "--run-id", "these")
    said = cli("detection-quality", "--run-id", "these").out
    assert "1 labelled sentence of 1 problem: 1 redo" in said and "—*" not in said
    cli("make-report", "--run-id", "these")
    report = report_of("these")
    assert (
        "precision 100.0% (of fewer than 6 problems, too few for any claim) and recall 100.0% (of" in report
    )
    assert "| `redo` | `redo` | 100.0%* | 100.0%* | 100.0%* |" in report and "—*" not in report
    assert "\nThe mark `*`: a share of fewer than 6 problems" in report


def test_accuracy_with_and_without_an_onset_is_of_traces_with_a_gold_answer(cli):
    rows = four_each()
    for row in rows:
        row["gold"] = "5" if row["id"] in ("p0", "p1", "p2") else None
    report = imported(cli, rows)
    groups = json.loads(Path("runs/these/analysis/summary_metrics.json").read_text(encoding="utf-8"))
    sides = groups["backtracking_vs_accuracy"]["imported"]
    with_onset, without = sides["with_backtracking"], sides["without_backtracking"]
    assert (with_onset["total"], with_onset["gold_count"], with_onset["accuracy"]) == (16, 6, 1.0)
    assert (without["total"], without["gold_count"], without["accuracy"]) == (16, 6, 0.0)
    section = report.partition("## Backtracking and accuracy")[2].partition("\n## ")[0]
    assert section.count("], n = 6 |") == 2 and "n = 16 |" not in section
