"""Rows that pass `generation.shard_rows` go on in numbered files, and are read as one sequence."""

import json
import shutil

import pytest

from backtracking.errors import UserError
from backtracking.run import io, rowindex, shards
from backtracking.run.inputs import FirstRows, Whole
from backtracking.run.records import GenerationRecord
from backtracking.run.rowfile import RowFile
from tests.explore.conftest import type_commands
from tests.foundation import study
from tests.foundation.command import assert_one_clear_message

ROWS = "runs/small/generations/baseline_think_newline/baseline.jsonl"


def record(number: int, words: int = 3) -> GenerationRecord:
    return GenerationRecord(
        example_id=f"p{number:03}",
        sample_id=number % 2,
        variant="v",
        condition="baseline",
        prompt="Wie groß ist 2 + 3?",
        prompt_ids=[1, 2],
        completion="wait " * (words + number % 5),
        completion_ids=[3] * words,
        finish_reason="stop",
        prompt_tokens=2,
        completion_tokens=words,
        gen_params={},
        seed_key="0",
    )


def rows_file(path, most=3) -> RowFile[GenerationRecord]:
    return RowFile(path, GenerationRecord, "made", "backtracking generate", shard_rows=most)


def write(path, numbers, most=3):
    with rows_file(path, most).appending() as append:
        for number in numbers:
            append(record(number))
    return path


def ids(path):
    return [int(row.example_id[1:]) for row in rows_file(path).rows()]


def listed(folder):
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


def sort(path, most=3):
    from backtracking.run.rowfile import sort_rows

    sort_rows(rows_file(path, most), lambda row: int(row[0][1:]))


@pytest.fixture
def one(tmp_path):
    """Eight rows in one file."""
    return write(tmp_path / "one" / "rows.jsonl", range(8), most=None)


@pytest.fixture
def many(tmp_path):
    """The same rows, three to a file, with their indexes."""
    path = write(tmp_path / "many" / "rows.jsonl", range(8))
    rowindex.write_indexes(path)
    return path


def test_shards_are_one_sequence_of_the_same_bytes(one, many):
    assert listed(many.parent) == [
        "rows.jsonl",
        "rows.shards/00001.index",
        "rows.shards/00002.index",
        "rows.shards/00002.jsonl",
        "rows.shards/00003.index",
        "rows.shards/00003.jsonl",
    ]
    assert [io.count_lines(file) for file in shards.shards_of(many)[1:]] == [3, 2]
    assert b"".join(file.read_bytes() for file in shards.shards_of(many)) == one.read_bytes()
    assert Whole(many).digest() == Whole(one).digest()
    assert io.line_starts(many) == io.line_starts(one)
    assert list(rows_file(many).rows()) == list(rows_file(one).rows())
    assert FirstRows.now_in(many).count == 8 == io.count_lines(many)
    for count in range(9):
        assert FirstRows(many, count).digest() == FirstRows(one, count).digest()
    for number, start in enumerate(io.line_starts(many)[:-1]):
        row = io.read_row(many, start, GenerationRecord, made_by="x")
        assert row.example_id == f"p{number:03}"


@pytest.mark.parametrize("count", [0, 1, 3])
def test_no_more_rows_than_one_file_takes_leave_what_they_always_left(tmp_path, count):
    path = write(tmp_path / "rows.jsonl", range(count))
    sort(path)
    assert listed(tmp_path) == ["rows.jsonl"]


@pytest.mark.parametrize("stops", [[3], [4], [6], [1, 5], list(range(1, 8))])
def test_appending_goes_on_where_it_was_stopped(tmp_path, many, stops):
    path = tmp_path / "stopped" / "rows.jsonl"
    for start, end in zip([0, *stops], [*stops, 8], strict=True):
        write(path, range(start, end))
    rowindex.write_indexes(path)
    assert {name: (path.parent / name).read_bytes() for name in listed(path.parent)} == {
        name: (many.parent / name).read_bytes() for name in listed(many.parent)
    }


