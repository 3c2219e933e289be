"""Tables stay exact on the way through a file, and no cell of theirs runs in a spreadsheet."""

import csv

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtracking.measurements.events import table_writer
from backtracking.run import io
from backtracking.run.cells import harmless, original

TEXTS = st.text(alphabet="=+-@'\t\r\n1a,.\" ", max_size=6)


@given(st.lists(TEXTS.filter(bool), min_size=1, max_size=8))
def test_every_text_reads_back_as_it_was(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("cells") / "table.csv"
    io.write_csv(path, pd.DataFrame({"example_id": texts, "n": range(len(texts))}))
    read = io.read_csv(path)
    assert read["example_id"].tolist() == texts


@pytest.mark.parametrize(
    "cell", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\n=1", "＝1+1", "=HYPERLINK(1)"]
)
def test_what_a_spreadsheet_would_run_is_marked(tmp_path, cell):
    io.write_csv(
        tmp_path / "t.csv", pd.DataFrame({"predicted_answer": [cell, "-5", "+1,250.5", "18", "a=b"]})
    )
    with (tmp_path / "t.csv").open(newline="") as file:
        written = [row[0] for row in csv.reader(file)][1:]
    assert written == [f"'{cell}", "-5", "+1,250.5", "18", "a=b"]


@given(st.lists(TEXTS, min_size=1, max_size=8))
def test_row_by_row_the_same_is_written(tmp_path_factory, texts):
    """Events, onsets and sentence labels grow row by row."""
    folder = tmp_path_factory.mktemp("cells")
    table = pd.DataFrame({"example_id": texts, "n": range(len(texts))})
    with table_writer(folder / "rows.csv", list(table.columns)) as rows:
        rows.writerows(table.to_dict("records"))
    io.write_csv(folder / "whole.csv", table)
    assert (folder / "rows.csv").read_bytes() == (folder / "whole.csv").read_bytes()


def test_tables_without_such_cells_are_written_as_before(tmp_path):
    table = pd.DataFrame({"a": ["x", None, "NA"], "b": [1.5, None, -2.0], "c": [True, False, True]})
    io.write_csv(tmp_path / "t.csv", table)
    assert (tmp_path / "t.csv").read_bytes() == table.to_csv(index=False, lineterminator="\r\n").encode()


def test_only_texts_that_begin_like_formulas_are_changed():
    """Whatever columns stand before them; the table that was given stays as it was."""
    table = pd.DataFrame(
        {
            "n": [1, 2],
            "plain": ["x", "y"],
            "signed": ["-5", "+3"],
            "first": pd.Series(["=1", "z"], dtype=object),
            "mixed": pd.Series([-2, "@a"], dtype=object),
            "last": ["a", "-b"],
        }
    )
    before = table.copy(deep=True)
    marked = harmless(table)
    assert marked.to_dict("list") == {
        "n": [1, 2], "plain": ["x", "y"], "signed": ["-5", "+3"], "first": ["'=1", "z"],
        "mixed": [-2, "'@a"], "last": ["a", "'-b"],
    }  # fmt: skip
    pd.testing.assert_frame_equal(table, before)
    assert original(marked).to_dict("list") == before.to_dict("list")
    assert harmless(table[["n", "plain"]]).equals(before[["n", "plain"]])
