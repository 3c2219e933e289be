"""Rows that leave a run come back the same: by Parquet, Hugging Face datasets and Inspect's own reader."""

import json
import math
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from backtracking.api.runs import open_run
from backtracking.artifacts.phase1 import EVENTS
from backtracking.doors.completions import MEANINGS, SCHEMA
from backtracking.doors.datasets_folder import split_names
from backtracking.errors import UserError
from backtracking.explore.study import ArmFile, arms_named
from backtracking.run.io import read_jsonl
from backtracking.run.records import GenerationRecord
from backtracking.sources.rows import read_rows
from tests.explore.conftest import type_command

KEYS = ["variant", "condition", "example_id", "sample_id"]
STORED = ("prompt", "completion", "prompt_ids", "completion_ids", "seed_key", "finish_reason")


def records(folder, run):
    """The rows of a run as they lie on disk."""
    files = sorted((folder / "runs" / run / "generations").glob("*/*.jsonl"))
    found = [row for file in files for row in read_jsonl(file, GenerationRecord, made_by="generate")]
    return {(row.variant, row.condition, row.example_id, row.sample_id): row for row in found}


def plain(value):
    """A cell as Python has it: no array, no missing mark of a library."""
    value = value.tolist() if hasattr(value, "tolist") else value
    return None if isinstance(value, float) and math.isnan(value) else value


def holds_all(rows, stored):
    """Whether the rows are those on disk, to the letter and the token."""
    found = {tuple(plain(row[key]) for key in KEYS): row for row in rows}
    assert found.keys() == stored.keys()
    for key, record in stored.items():
        row = found[key]
        for name in STORED:
            assert plain(row[name]) == getattr(record, name), name
        assert json.loads(row["gen_params"]) == record.gen_params
        for name in ("logprobs", "entropies"):
            read = plain(row[name])
            kept = getattr(record, name)
            assert (read is None) == (kept is None)
            if kept is not None:
                assert read == pytest.approx(kept, rel=1e-6, abs=1e-6)


@pytest.fixture(scope="module")
def parquet(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("parquet") / "demo"
    type_command("export", "parquet", str(folder / "runs/demo"), "--out", str(out))
    return out


def test_duckdb_reads_the_same_rows_and_measures(folder, parquet):
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    table = duckdb.sql(f"SELECT * FROM read_parquet('{parquet}/completions/**/*.parquet')")
    kinds = dict(zip(table.columns, map(str, table.types), strict=True))
    assert (kinds["is_correct"], kinds["sample_id"], kinds["completion_ids"]) == (
        "BOOLEAN",
        "BIGINT",
        "INTEGER[]",
    )
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.fetchall()]
    holds_all(rows, records(folder, "demo"))
    events = EVENTS.read(open_run(folder / "runs/demo").paths)
    counted = duckdb.sql(
        "SELECT variant, count(*), sum(has_backtracking_strict::int), sum(is_correct::int), "
        "sum(n_onsets_doubt) "
        f"FROM read_parquet('{parquet}/completions/**/*.parquet') GROUP BY variant ORDER BY variant"
    ).fetchall()
    expected = [
        (
            variant,
            len(part),
            part["has_backtracking_strict"].sum(),
            part["is_correct"].astype("boolean").sum(),
            part["n_onsets_doubt"].sum(),
        )
        for variant, part in events.groupby("variant")
    ]
    assert counted == expected


def test_polars_reads_the_same_rows_and_onsets(folder, parquet):
    polars = pytest.importorskip("polars", reason="polars is not installed")
    table = polars.scan_parquet(parquet / "completions/**/*.parquet").collect()
    holds_all(table.to_dicts(), records(folder, "demo"))
    onsets = polars.read_parquet(parquet / "tables/onsets.parquet")
    counts = table.select(polars.col("onsets").list.len().sum()).item()
    assert counts == len(onsets) > 0
    for row in table.to_dicts():
        for onset in row["onsets"]:
            said = row["completion"][onset["char_start"] : onset["char_end"]]
            assert said.lower() == onset["phrase"].lower()
            assert row["completion_ids"][onset["token_start"]] == onset["token_id"]


