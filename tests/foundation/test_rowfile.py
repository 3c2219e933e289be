"""What a stopped run goes on from: a file of rows, each row's fate written out by hand."""

import json

import pytest

from backtracking.errors import UserError
from backtracking.run.io import write_jsonl
from backtracking.run.progress import Quiet
from backtracking.run.records import GenerationRecord
from backtracking.run.rowfile import Found, RowFile, resume, say_failed, sort_rows

SETTINGS, OTHERS = "a" * 64, "b" * 64


class Told(Quiet):
    """Keeps what is said."""

    def __init__(self):
        self.lines = []

    def say(self, message):
        self.lines.append(message)


def row(example_id, sample_id=0, finish_reason="stop", completion="7"):
    return GenerationRecord(
        example_id=example_id,
        sample_id=sample_id,
        variant="plain",
        condition="baseline",
        prompt="?",
        prompt_ids=[1],
        completion=completion,
        completion_ids=[7, 2],
        finish_reason=finish_reason,
        prompt_tokens=1,
        completion_tokens=2,
        gen_params={},
        seed_key="0",
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "baseline.jsonl"


def rows_at(path, made_with=SETTINGS, shard_rows=None):
    return RowFile(path, GenerationRecord, made_with, "backtracking generate", shard_rows)


def write(path, *rows, made_with=SETTINGS):
    with rows_at(path, made_with).appending() as append:
        for one in rows:
            append(one)


def edit(path, line):
    """The line's completion becomes another."""
    lines = path.read_text().splitlines()
    lines[line] = json.dumps(json.loads(lines[line]) | {"completion": "8"})
    path.write_text("".join(f"{one}\n" for one in lines))


def ids(path):
    return [one.id for one in rows_at(path).rows(intact=False)]


def asked(record):
    """The plan: it wants p0 to p2 as they are, would write p8 otherwise, and knows nothing of p9."""
    return {"p8": False, "p9": None}.get(record.example_id, True)


def fill(path):
    write(path, row("p0"), row("p9"), row("p1", finish_reason="error"), row("p2"), row("p0"), row("p8"))
    write(path, row("p1", 1), made_with=OTHERS)
    edit(path, 3)


def test_each_row_has_its_fate(path):
    fill(path)
    found = Found.in_file(rows_at(path), asked)
    assert found.asked == {("p0", 0): 0}, "of equal rows the first; failed and edited ones are made again"
    assert found.others == {("p9", 0): 1}
    assert (found.edited, found.made_otherwise, len(found)) == (1, 2, 2)


def test_an_absent_file_holds_nothing(path):
    found = Found.in_file(rows_at(path), asked)
    assert (found, len(found)) == (Found(), 0)


@pytest.mark.parametrize(("keep_others", "kept"), [(True, [("p0", 0), ("p9", 0)]), (False, [("p0", 0)])])
def test_what_is_not_built_on_leaves_the_file_and_is_told(path, keep_others, kept):
    fill(path)
    before, reporter = path.read_bytes(), Told()
    resume(rows_at(path), asked, reporter, keep_others=keep_others)
    assert ids(path) == kept
    not_planned = "" if keep_others else ", 1 not part of this plan"
    assert reporter.lines == [
        "  baseline: finished rows that are not kept: 1 changed after they were written, "
        f"2 made with other prompts or settings{not_planned}",
        "  earlier rows are kept in baseline.previous.jsonl",
    ]
    assert path.with_name("baseline.previous.jsonl").read_bytes() == before


def test_where_all_is_kept_nothing_is_said(path):
    write(path, row("p0"), row("p1"))
    before, reporter = path.read_bytes(), Told()
    found = resume(rows_at(path), asked, reporter, keep_others=False)
    assert (len(found), reporter.lines, path.read_bytes()) == (2, [], before)
    assert [file.name for file in path.parent.iterdir()] == ["baseline.jsonl"]


def test_an_edited_row_is_an_error_unless_any_will_do(path):
    write(path, row("p0"), row("p1"))
    edit(path, 1)
    with pytest.raises(UserError, match="line 2"):
        list(rows_at(path).rows())
    assert [one.is_intact for one in rows_at(path).rows(intact=False)] == [True, False]


def test_whose_rows_they_are(path):
    write(path, row("p0"))
    write(path, row("p1"), made_with=OTHERS)
    own, foreign = rows_at(path).rows()
    file = rows_at(path)
    assert (file.is_own(own), file.is_own(foreign), file.is_own(row("p2"))) == (True, False, True)


def test_rows_come_in_the_order_of_the_plan(path):
    write(path, *(row(name) for name in ("p2", "p9", "p0", "p1", "p8")))
    places = {"p0": 0, "p1": 1, "p2": 2}
    sort_rows(rows_at(path), lambda row_id: places.get(row_id[0]))
    assert [name for name, _ in ids(path)] == ["p9", "p8", "p0", "p1", "p2"]


def test_the_first_rows_stay_where_they_are(path):
    write(path, *(row(name) for name in ("p2", "p9", "p1", "p0")))
    sort_rows(rows_at(path), lambda row_id: int(row_id[0][1:]), first=2)
    assert [name for name, _ in ids(path)] == ["p2", "p9", "p0", "p1"]


def test_failed_rows_are_counted_with_the_first_reason():
    reporter = Told()
    say_failed([], 10, reporter)
    assert reporter.lines == []
    say_failed(["NaN", "other"], 1200, reporter)
    assert reporter.lines == ["  note: 2 of 1,200 rows failed (NaN); --force makes all of them anew"]


def test_so_many_rows_were_written(path):
    assert write_jsonl(path, [row("p0"), row("p1")]) == 2
    assert ids(path) == [("p0", 0), ("p1", 0)]
    assert write_jsonl(path, []) == 0
    assert path.read_bytes() == b""
