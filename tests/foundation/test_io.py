"""Files survive crashes, full disks and second writers."""

import errno
import json
import multiprocessing
import os
import platform
import subprocess
import sys

import pandas as pd
import pytest

from backtracking.errors import UserError
from backtracking.mechanism.partial import compute_resumably
from backtracking.run import io
from backtracking.run.lock import is_locked, run_lock
from backtracking.run.progress import Quiet
from backtracking.run.provenance import environment
from backtracking.run.records import Problem


def problem(number: int) -> Problem:
    return Problem(id=f"p{number}", question="q?", answer="#### 1", answer_value="1")


def test_atomic_write_leaves_the_old_file_when_it_fails(tmp_path):
    path = tmp_path / "a.json"
    io.write_json(path, {"x": 1})
    with pytest.raises(RuntimeError), io.atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert io.read_json(path, made_by="x") == {"x": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_json_has_no_nan(tmp_path):
    io.write_json(tmp_path / "a.json", {"rate": float("nan"), "list": [float("inf"), 1.5]})
    assert io.read_json(tmp_path / "a.json", made_by="x") == {"rate": None, "list": [None, 1.5]}


@pytest.mark.parametrize("torn", [b'{"id": "p9"', b"x", b'{"id":"' + b"y" * 200_000])
def test_torn_last_line_is_healed_and_appending_goes_on(tmp_path, torn):
    path = tmp_path / "rows.jsonl"
    io.write_jsonl(path, [problem(0), problem(1)])
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    assert [row.id for row in io.read_jsonl(path, Problem, made_by="x")] == ["p0", "p1"]
    with io.JsonlAppender(path) as file:
        assert path.read_bytes() == whole
        file.append(problem(2))
    assert [row.id for row in io.read_jsonl(path, Problem, made_by="x")] == ["p0", "p1", "p2"]


def test_healing_a_file_that_is_one_torn_line_empties_it(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"torn")
    assert io.heal_jsonl(path) == 4
    assert path.read_bytes() == b""


def test_corrupt_line_in_the_middle_is_named_and_kept(tmp_path):
    path = tmp_path / "rows.jsonl"
    io.write_jsonl(path, [problem(0), problem(1), problem(2)])
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b'{"id": broken}\n' + lines[2])
    before = path.read_bytes()
    with pytest.raises(UserError, match="line 2"):
        list(io.read_jsonl(path, Problem, made_by="x"))
    assert path.read_bytes() == before


def test_full_disk_leaves_no_half_row(tmp_path, monkeypatch):
    path = tmp_path / "rows.jsonl"
    appender = io.JsonlAppender(path)
    appender.append(problem(0))
    whole = path.read_bytes()

    class FullDisk:
        def __init__(self, file):
            self._file = file

        def write(self, data):
            self._file.write(bytes(data[:5]))
            raise OSError(errno.ENOSPC, "No space left on device")

        def __getattr__(self, name):
            return getattr(self._file, name)

    monkeypatch.setattr(appender, "_file", FullDisk(appender._file))
    with pytest.raises(OSError, match="No space"):
        appender.append(problem(1))
    appender.close()
    assert path.read_bytes() == whole


def test_rows_of_a_newer_schema_are_refused(tmp_path):
    path = tmp_path / "rows.jsonl"
    io.write_jsonl(path, [problem(0)])
    path.write_text(path.read_text().replace('"schema_version":1', '"schema_version":99'))
    with pytest.raises(UserError, match="line 1"):
        list(io.read_jsonl(path, Problem, made_by="x"))


def test_keep_lines_reorders_and_drops(tmp_path):
    path = tmp_path / "rows.jsonl"
    io.write_jsonl(path, [problem(number) for number in range(5)])
    io.keep_lines(path, [4, 0, 2])
    assert [row.id for row in io.read_jsonl(path, Problem, made_by="x")] == ["p4", "p0", "p2"]


def _hold(path, ready, done):
    with run_lock(path):
        ready.set()
        done.wait(30)


def test_lock_names_its_holder_and_ends_with_it(tmp_path):
    path = tmp_path / ".lock"
    context = multiprocessing.get_context("fork")
    ready, done = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(path, ready, done))
    holder.start()
    assert ready.wait(30)
    assert is_locked(path)
    with pytest.raises(UserError, match=f"in use by pid {holder.pid}\n"), run_lock(path):
        pass
    os.kill(holder.pid, 9)
    holder.join()
    assert not is_locked(path)
    with run_lock(path):
        pass


def test_a_lock_that_a_dead_holder_left_is_taken_over(tmp_path):
    (tmp_path / ".lock").touch()
    (tmp_path / ".lock.holder").write_text("pid 1 on elsewhere")
    assert not is_locked(tmp_path / ".lock")
    with run_lock(tmp_path / ".lock"):
        assert (tmp_path / ".lock.holder").read_text().startswith(f"pid {os.getpid()} on ")
        assert platform.node() not in (tmp_path / ".lock.holder").read_text()
    assert not (tmp_path / ".lock.holder").exists()


def test_nothing_needs_a_module_that_only_unix_has():
    """The whole package imports where there is no `fcntl`."""
    code = (
        "import importlib, pkgutil, sys\n"
        "sys.modules['fcntl'] = None\n"
        "import backtracking\n"
        "for module in pkgutil.walk_packages(backtracking.__path__, 'backtracking.'):\n"
        "    if not module.name.endswith('__main__'): importlib.import_module(module.name)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


HOSTILE_TEXTS = [
    "a\rb",
    "a\nb",
    "a\r\nb",
    'a"b',
    "a,b",
    "a\x00b",
    "\u2028",
    "\x1a",
    "\x85",
    "NA",
    "null",
    "  x ",
    "\ufeff",
]


def test_tables_keep_any_text_apart_from_empty_cells(tmp_path):
    table = pd.DataFrame({"example_id": [str(k) for k in range(len(HOSTILE_TEXTS))], "text": HOSTILE_TEXTS})
    table.loc[len(table)] = ["last", None]
    io.write_csv(tmp_path / "t.csv", table)
    read = io.read_csv(tmp_path / "t.csv")
    assert read["text"].tolist()[:-1] == HOSTILE_TEXTS
    assert pd.isna(read["text"].iloc[-1])
    assert read["example_id"].tolist() == table["example_id"].tolist()


def test_a_table_of_nothing_reads_back_and_an_emptied_file_is_refused(tmp_path):
    path = tmp_path / "t.csv"
    io.write_csv(path, pd.DataFrame([]))
    assert io.read_csv(path).empty
    path.write_bytes(b"")
    with pytest.raises(UserError, match="is not a table"):
        io.read_csv(path)


def test_kept_values_that_were_edited_are_computed_again(tmp_path):
    path, asked = tmp_path / "values.jsonl", []

    def compute(groups):
        asked.extend(groups)
        yield from ((place, {"value": place + 0.5}) for group in groups for place in group)

    def values():
        return compute_resumably(path, "abc", compute, settings="s", reporter=Quiet(), label="values")

    whole = values()
    path.write_text(path.read_text().replace("1.5", "1.6"))
    assert values() == whole
    assert asked == [[0, 1, 2], [1]]


def test_what_meta_json_says_of_the_machine_does_not_name_it(monkeypatch):
    monkeypatch.setattr(platform, "node", lambda: "one-of-a-kind")
    assert "one-of-a-kind" not in json.dumps(environment())