def test_tables_come_back_as_they_are(folder, parquet):
    run = open_run(folder / "runs/demo")
    for name in ("backtracking_events", "onsets", "ablation_importance", "direction"):
        ours, theirs = run.table(name), pd.read_parquet(parquet / "tables" / f"{name}.parquet")
        assert list(ours) == list(theirs)
        pd.testing.assert_frame_equal(
            ours.astype(object).where(ours.notna(), None),
            theirs.astype(object).where(theirs.notna(), None),
            check_dtype=False,
        )


def test_hugging_face_loads_the_same_rows(folder, tmp_path):
    datasets = pytest.importorskip("datasets")
    out = tmp_path / "rows"
    type_command("export", "hf", str(folder / "runs/demo-phase2"), "--out", str(out))
    assert datasets.get_dataset_config_names(str(out)) == ["baseline_think_newline"]
    loaded = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    assert set(loaded) == {"baseline", "attn_last_x0.5", "no_direction", "no_trigger_tokens"}
    rows = [row for split in loaded.values() for row in split]
    holds_all(rows, records(folder, "demo-phase2"))
    assert set(loaded["baseline"].features) == set(SCHEMA.names)
    card = (out / "README.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in card for name in SCHEMA.names)


def test_split_names_are_taken_once():
    arms = [ArmFile("v", name, None) for name in ("a-b", "a_b", "x0.5", "..", "a+b")]
    names = split_names(arms)
    assert len(set(names.values())) == len(arms)
    assert names[arms[2]] == "x0.5"


@pytest.fixture(scope="module")
def logs(folder, tmp_path_factory):
    pytest.importorskip("inspect_ai", reason="inspect_ai is not installed: pip install backtracking[inspect]")
    out = tmp_path_factory.mktemp("inspect") / "logs"
    type_command("export", "inspect", str(folder / "runs/demo"), "--out", str(out))
    return out


def test_inspect_reads_its_logs(folder, logs):
    from inspect_ai.log import list_eval_logs, read_eval_log

    listed = list_eval_logs(str(logs))
    assert {info.task for info in listed} == {"baseline-think-newline.baseline", "no-think-tags.baseline"}
    stored = records(folder, "demo")
    events = EVENTS.read(open_run(folder / "runs/demo").paths).set_index(KEYS)
    seen = 0
    for info in listed:
        log = read_eval_log(info)
        assert log.status == "success"
        where = log.eval.task_args
        part = events.loc[where["variant"], where["condition"]]
        metrics = {score.name: score.metrics for score in log.results.scores}
        assert metrics["answer"]["accuracy"].value == pytest.approx((part["is_correct"] == True).mean())  # noqa: E712
        for sample in log.samples:
            key = (where["variant"], where["condition"], sample.id, sample.epoch - 1)
            record, event = stored[key], events.loc[key]
            message = sample.output.choices[0].message
            thought = [part.reasoning for part in message.content if part.type == "reasoning"]
            said = [part.text for part in message.content if part.type == "text"]
            closed = "</think>" if "</think>" in record.completion else ""
            assert "".join([*thought, closed, *said]) == record.completion
            assert bool(thought) == (where["variant"] != "no_think_tags" or bool(closed))
            assert sample.scores["backtracking"].value == int(event["has_backtracking_strict"])
            right = {"True": "C", "False": "I"}.get(str(event["is_correct"]), "N")
            assert sample.scores["answer"].value == right
            assert sample.target in sample.scores["answer"].explanation
            seen += 1
    assert seen == len(stored)


def test_our_own_import_reads_the_same_text(folder, logs):
    said = sorted(row["text"] for row in read_rows(str(logs)))
    assert said == sorted(record.completion for record in records(folder, "demo").values())


def test_a_process_that_has_not_loaded_inspect_reads_its_archives(folder, logs):
    packed = [member for path in logs.glob("*.eval") for member in zipfile.ZipFile(path).infolist()]
    if not any(member.compress_type == 93 for member in packed):
        pytest.skip("this version of inspect_ai packs no zstandard")
    script = (
        "import sys, json; from backtracking.sources.rows import read_rows\n"
        "if sys.argv[2:]: sys.modules['zipfile_zstd'] = None\n"
        "print(json.dumps(sorted(row['text'] for row in read_rows(sys.argv[1]))))"
    )

    def read(*asked):
        command = [sys.executable, "-c", script, str(logs), *asked]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    read_by_itself = read()
    assert read_by_itself.returncode == 0, read_by_itself.stderr
    wanted = sorted(record.completion for record in records(folder, "demo").values())
    assert json.loads(read_by_itself.stdout) == wanted
    if sys.version_info < (3, 14):
        assert "UserError" in (said := read("without").stderr) and "pip install zipfile-zstd" in said


def test_traces_from_elsewhere_leave_by_every_door(inside, tmp_path):
    pyarrow = pytest.importorskip("pyarrow.dataset")
    type_command("export", "parquet", "imported", "--out", str(tmp_path / "p"))
    rows = pyarrow.dataset(tmp_path / "p/completions", partitioning="hive").to_table().to_pylist()
    texts = {row["example_id"]: row["completion"] for row in rows}
    assert texts["a"].startswith("2+3=6. Wait") and "☂" in texts["b"]
    assert {row["is_correct"] for row in rows} == {True, False}
    type_command("export", "hf", "imported", "--out", str(tmp_path / "h"))
    pytest.importorskip("inspect_ai")
    type_command("export", "inspect", "imported", "--out", str(tmp_path / "i"))
    assert {row["text"] for row in read_rows(str(tmp_path / "i"))} == set(texts.values())


def test_nothing_is_overwritten_and_unknown_arms_are_named(inside, tmp_path):
    study = open_run("demo").studies()[-1]
    with pytest.raises(UserError, match="there are: baseline"):
        arms_named(study, ["nonesuch"])
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("mine")
    with pytest.raises(AssertionError, match="2"):
        type_command("export", "hf", "demo", "--out", str(tmp_path / "full"))
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]