def test_rows_are_put_in_order_over_all_shards(tmp_path, many):
    path = write(tmp_path / "mixed" / "rows.jsonl", [7, 2, 5, 0, 1, 6, 4, 3])
    sort(path)
    assert ids(path) == list(range(8))
    assert {name: (path.parent / name).read_bytes() for name in listed(path.parent)} == {
        name: (many.parent / name).read_bytes() for name in listed(many.parent)
    }


@pytest.mark.parametrize(("most", "files"), [(2, 4), (5, 2), (8, 1), (100, 1)])
def test_another_size_cuts_the_same_rows_anew(one, many, most, files):
    sort(many, most)
    assert len(shards.shards_of(many)) == files
    assert Whole(many).digest() == Whole(one).digest()
    assert shards.folder_of(many).exists() == (files > 1)


def steps_of_replacing(path, monkeypatch):
    """How often a path is renamed or removed while rows are sorted."""
    calls = []
    for owner, name in ((type(path), "replace"), (shutil, "rmtree")):
        original = getattr(owner, name)
        monkeypatch.setattr(
            owner, name, lambda *given, original=original: (calls.append(1), original(*given))[1]
        )
    sort(path)
    monkeypatch.undo()
    return len(calls)


def test_a_kill_while_shards_are_replaced_loses_nothing(tmp_path, monkeypatch):
    """At every rename and removal: what follows finds all rows, and ends with the same files."""
    mixed = [7, 2, 5, 0, 1, 6, 4, 3]
    undisturbed = write(tmp_path / "whole" / "rows.jsonl", mixed)
    steps = steps_of_replacing(undisturbed, monkeypatch)
    assert steps >= 4
    for killed_at in range(steps):
        for after in (False, True):
            path = write(tmp_path / f"{killed_at}{after}" / "rows.jsonl", mixed)
            kill_at(path, monkeypatch, killed_at, after=after)
            io.heal_jsonl(path)
            assert sorted(ids(path)) == list(range(8)), (killed_at, after)
            sort(path)
            assert ids(path) == list(range(8))
            found = set(listed(path.parent)) - set(listed(undisturbed.parent))
            assert not {name for name in found if not name.startswith("rows.shards/.")}, "an index cut off"


class Killed(BaseException):
    pass


def kill_at(path, monkeypatch, number, *, after):
    """Sort the rows up to the rename or removal of this number."""
    left = [number]

    def stopping(original):
        def step(*given):
            if left[0] < 0:
                raise Killed  # nothing is tidied up after a kill
            left[0] -= 1
            if left[0] >= 0:
                return original(*given)
            if after:
                original(*given)
            raise Killed

        return step

    with monkeypatch.context() as patch:
        for owner, name in ((type(path), "replace"), (shutil, "rmtree")):
            patch.setattr(owner, name, stopping(getattr(owner, name)))
        with pytest.raises(Killed):
            sort(path)


def test_a_full_disk_at_a_new_shard_leaves_the_rows_before_it(tmp_path, monkeypatch):
    path = tmp_path / "rows.jsonl"

    def full(*_args, **_more):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"), rows_file(path).appending() as append:
        for number in range(3):
            append(record(number))
        monkeypatch.setattr(type(path), "mkdir", full)
        append(record(3))
    monkeypatch.undo()
    assert ids(path) == [0, 1, 2]
    write(path, [3])
    assert ids(path) == [0, 1, 2, 3]


def test_few_rows_are_found_without_reading_the_others(many, monkeypatch):
    parsed, original = [], io.parsed_row
    monkeypatch.setattr(io, "parsed_row", lambda line, *more: (parsed.append(line), original(line, *more))[1])
    wanted = {("p001", 1), ("p007", 1), ("p004", 1), ("gone", 0)}
    found = rowindex.find_rows(many, wanted, made_by="x")
    assert list(found) == [("p001", 1), ("p007", 1)]
    assert len(parsed) == 2


