"""Problems come from anywhere into one shape, or say clearly why they can't."""

import json
import shutil

import pandas as pd
import pytest

from backtracking.config.schema import DatasetConfig
from backtracking.errors import UserError
from backtracking.sources.problems import load_problems
from tests.foundation.command import assert_one_clear_message

ROWS = [
    {"question": f"Question {number}?", "answer": f"Think.\n#### {1000 + number:,}"} for number in range(20)
]


def save(folder, kind):
    path = folder / f"data.{kind}"
    if kind == "jsonl":
        path.write_text("\n".join(map(json.dumps, ROWS)) + "\n")
    elif kind == "json":
        path.write_text(json.dumps({"data": ROWS}))
    elif kind == "csv":
        pd.DataFrame(ROWS).to_csv(path, index=False)
    elif kind == "parquet":
        pd.DataFrame(ROWS).to_parquet(path)
    else:
        import datasets

        path = folder / "saved"
        datasets.Dataset.from_list(ROWS).save_to_disk(str(path))
    return path


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "parquet", "folder"])
def test_every_format_gives_the_same_problems(kind, tmp_path):
    config = DatasetConfig(path=str(save(tmp_path, kind)), max_examples=7, seed=3)
    found = load_problems(config)
    expected = load_problems(DatasetConfig(path=str(save(tmp_path, "jsonl")), max_examples=7, seed=3))
    assert [problem.id.replace("saved-", "data-") for problem in found] == [one.id for one in expected]
    assert [(one.question, one.answer) for one in found] == [(one.question, one.answer) for one in expected]
    assert len(found) == 7
    for problem in found:
        number = int(problem.id.rsplit("-", 1)[1])
        assert problem.question == f"Question {number}?"
        assert problem.answer_value == str(1000 + number)


def test_a_larger_draw_begins_with_the_smaller_one(tmp_path):
    path = str(save(tmp_path, "jsonl"))
    few = load_problems(DatasetConfig(path=path, max_examples=5, seed=1))
    many = load_problems(DatasetConfig(path=path, max_examples=12, seed=1))
    other = load_problems(DatasetConfig(path=path, max_examples=12, seed=2))
    assert many[:5] == few
    assert [p.id for p in other] != [p.id for p in many]


def test_unshuffled_takes_the_first(tmp_path):
    found = load_problems(DatasetConfig(path=str(save(tmp_path, "jsonl")), max_examples=2, shuffle=False))
    assert [problem.question for problem in found] == ["Question 0?", "Question 1?"]


def test_tiny_arithmetic_is_made_on_the_spot():
    found = load_problems(DatasetConfig(name="tiny_arithmetic", max_examples=30, seed=4))
    assert len({problem.id for problem in found}) == 30
    assert found == load_problems(DatasetConfig(name="tiny_arithmetic", max_examples=30, seed=4))
    assert all(problem.answer.endswith(f"#### {problem.answer_value}") for problem in found)


