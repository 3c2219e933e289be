"""Traces with something odd about them: what is told of it, and what is made of it."""

import json
from pathlib import Path

import pytest

from backtracking.errors import UserError
from backtracking.run import io
from backtracking.sources.trace import Columns
from tests.foundation.command import CommandLine, assert_one_clear_message


@pytest.fixture
def cli(capsys, monkeypatch, tmp_path, no_pictures):
    monkeypatch.chdir(tmp_path)
    return CommandLine(capsys, monkeypatch)


def imported(cli, rows):
    Path("odd.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return cli("import-traces", "odd.jsonl").out


def test_different_prompts_under_one_id_are_named(cli):
    rows = [{"id": "all", "prompt": f"Question {k}?", "text": "It is 5."} for k in range(3)]
    said = imported(cli, [*rows, {"id": "b", "prompt": "Other?", "text": "It is 6."}])
    assert "1 problem of 2 with different prompts under one id" in said
    assert "'all': 'Question 0?' and 'Question 1?'" in said and "--id" in said


def test_one_prompt_under_one_id_is_not_worth_a_word(cli):
    rows = [{"id": "a", "prompt": "Question?", "text": "It is 5."}, {"id": "a", "prompt": "", "text": "5."}]
    assert "different prompts" not in imported(cli, [*rows, rows[0]])


def test_endings_that_are_not_known_are_named_and_taken_for_unsaid(cli):
    endings = ("stop", "banana", "tool_calls", "content_filter", "Length", "end_turn", "banana")
    rows = [{"id": f"p{k}", "text": "It is 5.", "finish_reason": word} for k, word in enumerate(endings)]
    said = imported(cli, rows)
    assert "3 of 7 traces: what is said of how they ended is not known here (such as 'banana')" in said
    assert "3 of 7 traces: not known how they ended" in said
    reasons = io.read_csv(Path("runs/odd/analysis/backtracking_events.csv"))["finish_reason"].tolist()
    assert reasons == ["stop", "unknown", "unknown", "length", "length", "stop", "unknown"]


def test_a_placeholder_is_no_gold_answer(cli):
    golds = ("N/A", "n/a", "18 or 20", {"value": 18}, "B", "18")
    said = imported(cli, [{"id": f"p{k}", "text": "Final: 18", "gold": gold} for k, gold in enumerate(golds)])
    assert "5 of 6 traces: no answer can be graded by their gold answer (such as 'N/A'" in said


def test_a_trace_in_pieces_is_joined_and_one_of_columns_refused():
    columns = Columns({"text": "said"})
    assert columns.trace({"said": ["It is 5.", "Wait, no."]}).text == "It is 5.\nWait, no."
    with pytest.raises(UserError, match="a trace is text"):
        columns.trace({"said": {"a": 1}})


def test_conversations_are_told_as_such(cli):
    said = imported(cli, [{"messages": [{"role": "assistant", "content": "It is 5."}]}])
    assert said.startswith("1 trace of 1 problem (from conversations)\n")
    Path("bad.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    assert_one_clear_message(cli("import-traces", "bad.csv"), "no column holds the traces", "columns: a, b")
    Path("bad.csv").write_text("question;response\nWhat, then?;It is 5.\n", encoding="utf-8")
    refused = cli("import-traces", "bad.csv")
    assert_one_clear_message(
        refused, "columns: question;response (the columns of a CSV file are parted by commas"
    )
    assert "None" not in refused.err


def test_what_is_odd_about_labels_is_told(cli):
    imported(cli, [{"prompt": "Two and three?", "text": "It is 5. Wait, no."}])

    def labels(*rows, options=()):
        lines = [json.dumps({"prompt": "Two and three?"} | row) + "\n" for row in rows]
        Path("labels.jsonl").write_text("".join(lines), encoding="utf-8")
        return cli("import-labels", "labels.jsonl", "--run-id", "odd", *options)

    wait = {"sentence": "Wait, no."}
    elsewhere = {"prompt": "Some other problem?", "sentence": "It is 5.", "label": "redo"}
    assert_one_clear_message(labels(elsewhere), "its first problem is 'Some other problem?'")
    said = labels(
        *({**wait, "label": label} for label in ("doubt", "redo", "")),
        elsewhere,
        options=("--map", "foo=doubt"),
    ).out
    assert "1 label of 3 left out: the sentence is labelled more often" in said and "not found" not in said
    assert "1 row without a label" in said and "such as one of problem 'Some other problem?'" in said
    assert "--map foo: no label that was found is called so" in said