DAMAGES = {
    "gone": lambda index: index.unlink(),
    "empty": lambda index: index.write_bytes(b""),
    "cut": lambda index: index.write_bytes(index.read_bytes()[:-20]),
    "a digit": lambda index: index.write_bytes(index.read_bytes().replace(b"p004", b"p009")),
    "a folder": lambda index: (index.unlink(), index.mkdir()),
    "no JSON": lambda index: index.write_bytes(b"\xff\x00" + index.read_bytes()),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_index_that_does_not_fit_is_not_believed(many, damage):
    DAMAGES[damage](shards.folder_of(many) / "00002.index")
    found = rowindex.find_rows(many, {("p004", 0), ("p006", 0)}, made_by="x")
    assert list(found) == [("p004", 0), ("p006", 0)]


def test_a_row_that_was_changed_is_refused_through_the_index_as_well(many):
    shard = shards.shards_of(many)[1]
    shard.write_bytes(shard.read_bytes().replace(b"wait wait", b"wait WAIT", 1))
    with pytest.raises(UserError, match=r"00002\.jsonl, byte 0: the row was changed"):
        rowindex.find_rows(many, {("p003", 1)}, made_by="x")


def test_a_missing_shard_is_named(many):
    shards.shards_of(many)[1].unlink()
    for read in (lambda: ids(many), lambda: rowindex.find_rows(many, {("p000", 0)}, made_by="x")):
        with pytest.raises(UserError, match=r"missing shard: .*rows\.shards/00002\.jsonl"):
            read()


def test_files_of_others_beside_the_shards_are_no_rows(one, many):
    for name in ("00002 (copy).jsonl", "2.jsonl", "notes.jsonl", "00004.jsonl.bak"):
        (shards.folder_of(many) / name).write_text("not a row\n")
    assert Whole(many).digest() == Whole(one).digest()
    assert ids(many) == list(range(8))


def test_what_is_set_aside_takes_its_shards_along(many):
    before = list(rows_file(many).rows())
    kept = io.set_aside(many, copy=True)
    assert kept.name == "rows.previous.jsonl"
    moved = io.set_aside(many)
    assert moved.name == "rows.previous1.jsonl"
    assert not shards.shards_of(many)
    assert not shards.folder_of(many).exists()
    assert list(rows_file(kept).rows()) == list(rows_file(moved).rows()) == before


def test_traces_are_read_once_from_all_shards_of_a_file_or_folder(many):
    from backtracking.sources.rows import read_rows

    for source in (many, many.parent):
        assert [row["example_id"] for row in read_rows(str(source))] == [f"p{n:03}" for n in range(8)]


# A run


@pytest.fixture(scope="session")
def sharded_once(made_once, generated_once):
    """The run of 16 rows, made once more in files of three."""

    def make(folder):
        config = folder / "small.yaml"
        text = (generated_once / "small.yaml").read_text()
        config.write_text(text.replace("top_p: 1.0}", "top_p: 1.0, shard_rows: 3}"))
        type_commands([(command, "-c", "small.yaml") for command in ("prepare-data", "generate")], folder)

    return made_once("sharded", make)


@pytest.fixture
def sharded(sharded_once, workdir):
    """A copy of that run, in the folder that one works in."""
    shutil.copytree(sharded_once, workdir, dirs_exist_ok=True)
    return workdir / ROWS


CONFIG = "small.yaml"


def test_a_run_writes_the_same_rows_in_more_files(sharded, generated_once):
    assert (
        b"".join(file.read_bytes() for file in shards.shards_of(sharded))
        == (generated_once / ROWS).read_bytes()
    )
    assert [io.count_lines(file) for file in shards.shards_of(sharded)[1:]] == [3, 3, 3, 3, 1]


def test_how_rows_are_cut_makes_nothing_stale(generated, cli, small_config):
    outcome = cli("generate", "-c", small_config, "--set", "generation.shard_rows=3")
    assert "up to date" in outcome.err


def truncated(shard):
    shard.write_bytes(shard.read_bytes()[:-100])


def edited(shard):
    shard.write_bytes(shard.read_bytes().replace(b'"sample_id":1', b'"sample_id":0', 1))


def with_garbage(shard):
    shard.write_bytes(shard.read_bytes() + b'{"garbage"')


def linked_elsewhere(shard):
    away = shard.parent.parent.parent / "away.jsonl"
    shard.rename(away)
    edited(away)
    shard.symlink_to(away)


def linked_to_nothing(shard):
    shard.unlink()
    shard.symlink_to("nothing.jsonl")


DISTURBED = {
    "missing": lambda shard: shard.unlink(),
    "empty": lambda shard: shard.write_bytes(b""),
    "truncated": truncated,
    "edited": edited,
    "garbage": with_garbage,
    "another link": linked_elsewhere,
    "a dead link": linked_to_nothing,
}


ANYWHERE = ("missing", "truncated", "edited")


@pytest.mark.parametrize(
    ("how", "number"),
    [*((how, 2) for how in DISTURBED), *((how, number) for how in ANYWHERE for number in (0, 5))],
)
def test_a_disturbed_shard_is_noticed_and_made_good(how, number, sharded, cli):
    before = {file: file.read_bytes() for file in shards.shards_of(sharded)}
    DISTURBED[how](shards.shards_of(sharded)[number])
    states = json.loads(cli("status", "--run-id", "small", "--json").out)["stages"]
    state = next(stage["state"] for stage in states if stage["stage"].startswith("generate"))
    assert state in ("stale", "missing")
    if state == "stale":
        assert_one_clear_message(cli("detect-events", "-c", CONFIG), "baseline")
    outcome = cli("generate", "-c", CONFIG)
    assert outcome.code == 0, outcome.err
    assert {file: file.read_bytes() for file in shards.shards_of(sharded)} == before


def test_a_shard_that_leads_out_of_the_run_is_refused(sharded, cli, workdir):
    shard = shards.shards_of(sharded)[2]
    shard.rename(workdir / "outside.jsonl")
    shard.symlink_to(workdir / "outside.jsonl")
    assert_one_clear_message(cli("generate", "-c", CONFIG), "leads out of the run folder")


def test_a_folder_in_a_shards_place_is_told(sharded, cli):
    shard = shards.shards_of(sharded)[2]
    shard.unlink()
    shard.mkdir()
    assert_one_clear_message(cli("generate", "-c", CONFIG), "00003.jsonl")


def test_more_samples_go_on_behind_the_last_shard(sharded, cli, workdir):
    more = ["--set", "generation.num_samples_per_prompt=3"]
    assert "resuming: 16 of 24" in cli("generate", "-c", CONFIG, *more).err
    grown = b"".join(file.read_bytes() for file in shards.shards_of(sharded))
    assert [io.count_lines(file) for file in shards.shards_of(sharded)[1:]] == [3] * 7
    shutil.rmtree(workdir / "runs/small/generations")
    assert cli("generate", "-c", CONFIG, *more, "--set", "generation.shard_rows=100").code == 0
    assert sharded.read_bytes() == grown


@pytest.mark.slow
def test_a_study_in_many_files_has_the_same_tables_and_figures(finished, tmp_path):
    """Both phases again with five rows to a file: rows, tables and figures are the same to the byte."""
    study.make(tmp_path, "generation.shard_rows=5")
    for run in study.PHASES:
        here, there = tmp_path / "runs" / run, finished / "runs" / run
        for folder in ("analysis", "figures"):
            assert listed(here / folder) == listed(there / folder)
            for name in listed(there / folder):
                assert (here / folder / name).read_bytes() == (there / folder / name).read_bytes(), name
        files = sorted((there / "generations").rglob("*.jsonl"))
        assert len(files) > 4
        for file in files:
            cut = here / file.relative_to(there)
            assert Whole(cut).digest() == Whole(file).digest()
            assert {io.count_lines(part) for part in shards.shards_of(cut)[1:-1]} <= {5}
            assert (len(shards.shards_of(cut)) > 1) == (io.count_lines(file) > 5)
    assert what_readers_see(tmp_path / "runs/demo-phase2") == what_readers_see(finished / "runs/demo-phase2")


def what_readers_see(folder):
    """The index and rows of the explorer, what exports write, and rows from Python."""
    import backtracking as bt
    from backtracking.doors.completions import completions
    from backtracking.explore.explorer import Explorer

    run = bt.open_run(folder)
    explorer = Explorer(run.studies())
    exported = [
        row.row() for study in run.studies() for arm in study.arms() for row in completions(study, arm)
    ]
    shown = explorer.index_json(), [place.read() for place in explorer.index.places]
    explorer.close()
    return *shown, exported, run.conditions, list(run.rows())