def test_a_door_says_which_extra_it_takes(inside, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("backtracking.doors.extras.find_spec", lambda _: None)
    with pytest.raises(AssertionError):
        type_command("export", "inspect", "demo", "--out", str(tmp_path / "logs"))
    assert "pip install 'backtracking[inspect]'" in capsys.readouterr().err


def test_the_query_in_the_docs_counts_unanswered_completions_as_the_reports_do():
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    text = (Path(__file__).parents[2] / "docs" / "doors.md").read_text()
    (accuracy,) = re.findall(r'^accuracy = "(.+)"$', text, re.M)
    rows = "(VALUES (true, true), (false, true), (NULL, true), (NULL, false)) AS rows(is_correct, has_gold)"
    assert duckdb.sql(f"SELECT {accuracy} FROM {rows}").fetchall() == [(pytest.approx(1 / 3),)]


def test_no_two_columns_are_described_alike():
    assert len(set(MEANINGS.values())) == len(MEANINGS)


def test_an_export_counts_arms_and_formats_and_is_silent_where_asked(folder, tmp_path, capsys):
    asked = ("export", "parquet", str(folder / "runs/demo"), "--arm", "baseline")
    type_command(*asked, "--out", str(tmp_path / "told"))
    told = capsys.readouterr().out.splitlines()[-1]
    formats = len(list((tmp_path / "told/completions").glob("variant=*")))
    assert told.endswith("of 1 arm" + (f" in {formats} prompt formats" if formats > 1 else ""))
    type_command(*asked, "--quiet", "--out", str(tmp_path / "silent"))
    assert capsys.readouterr().out == "" and (tmp_path / "silent").is_dir()