BAD = {
    "no gold": ('{"question": "a", "answer": "it is 42"}', "#### N"),
    "a word": ('{"question": "a", "answer": "maybe"}', "#### N"),
    "no answer": ('{"question": "a"}', "no answer"),
    "broken line": ('{"question": "a", "answer": "#### 1"}\n{nope', "line 2"),
    "repeated id": ('{"id": 1, "question": "a", "answer": "#### 1"}\n' * 2, "appears twice"),
    "empty": ("", "no problems"),
    "not a mapping": ("[1, 2]", "not a mapping"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_data_is_refused_with_the_row(case, tmp_path):
    text, expected = BAD[case]
    path = tmp_path / "bad.jsonl"
    path.write_text(text)
    with pytest.raises(UserError, match=expected):
        load_problems(DatasetConfig(path=str(path)))


def test_missing_path_and_unknown_ending(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        load_problems(DatasetConfig(path=str(tmp_path / "nothing.jsonl")))
    (tmp_path / "data.xyz").touch()
    with pytest.raises(UserError, match="unknown ending"):
        load_problems(DatasetConfig(path=str(tmp_path / "data.xyz")))


def test_offline_hub_says_what_it_tried_and_what_to_set(monkeypatch):
    import datasets

    def refuse(*_, **__):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(UserError) as caught:
        load_problems(DatasetConfig())
    assert "openai/gsm8k" in str(caught.value)
    assert "dataset.path" in str(caught.value)


def test_only_empty_cells_are_missing(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text('question,answer\nNA,x #### 3\n"",y #### 4\n')
    with pytest.raises(UserError, match="row 2: no question"):
        load_problems(DatasetConfig(path=str(path)))
    path.write_text("question,answer\nNA,x #### 3 #### 4\n")
    (problem,) = load_problems(DatasetConfig(path=str(path)))
    assert (problem.question, problem.answer_value) == ("NA", "4")


def test_an_answer_value_is_enough(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text('{"question": "How many?", "answer_value": 1250}\n')
    (problem,) = load_problems(DatasetConfig(path=str(path)))
    assert (problem.answer, problem.answer_value) == ("#### 1250", "1250")


@pytest.mark.parametrize(("given", "kept"), [("1,250", "1250"), ("12,5", "12,5"), ("{1,2}", "{1,2}")])
def test_only_commas_between_thousands_go(tmp_path, given, kept):
    path = tmp_path / "data.jsonl"
    rows = [{"question": "How many?", "answer_value": given}, {"question": "And?", "answer": f"#### {given}"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [problem.answer_value for problem in load_problems(DatasetConfig(path=str(path)))] == [kept] * 2


def renamed(folder, kind):
    """The same rows under a dataset's own names, saved in a format."""
    others = [{"problem": row["question"], "solution": row["answer"]} for row in ROWS]
    path = folder / f"other.{kind}"
    if kind == "folder":
        import datasets

        datasets.Dataset.from_list(others).save_to_disk(str(path.with_suffix("")))
        return path.with_suffix("")
    frame = pd.DataFrame(others)
    writers = {
        "jsonl": lambda: frame.to_json(path, orient="records", lines=True),
        "json": lambda: frame.to_json(path, orient="records"),
        "csv": lambda: frame.to_csv(path, index=False),
        "parquet": lambda: frame.to_parquet(path),
    }
    writers[kind]()
    return path


COLUMNS = {"question": "problem", "answer": "solution"}


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "parquet", "folder"])
def test_other_columns_give_the_same_problems(kind, tmp_path):
    found = load_problems(DatasetConfig(path=str(renamed(tmp_path, kind)), columns=COLUMNS))
    expected = load_problems(DatasetConfig(path=str(save(tmp_path, "jsonl"))))
    assert [problem.id.replace("other-", "data-") for problem in found] == [one.id for one in expected]
    assert [(one.question, one.answer) for one in found] == [(one.question, one.answer) for one in expected]


def test_other_columns_of_the_hub(monkeypatch):
    import datasets

    rows = [
        {"problem": "2 + 3?", "answer": "5", "uid": "a"},
        {"problem": "1 + 3?", "answer": "4", "uid": "b"},
    ]
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: datasets.Dataset.from_list(rows))
    named = {"question": "problem", "answer_value": "answer", "id": "uid"}
    found = load_problems(DatasetConfig(name="somebody/sums", columns=named, shuffle=False))
    assert [(p.id, p.question, p.answer_value) for p in found] == [("a", "2 + 3?", "5"), ("b", "1 + 3?", "4")]


def test_columns_may_change_places(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text('{"answer": "2 + 3?", "question": "#### 5"}\n')
    swapped = DatasetConfig(path=str(path), columns={"question": "answer", "answer": "question"})
    assert [(p.question, p.answer_value) for p in load_problems(swapped)] == [("2 + 3?", "5")]


def test_a_misspelt_column_is_named_beside_those_there_are(tmp_path):
    path = renamed(tmp_path, "csv")
    with pytest.raises(UserError, match="no column 'probelm'") as caught:
        load_problems(DatasetConfig(path=str(path), columns={**COLUMNS, "question": "probelm"}))
    assert "problem, solution" in str(caught.value) and "'problem' is meant" in str(caught.value)


def test_the_mapping_is_suggested_where_a_column_is_missing(tmp_path):
    with pytest.raises(UserError, match="no question and no answer") as caught:
        load_problems(DatasetConfig(path=str(renamed(tmp_path, "jsonl"))))
    assert "columns: {question: problem, answer: solution}" in caught.value.next_step
    path = tmp_path / "bare.jsonl"
    path.write_text('{"question": "2 + 3?", "prompt": "x", "target": "5"}\n')
    with pytest.raises(UserError, match="no answer") as caught:
        load_problems(DatasetConfig(path=str(path)))
    assert caught.value.next_step.endswith("columns: {answer_value: target}")


def test_unreadable_bytes_are_the_persons_to_mend(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_bytes('{"question": "Wie groß?"}'.encode("latin-1"))
    with pytest.raises(UserError, match="cannot read"):
        load_problems(DatasetConfig(path=str(path)))


def test_prepared_problems_never_replace_other_files(cli, workdir):
    source = workdir / "mine.jsonl"
    source.write_text("\n".join(map(json.dumps, ROWS)) + "\n")
    before = source.read_bytes()
    (workdir / "c.yaml").write_text("run: {run_id: r}\ndataset: {max_examples: 3}\n")
    for save_path in ("mine.jsonl", "./mine.jsonl"):
        sets = ["--set", "dataset.path=mine.jsonl", "--set", f"dataset.save_path={save_path}"]
        assert_one_clear_message(cli("prepare-data", "-c", "c.yaml", *sets), "save_path is path")
    other = workdir / "other.jsonl"
    other.write_text('{"mine": 1}\n')
    sets = ["--set", "dataset.path=mine.jsonl", "--set", "dataset.save_path=other.jsonl"]
    assert_one_clear_message(cli("prepare-data", "-c", "c.yaml", *sets), "does not hold prepared problems")
    assert source.read_bytes() == before and other.read_text() == '{"mine": 1}\n'


def test_a_changed_dataset_folder_is_noticed(cli, workdir):
    import datasets

    path = save(workdir, "folder")
    (workdir / "c.yaml").write_text(f"run: {{run_id: r}}\ndataset: {{path: {path}, shuffle: false}}\n")
    assert cli("prepare-data", "-c", "c.yaml").code == 0
    assert "up to date" in cli("prepare-data", "-c", "c.yaml").err
    shutil.rmtree(path)
    datasets.Dataset.from_list(ROWS[::-1]).save_to_disk(str(path))
    assert "up to date" not in cli("prepare-data", "-c", "c.yaml").err
    assert "Question 19?" in (workdir / "runs/r/dataset.jsonl").read_text().splitlines()[0]


def test_problems_of_a_time_without_the_key_stay_done_until_it_is_set(cli, workdir):
    path = save(workdir, "jsonl")
    (workdir / "c.yaml").write_text(f"run: {{run_id: r}}\ndataset: {{path: {path}}}\n")
    assert cli("prepare-data", "-c", "c.yaml").code == 0
    meta = workdir / "runs/r/meta.json"
    record = json.loads(meta.read_text())
    assert "dataset.columns" in record["stages"]["prepare-data"]["config"]
    del record["stages"]["prepare-data"]["config"]["dataset.columns"]
    meta.write_text(json.dumps(record))
    assert "up to date" in cli("prepare-data", "-c", "c.yaml").err
    changed = cli("prepare-data", "-c", "c.yaml", "--set", "dataset.columns.id=question")
    assert "up to date" not in changed.err


def test_half_a_character_in_a_row_is_named(workdir):
    (workdir / "half.jsonl").write_text('{"question": "how \\ud800 many?", "answer": "#### 1"}\n')
    with pytest.raises(UserError, match="row 1: question is not text"):
        load_problems(DatasetConfig(path="half.jsonl"))
