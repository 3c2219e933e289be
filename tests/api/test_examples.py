"""Every example runs, on little."""

import re
import runpy
import sys
from pathlib import Path

import nbformat
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
SIZES = {"steer": ("24", "3")}
"""Problems and samples, where a few do not make a direction."""
FEWER = re.compile(r"(bt\.problems\()\d+")
SHOWN = {
    "generate_under_arms": "random_like_attn5x0.5 against the baseline",
    "scan": "onset readable from layer",
    "steer": "project",
    "own_detector": "second attempts",
    "own_dataset": "most often wrong",
}


def test_the_table_names_all_of_them():
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    names = [*(path.name for path in SCRIPTS), "tour.ipynb"]
    assert [name for name in names if f"[{name}]({name})" not in page] == []
    assert {path.stem for path in SCRIPTS} == set(SHOWN)
    assert [path.name for path in SCRIPTS if len(path.read_text().splitlines()) > 40] == []


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_it_runs(script, tmp_path, monkeypatch, capsys):
    problems, samples = SIZES.get(script.stem, ("8", "2"))
    monkeypatch.setattr(sys, "argv", [str(script), "--problems", problems, "--samples", samples])
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(script), run_name="__main__")
    assert SHOWN[script.stem] in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_the_notebook_holds_no_outputs():
    notebook = nbformat.read(EXAMPLES / "tour.ipynb", as_version=4)
    assert [cell for cell in notebook.cells if cell.get("outputs") or cell.get("execution_count")] == []


@pytest.mark.slow
def test_the_notebook_runs(tmp_path, monkeypatch):
    from nbclient import NotebookClient

    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES.parent / "src"))
    notebook = nbformat.read(EXAMPLES / "tour.ipynb", as_version=4)
    for cell in notebook.cells:
        cell.source = FEWER.sub(r"\g<1>10", cell.source)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    kinds = {
        kind for cell in notebook.cells for shown in cell.get("outputs", ()) for kind in shown.get("data", ())
    }
    assert {"text/html", "image/png"} <= kinds
