"""import-traces and import-labels: files of many shapes, to tables and a report; hostile text included."""

import json
import zipfile
from itertools import permutations
from pathlib import Path

import pandas as pd
import pytest

from backtracking.errors import UserError
from backtracking.reports.imported import NEEDS
from backtracking.run import io
from backtracking.run.records import GenerationRecord
from backtracking.sources.labels import LabelledSentence, label_map, place_sentences, read_sentences
from backtracking.sources.rows import read_rows
from backtracking.sources.trace import Columns
from tests.conftest import shared_data
from tests.foundation.command import CommandLine, assert_one_clear_message

LABELLED = Path(__file__).parents[1] / "text" / "data" / "labelled_traces.jsonl"
PLAIN = [
    {"question": "2 + 3?", "response": "<think>\n2 + 3 = 6. Wait, no, 2 + 3 = 5.\n</think>\nFinal: 5"},
    {"question": "2 + 3?", "response": "It is 5. But is that right? I'm not sure."},
    {"question": "4 + 4?", "response": "4 + 4 = 8."},
]


@pytest.fixture
def cli(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return CommandLine(capsys, monkeypatch)


def write_jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def generations(run):
    path = Path("runs") / run / "generations/imported/baseline.jsonl"
    return list(io.read_jsonl(path, GenerationRecord, made_by=""))


def events(run):
    return io.read_csv(Path("runs") / run / "analysis/backtracking_events.csv")


def test_one_command_from_plain_traces_to_a_report(cli, tmp_path):
    outcome = cli("import-traces", write_jsonl(tmp_path / "plain.jsonl", PLAIN))
    assert outcome.code == 0, outcome.err
    assert "3 traces of 2 problems" in outcome.out and "no gold answer" in outcome.out
    table = events("plain")
    assert table["has_redo"].tolist() == [True, False, False]
    assert table["has_doubt"].tolist() == [False, True, False]
    assert table["onset_char"].tolist()[0] == PLAIN[0]["response"].index("Wait")
    assert (table[["onset_token_in_completion", "pred_pos_in_full", "completion_tokens"]] == -1).all(
        axis=None
    )
    assert table["is_correct"].isna().all()
    metrics = json.loads(Path("runs/plain/analysis/metrics_v2.json").read_text())["baseline_only_summary"]
    assert metrics["doubt_rate"] == metrics["redo_rate"] == pytest.approx(1 / 3)
    assert metrics["accuracy_of_all"] is None and metrics["redos_per_1k_tokens"] is None
    report = Path("runs/plain/reports/backtracking_state_transition_report.md").read_text(encoding="utf-8")
    assert "| Doubt | Redo |" in report and "33.3%" in report
    assert "traces imported from elsewhere, no model" in report
    assert "A model to look into" in report and "Run: backtracking logit-lens" not in report


def beginning_and_findings(run):
    """What a report says before its findings, of these what is seen at once, and what opens on demand."""
    report = Path(f"runs/{run}/reports/backtracking_state_transition_report.md").read_text(encoding="utf-8")
    beginning, _, rest = report.partition("\n## Findings\n")
    shown, _, folded = rest.partition("\n## ")[0].partition("<details>")
    return beginning, shown, folded


def test_a_report_of_traces_begins_with_what_can_be_said_of_them(cli, tmp_path):
    cli("import-traces", write_jsonl(tmp_path / "bare.jsonl", [{"text": r["response"]} for r in PLAIN]), "-q")
    beginning, shown, folded = beginning_and_findings("bare")
    row = io.read_csv(Path("runs/bare/analysis/formatting_summary.csv")).iloc[0]
    for kind in ("doubt", "redo"):
        low, high = (100 * row[f"{kind}_rate_{end}"] for end in ("low", "high"))
        assert f"**{kind.capitalize()}** in 33.3% [{low:.1f}, {high:.1f}]" in beginning
    assert "3 traces of 3 problems. With fewer than 6 problems" in beginning
    assert "How the traces ended is not known" in beginning and "No trace came with a gold" in beginning
    assert "cut at the token cap" not in beginning and "not testable" not in beginning
    claims = json.loads(Path("runs/bare/analysis/claims.json").read_text(encoding="utf-8"))["verdicts"]
    assert {claim["key"] for claim in claims} == set(NEEDS)
    for claim in claims:
        assert claim["outcome"] == "not testable" and f"| {claim['claim']} |" not in shown
        assert claim["claim"] in shown and claim["because"] in folded and claim["rule"] in folded
        assert NEEDS[claim["key"]] in shown


def test_a_claim_that_traces_can_judge_is_shown_with_its_verdict(cli, tmp_path, no_pictures):
    right, wrong = ("{} Final: 5", "{} Final: 6")
    rows = [
        {"id": f"p{k}", "question": f"{k}?", "answer": "5", "response": text.format(start)}
        for k in range(20)
        for text, start in (
            (right, "So."),
            (wrong, "So."),
            (wrong, "Wait, no."),
            ((right, wrong)[k % 2], "Wait,"),
        )
    ]
    cli("import-traces", write_jsonl(tmp_path / "gold.jsonl", rows), "-q")
    beginning, shown, folded = beginning_and_findings("gold")
    claim = "Backtracking goes with lower accuracy within a problem"
    assert f"| {claim} | **inconclusive**" in shown or f"| {claim} | **supported**" in shown
    assert claim not in folded and "H1" in folded
    assert "Right answers: 37.5% [" in beginning and "of 80 traces with a gold answer" in beginning


def test_what_needs_a_model_says_so(cli, tmp_path, no_pictures):
    cli("import-traces", write_jsonl(tmp_path / "plain.jsonl", PLAIN), "-q")
    assert_one_clear_message(cli("logit-lens", "--run-id", "plain"), "this run has no model")


def test_a_tokenizer_gives_token_positions(cli, tmp_path, no_pictures):
    path = write_jsonl(tmp_path / "plain.jsonl", PLAIN)
    assert cli("import-traces", path, "--tokenizer", shared_data() / "r1_tokenizer", "-q").code == 0
    row = events("plain").iloc[0]
    assert (row["onset_token_text"], row["onset_token_id"]) == (" Wait", 13824)
    record = generations("plain")[0]
    assert record.completion_ids[row["onset_token_in_completion"]] == 13824


def test_gold_answers_are_graded_and_rows_without_one_are_not_wrong(cli, tmp_path, no_pictures):
    rows = [
        PLAIN[0] | {"answer": "2 + 3 = 5\n#### 5"},
        PLAIN[2] | {"answer": "9"},
        PLAIN[1] | {"question": "another?", "answer": None},
    ]
    cli("import-traces", write_jsonl(tmp_path / "gold.jsonl", rows), "-q")
    assert events("gold")["is_correct"].tolist()[:2] == [True, False]
    line = io.read_csv(Path("runs/gold/analysis/formatting_summary.csv")).iloc[0]
    assert (line["total"], line["gold_count"], line["accuracy"]) == (3, 2, 0.5)


@pytest.mark.parametrize("given", [(), ("--gold", "answer")])
def test_the_first_row_may_lack_what_others_have(cli, tmp_path, no_pictures, given):
    rows = [
        {"id": "a", "response": "Final: 4"},
        {"id": "b", "response": "Final: 5", "answer": "5", "finish_reason": "stop"},
        {"id": "c", "response": "Final: 6", "answer": "7", "finish_reason": "length"},
    ]
    cli("import-traces", write_jsonl(tmp_path / "late.jsonl", rows), "-q", *given)
    line = io.read_csv(Path("runs/late/analysis/formatting_summary.csv")).iloc[0]
    assert (line["total"], line["gold_count"], line["accuracy"]) == (3, 2, 0.5)
    assert [row.ending for row in generations("late")] == ["unknown", "stop", "length"]
    beginning, _, _ = beginning_and_findings("late")
    assert "of 2 traces with a gold answer" in beginning
    # A problem without a gold answer is one of the run's problems all the same.
    checks = {
        check["name"]: check["outcome"] for check in json.loads(cli("audit", "late", "--json").out)["checks"]
    }
    assert checks["row_keys"] == "pass"


def test_two_gold_answers_of_one_problem_are_refused(cli, tmp_path, no_pictures):
    for golds, message in (
        (("5", "6"), "'5' in one row and '6'"),
        ((None, "6"), "no gold answer in one row"),
    ):
        rows = [row | {"answer": gold} for row, gold in zip(PLAIN, golds, strict=False)]
        outcome = cli("import-traces", write_jsonl(tmp_path / "two.jsonl", rows))
        assert_one_clear_message(outcome, message, "2 + 3?")
    rows = [row | {"answer": gold} for row, gold in zip(PLAIN, ("5", "5.0", None), strict=True)]
    assert cli("import-traces", write_jsonl(tmp_path / "two.jsonl", rows)).code == 0


@pytest.mark.parametrize(
    ("row", "is_cut"),
    [
        ({"text": "<think>\nFinal answer: 5"}, True),
        ({"text": "Final answer: 5", "prompt": "2 + 3? <think>\n"}, True),
        ({"text": "<think>\n5", "finish_reason": None}, True),
        ({"text": "<think>\n5", "finish_reason": "stop"}, False),
        ({"text": "<think>\n5</think> 5"}, None),
        ({"text": "5", "stop_reason": "max_tokens"}, True),
        ({"text": "5"}, None),
    ],
)
def test_reasoning_that_is_never_closed_was_cut(row, is_cut):
    trace = Columns().guessed(row).trace(row)
    assert trace is not None and trace.is_cut is is_cut


@pytest.mark.parametrize("is_said", [True, False])
def test_the_share_of_cut_traces_is_told_only_where_it_is_known(cli, tmp_path, is_said):
    broken_off = {"question": "9?", "response": "<think>\n9"}
    rows = [row | ({"finish_reason": "stop"} if is_said else {}) for row in [*PLAIN, broken_off]]
    outcome = cli("import-traces", write_jsonl(tmp_path / "ends.jsonl", rows))
    assert outcome.code == 0, outcome.err
    assert ("not known how they ended" in outcome.out) is not is_said
    line = io.read_csv(Path("runs/ends/analysis/formatting_summary.csv")).iloc[0]
    assert line.get("truncation_rate", float("nan")) == 0 if is_said else pd.isna(line.get("truncation_rate"))
    report = Path("runs/ends/reports/backtracking_state_transition_report.md").read_text(encoding="utf-8")
    assert ("| Cut |" in report) is is_said
    assert ("; cut: 0.0%" in report) is is_said
    assert "at the cap" not in report and "`rows_cut`" not in report
    assert ("Cut before their end: 0.0%" in report) is is_said
    partly = "is known of 1 of them only, and 1 of these was cut; of the other 3 nothing says it"
    assert (partly in report) is not is_said


def test_the_answer_of_a_cut_trace_is_not_graded_right(cli, tmp_path, no_pictures):
    rows = [
        {"prompt": "2 + 3?", "text": f"<think>\nFinal answer: 5{end}", "gold": "5"}
        for end in ("", "</think>")
    ]
    cli("import-traces", write_jsonl(tmp_path / "cut.jsonl", rows), "-q")
    assert events("cut")["is_correct"].isna().tolist() == [True, False]
    assert [record.finish_reason for record in generations("cut")] == ["length", "stop"]


def test_hostile_text_is_kept_as_far_as_files_can_hold_it(cli, tmp_path):
    texts = [
        "\ud800 half, \x00 nul. Wait, no",
        '=1+1\r\n"quoted",<script>alert(1)</script> ](x)',
        "😀 wait",
        "é" * 9,
    ]
    path = write_jsonl(
        tmp_path / "odd.jsonl", [{"text": text, "id": f"=id,{k}\n"} for k, text in enumerate(texts)]
    )
    assert cli("import-traces", path, "-q").code == 0
    assert [r.completion for r in generations("odd")] == ["\ufffd half, \ufffd nul. Wait, no", *texts[1:]]
    assert len(events("odd")) == 4
    html = Path("runs/odd/reports/backtracking_state_transition_report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in html


def test_half_an_import_leaves_nothing_behind(cli, tmp_path, no_pictures):
    path = write_jsonl(tmp_path / "torn.jsonl", PLAIN)
    path.write_text(path.read_text() + '{"question": ', encoding="utf-8")
    assert_one_clear_message(cli("import-traces", path), "torn.jsonl, line 4")
    write_jsonl(path, PLAIN)
    assert cli("import-traces", path, "-q").code == 0
    assert_one_clear_message(cli("import-traces", path), "--run-id")


def test_mistakes_are_told(cli, tmp_path):
    path = write_jsonl(tmp_path / "x.jsonl", [{"a": 1}])
    assert_one_clear_message(cli("import-traces", path), "no column holds the traces", "--text")
    assert_one_clear_message(cli("import-traces", path, "--text", "b"), "no column 'b'")
    assert_one_clear_message(cli("import-traces", path, "--text", "a", "--map", "x=y"), "LABEL=doubt")
    assert_one_clear_message(cli("import-traces", "nowhere.jsonl"), "no file or folder")


def inspect_sample(number):
    reasoning = {"type": "reasoning", "reasoning": f"It is {number}. Wait, no."}
    message = {"role": "assistant", "content": [reasoning, {"type": "text", "text": "So 5."}]}
    return {
        "id": number,
        "epoch": 1,
        "input": [{"role": "system", "content": "s"}, {"role": "user", "content": f"question {number}"}],
        "target": "5",
        "output": {"choices": [{"message": message, "stop_reason": "max_tokens"}]},
    }


def test_inspect_logs_in_both_formats(tmp_path):
    samples = [inspect_sample(number) for number in range(3)]
    log = tmp_path / "log.json"
    log.write_text(json.dumps({"version": 2, "eval": {}, "samples": [*samples, "odd"]}))
    with zipfile.ZipFile(tmp_path / "log.eval", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", "{}")
        for sample in samples:
            archive.writestr(f"samples/{sample['id']}_epoch_1.json", json.dumps(sample))
    rows = list(read_rows(str(log)))
    assert rows == list(read_rows(str(tmp_path / "log.eval")))
    trace = Columns().guessed(rows[0]).trace(rows[0])
    assert (trace.id, trace.prompt, trace.gold, trace.is_cut) == ("0", "question 0", "5", True)
    assert trace.text == "<think>\nIt is 0. Wait, no.\n</think>\n\nSo 5."


def test_a_broken_archive_is_the_users_mistake(tmp_path):
    (tmp_path / "x.eval").write_bytes(b"PK\x03\x04nothing")
    with zipfile.ZipFile(tmp_path / "y.eval", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("samples/1.json", "{}" * 1000)
    packed = (tmp_path / "y.eval").read_bytes()
    start = packed.index(b"samples/1.json") + len("samples/1.json")
    (tmp_path / "y.eval").write_bytes(packed[:start] + b"\xff" * 8 + packed[start + 8 :])
    for name in ("x.eval", "y.eval"):
        with pytest.raises(UserError, match="Inspect log"):
            list(read_rows(str(tmp_path / name)))


@pytest.mark.parametrize("ending", ["jsonl", "json", "csv", "parquet"])
def test_formats_hold_the_same_rows(tmp_path, ending):
    path = tmp_path / f"traces.{ending}"
    frame = pd.DataFrame(PLAIN)
    {
        "jsonl": lambda: write_jsonl(path, PLAIN),
        "json": lambda: path.write_text(json.dumps({"data": PLAIN})),
        "csv": lambda: frame.to_csv(path, index=False),
        "parquet": lambda: frame.to_parquet(path),
    }[ending]()
    assert list(read_rows(str(path))) == PLAIN
    assert list(read_rows(str(tmp_path))) == PLAIN


def test_conversations_are_read():
    said = [{"role": "user", "content": "2 + 3?"}, {"role": "assistant", "content": "5", "reasoning": "Hmm."}]
    row = {"messages": said}
    trace = Columns().guessed(row).trace(row)
    assert (trace.prompt, trace.text) == ("2 + 3?", "<think>\nHmm.\n</think>\n\n5")


def test_labels_come_in_many_shapes():
    expected = [LabelledSentence(" Wait.", "backtracking")]
    for value in (
        [{"text": " Wait.", "label": "backtracking"}],
        [{"segment": " Wait.", "category": "backtracking", "more": 1}],
        [[" Wait.", "backtracking"]],
        '["backtracking"] Wait.["end-section"]',
    ):
        assert read_sentences(value) == expected
    assert read_sentences(None) == read_sentences("no tags") == read_sentences([None, 3, {"text": 1}]) == []


def test_labelled_sentences_are_found_in_order_and_through_white_space():
    text = "No.  Wait,\n no. No."
    sentences = [LabelledSentence(t, "backtracking") for t in ("No.", "Wait, no.", "absent", "No.")]
    placed, lost = place_sentences(text, sentences, label_map([]))
    spans = [(one.start, one.end, one.label) for one in placed]
    assert spans == [(0, 3, "redo"), (5, 15, "redo"), (16, 19, "redo")]
    assert [sentence.text for sentence in lost] == ["absent"]
    assert label_map(["Verify=doubt", "backtracking=none"])["verify"] == "doubt"


def test_labels_in_any_order_have_the_places_of_labels_in_order():
    text = "Same. Wait, no. Same. It is 5. Same."
    parts = ("Same.", "Wait, no.", "Same.", "It is 5.", "Same.")
    expected = [(0, 5), (6, 15), (16, 21), (22, 30), (31, 36)]
    for order in permutations(range(5)):
        sentences = [LabelledSentence(parts[k], f"{parts[k]} meant") for k in order]
        placed, lost = place_sentences(text, sentences, {})
        assert [(one.start, one.end) for one in placed] == expected and not lost
        assert [one.given for one in placed] == [f"{part} meant" for part in parts]
    placed, lost = place_sentences(text, [LabelledSentence("Same.", "redo")] * 4, {})
    assert ([one.start for one in placed], len(lost)) == ([0, 16, 31], 1)
    placed, lost = place_sentences(
        text, [LabelledSentence(t, "redo") for t in ("Wait, no. Same.", "no.")], {}
    )
    assert [(one.start, one.end) for one in placed] == [(6, 21)] and lost[0].text == "no."


def test_labels_that_are_not_found_are_named(cli, tmp_path, no_pictures):
    rows = [{"id": "a", "text": "It is 5. Wait, no."}, {"id": "b", "text": "It is 6."}]
    cli("import-traces", write_jsonl(tmp_path / "two.jsonl", rows), "-q")
    labels = [
        {"id": name, "sentence": text, "label": label}
        for name, text, label in (
            ("a", "Wait, no.", "redo"),
            ("a", "It is 5.", "none"),
            ("b", "This was never written anywhere.", "redo"),
            ("b", "It is 6.", ""),
            ("elsewhere", "It is 6.", "redo"),
        )
    ]
    outcome = cli("import-labels", write_jsonl(tmp_path / "labels.jsonl", labels), "--run-id", "two")
    assert outcome.code == 0 and "sentence_labels.csv: 2 labelled sentences" in outcome.out
    assert "b: 'This was never written anywhere.'" in outcome.out
    assert "1 labelled sentence of 4 of completions that the run does not have" in outcome.out
    assert "'elsewhere'" in outcome.out and "'redo' is taken for redo: 1 sentence\n" in outcome.out


def test_later_labels_take_the_place_of_those_of_the_same_traces(cli, tmp_path, no_pictures):
    rows = [{"id": name, "text": "It is 5. Wait, no."} for name in "abc"]
    cli("import-traces", write_jsonl(tmp_path / "three.jsonl", rows), "-q")

    def imported(names, sentence, label):
        labels = [{"id": name, "sentence": sentence, "label": label} for name in names]
        outcome = cli("import-labels", write_jsonl(tmp_path / "labels.jsonl", labels), "--run-id", "three")
        table = io.read_csv(Path("runs/three/analysis/sentence_labels.csv"))
        return outcome.out, {(row["example_id"], row["label"]) for row in table.to_dict("records")}

    said, labels = imported("ab", "Wait, no.", "redo")
    assert labels == {("a", "redo"), ("b", "redo")} and "earlier label" not in said
    said, labels = imported("c", "Wait, no.", "doubt")
    assert labels == {("a", "redo"), ("b", "redo"), ("c", "doubt")}
    assert "kept: 2 earlier labels of 2 completions" in said and "replaced" not in said
    said, labels = imported("bc", "It is 5.", "none")
    assert labels == {("a", "redo"), ("b", "none"), ("c", "none")}
    assert "replaced: 2 earlier labels of 2 completions" in said
    assert "kept: 1 earlier label of 1 completion\n" in said
    said, labels = imported("a", "It was never written.", "doubt")
    assert ("a", "redo") in labels and len(labels) == 3
    assert "detection-quality" not in said
    cli("detection-quality", "--run-id", "three")
    assert "run: backtracking detection-quality --run-id three" in imported("a", "Wait, no.", "doubt")[0]


def test_labels_travel_with_their_traces_or_come_later(cli, tmp_path, no_pictures):
    assert cli("import-traces", LABELLED, "--run-id", "with", "-q").code == 0
    rows = [json.loads(line) for line in LABELLED.read_text(encoding="utf-8").splitlines()]
    bare = [{"id": row["id"], "text": " ".join(one["text"] for one in row["sentences"])} for row in rows]
    flat = [
        {"id": row["id"], "sentence": s["text"], "label": s["label"]}
        for row in rows
        for s in row["sentences"]
    ]
    assert cli("import-traces", write_jsonl(tmp_path / "bare.jsonl", bare), "-q").code == 0
    outcome = cli("import-labels", write_jsonl(tmp_path / "flat.jsonl", flat), "--run-id", "bare")
    assert outcome.code == 0 and "229 labelled sentences" in outcome.out
    tables = [io.read_csv(Path("runs") / run / "analysis/sentence_labels.csv") for run in ("with", "bare")]
    assert tables[0].equals(tables[1])
    text = {r.example_id: r.completion for r in generations("bare")}
    for row, wanted in zip(tables[1].to_dict("records"), flat, strict=True):
        assert text[row["example_id"]][row["char_start"] : row["char_end"]] == wanted["sentence"]
    assert_one_clear_message(
        cli(
            "import-labels", write_jsonl(tmp_path / "odd.jsonl", [flat[0] | {"id": "x"}]), "--run-id", "bare"
        ),
        "no sentence of",
    )


def test_labels_of_traces_without_ids_are_found_by_their_prompts(cli, tmp_path, no_pictures):
    rows = [json.loads(line) for line in LABELLED.read_text(encoding="utf-8").splitlines()]
    texts = [" ".join(one["text"] for one in row["sentences"]) for row in rows]
    bare = [{"prompt": row["prompt"], "text": text} for row, text in zip(rows, texts, strict=True)]
    assert cli("import-traces", write_jsonl(tmp_path / "bare.jsonl", bare), "-q").code == 0
    foreign = write_jsonl(tmp_path / "foreign.jsonl", [{"id": "x", "sentence": "Wait.", "label": "redo"}])
    assert_one_clear_message(cli("import-labels", foreign, "--run-id", "bare"), "no sentence of")
    assert not (Path("runs") / "bare/analysis/sentence_labels.csv").exists()
    labels = [{"prompt": row["prompt"], "sentences": row["sentences"]} for row in rows]
    outcome = cli("import-labels", write_jsonl(tmp_path / "labels.jsonl", labels), "--run-id", "bare")
    assert outcome.code == 0 and "229 labelled sentences" in outcome.out


TWICE = [{"prompt": "Q", "text": "Start. Wait, no. Same."}, {"prompt": "Q", "text": "Begin. Hmm, so. Same."}]


def single(text):
    return {"prompt": "Q", "sentence": text, "label": "redo"}


def labelled(*sentences):
    return {"prompt": "Q", "sentences": [{"text": text, "label": "redo"} for text in sentences]}


@pytest.mark.parametrize(
    ("labels", "samples"),
    [
        ([labelled("Wait, no."), labelled("Hmm, so.")], [0, 1]),
        ([labelled("Hmm, so."), labelled("Wait, no.")], [0, 1]),
        ([labelled("Same."), labelled("Same.")], [0, 1]),
        ([single("Wait, no."), single("Hmm, so.")], [0, 1]),
        ([single("Hmm, so."), single("Same.")], [1]),
        ([labelled("Hmm, so.", "Same.")], [1]),
        ([labelled("Same.") | {"sample": 1}], [1]),
        ([labelled("Same.") | {"draw": "1.0"}], [1]),
    ],
)
def test_labels_find_their_trace_among_those_of_a_problem(cli, tmp_path, no_pictures, labels, samples):
    cli("import-traces", write_jsonl(tmp_path / "twice.jsonl", TWICE), "-q")
    named = ["--sample", "draw"] if "draw" in labels[0] else []
    path = write_jsonl(tmp_path / "labels.jsonl", labels)
    outcome = cli("import-labels", path, "--run-id", "twice", *named)
    assert outcome.code == 0 and "not found" not in outcome.out
    table = io.read_csv(Path("runs/twice/analysis/sentence_labels.csv"))
    assert sorted(set(table["sample_id"])) == samples
    assert len(table) == sum(len(row.get("sentences", "1")) for row in labels)


def test_labels_that_could_belong_to_several_traces_are_refused(cli, tmp_path, no_pictures):
    cli("import-traces", write_jsonl(tmp_path / "twice.jsonl", TWICE), "-q")
    for labels, message in (
        ([labelled("Same.")], "stands in 2 of them"),
        ([labelled("absent")], "stands in 0 of them"),
        ([labelled("Hmm, so."), labelled("Same.")], "stands in 2 of them"),
        ([single("Wait, no."), single("Same.")], "stands in 2 of them"),
        ([labelled("Same.") | {"sample": "b"}], "no number of a sample"),
    ):
        path = write_jsonl(tmp_path / "labels.jsonl", labels)
        assert_one_clear_message(cli("import-labels", path, "--run-id", "twice"), message, "ample")
    path = write_jsonl(tmp_path / "labels.jsonl", [labelled("Wait, no."), labelled("absent")])
    assert (
        "WARNING: 1 labelled sentence of 2 not found" in cli("import-labels", path, "--run-id", "twice").out
    )


def test_labels_that_are_not_in_their_traces_end_in_a_message(cli, tmp_path, no_pictures):
    row = {"text": "All is well.", "sentences": [{"text": "Wait, no.", "label": "redo"}]}
    assert cli("import-traces", write_jsonl(tmp_path / "odd.jsonl", [row]), "-q").code == 0
    assert_one_clear_message(cli("detection-quality", "--run-id", "odd"), "no labelled sentences")


def test_a_gold_answer_that_cannot_be_read_is_told_and_counts_as_none(cli, tmp_path, no_pictures):
    golds = ("5", "abc", "12,5", "1,005", "Paris", None)
    rows = [{"id": f"p{k}", "text": "Final: 5", "answer": gold} for k, gold in enumerate(golds)]
    outcome = cli("import-traces", write_jsonl(tmp_path / "odd.jsonl", rows))
    assert "3 of 6 traces: no answer can be graded by their gold answer (such as 'abc': it is" in outcome.out
    assert "1 of 6 traces: no gold answer" in outcome.out
    table = events("odd")
    assert table["has_gold"].tolist() == [True, False, False, True, False, False]
    assert table["is_correct"].isna().tolist() == [False, True, True, False, True, True]
    assert table["is_correct"].tolist()[0] and not table["is_correct"].tolist()[3]
    beginning, _, _ = beginning_and_findings("odd")
    assert "Right answers: 50.0%" in beginning and "of 2 traces with a gold answer" in beginning
