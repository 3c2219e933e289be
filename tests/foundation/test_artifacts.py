"""The registry of artifacts: whole, documented, and the only place that names files."""

import ast
import json
import re
import runpy
from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest

from backtracking.artifacts import labels, phase1, phase2, readings
from backtracking.artifacts.kinds import Table, meanings, with_beside
from backtracking.artifacts.registry import ARTIFACTS, FIGURES, figures_of, with_figures
from backtracking.cli.stage_commands import COMMANDS
from backtracking.figures.catalogue import publish
from backtracking.measurements.events import EVENT_COLUMNS, ONSET_COLUMNS
from backtracking.run.paths import RunPaths

ROOT = Path(__file__).parents[2]
PHASE1_FIGURES = (
    "backtracking_rate_by_variant",
    "backtracking_rate_by_condition",
    "backtracking_vs_accuracy",
    "wait_logit_lens_bt_vs_control",
    "ablation_importance_by_layer",
    "formatting_effect_on_backtracking",
)
PHASE2_FIGURES = (
    "phase2_subset_sweep",
    "phase2_scale_tradeoff",
    "phase2_continuation_effect",
    "phase2_baseline_summary",
)
"""What figures are called, as users know them."""


def test_the_page_is_current():
    render = runpy.run_path(str(ROOT / "scripts/write_artifact_docs.py"))["render"]
    page = (ROOT / "docs/artifacts.md").read_text(encoding="utf-8")
    assert page == render(), "docs/artifacts.md is out of date: run `make docs`"


def test_every_artifact_has_one_place_and_a_maker_that_is_a_command():
    names = [artifact.name for artifact in ARTIFACTS]
    assert len(names) == len(set(names)) > 70
    others = {"audit", "init-run", "label-sample", "detection-quality", "import-labels", "onset-scorer"}
    makers = {artifact.maker.split(" ")[0] for artifact in ARTIFACTS} - {"the"}
    assert makers <= {command.name for command in COMMANDS} | others


def names_of(artifacts):
    return {artifact.name for artifact in artifacts}


def test_the_figures_that_users_know_are_among_them():
    assert set(PHASE1_FIGURES) | set(PHASE2_FIGURES) <= {figure.stem for figure in FIGURES}


@pytest.mark.parametrize("figure", [one for one in FIGURES if one.shows], ids=lambda one: one.stem)
def test_a_figure_of_tables_is_drawn_by_a_function(figure):
    file, _, draw = figure.drawn_by.partition(":")
    assert callable(getattr(import_module(f"backtracking.figures.{file}"), draw))
    last = figure.files[-1]
    assert figure in figures_of(last) and {file.name for file in figure.files} <= names_of(ARTIFACTS)
    assert with_figures([last]) == [last, *figures_of(last)]
    assert {file.maker for file in figure.files} == {figure.maker}


def test_a_published_table_brings_its_figures(tmp_path):
    run = RunPaths(tmp_path / "runs", "one")
    publish(run, phase1.FORMATS, pd.DataFrame(columns=["variant"]))
    figure = phase1.FORMATS_FIGURE
    assert phase1.FORMATS.path(run).exists() and not figure.path(run).exists()
    assert json.loads(figure.card(run).read_text()) == {"nothing": "no baseline completions"}
    formats = {
        "variant": ["a", "b"],
        "total": [9, 9],
        "backtracking_rate": [0.5, 0.2],
        "accuracy": [0.5, 0.5],
    }
    publish(run, phase1.FORMATS, pd.DataFrame(formats))
    assert all(path.exists() for path in with_beside([figure.path(run)]))
    assert "−30.0 points" in json.loads(figure.card(run).read_text())["sees"]


def test_measurements_and_the_registry_know_the_same_events():
    assert set(EVENT_COLUMNS) == set(phase1.EVENTS.columns)
    assert set(ONSET_COLUMNS) == set(phase1.ONSETS.columns)


@pytest.mark.parametrize(
    "room", ["stages", "reports", "cli", "mechanism", "measurements", "sweeps", "figures"]
)
def test_no_other_room_names_files(room):
    """A message or an option may name what the person typed; the registry alone names paths and tables."""
    files = sorted((ROOT / "src/backtracking" / room).rglob("*.py"))
    assert files
    assert [(path.name, name) for path in files for name in named_files(path.read_text())] == []


def named_files(code):
    """File names that stand as literals, but for the defaults of a command's options."""
    tree = ast.parse(code)
    functions = [node.args for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    defaults = {
        id(part)
        for given in functions
        for argument, default in zip(reversed(given.args), reversed(given.defaults), strict=False)
        if argument.annotation is not None and "typer.Option" in ast.unparse(argument.annotation)
        for part in ast.walk(default)
    }
    name = re.compile(r"[a-z0-9_]+\.(csv|safetensors|jsonl|png)")
    literals = (
        node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in defaults
    )
    return [node.value for node in literals if isinstance(node.value, str) and name.fullmatch(node.value)]


def test_a_literal_file_name_is_noticed_wherever_it_stands():
    option = 'out: Annotated[Path, typer.Option("--out")]'
    assert named_files(f'def f({option} = Path("a.csv"), *, b=1):\n    pass') == []
    assert named_files(f'def f({option} = Path("a.csv")):\n    g("b.csv")') == ["b.csv"]
    assert named_files('def f(out: Path = Path("a.csv")):\n    pass') == ["a.csv"]
    assert set(named_files('def f():\n    x = typer.Option("c.png"); y = "d.csv"')) == {"c.png", "d.csv"}


TABLE = Table(
    "analysis/t.csv", "make", "a table", meanings("a: one\nb, c: others \\\nof it", {"z": "shared"})
)


def test_columns_are_known_with_their_endings_and_foreign_ones_are_told():
    assert TABLE.columns == {"z": "shared", "a": "one", "b": "others of it", "c": "others of it"}
    frame = pd.DataFrame(columns=["a", "a_low", "b_diff", "a_p_holm", "low", "x_low"])
    assert TABLE.foreign(frame) == ["b_diff", "low", "x_low"]
    assert TABLE.lacks(frame) == ["z", "b", "c"]
    assert TABLE.lacks(frame, "a", "nothing") == ["nothing"]
    assert phase2.SUBSETS.meaning("backtracking_diff_low").startswith("`backtracking_diff`")


def test_stages_publish_their_tables():
    """A table that a stage writes brings its figures: to add one takes no change of the stage."""
    tables = {
        name
        for room in (phase1, readings, labels, phase2)
        for name, value in vars(room).items()
        if isinstance(value, Table)
    }
    plainly = [
        f"{path.name}: {ast.unparse(call.func)}"
        for path in (ROOT / "src/backtracking/stages").rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "write"
        if ast.unparse(call.func.value).split(".")[-1] in tables
    ]
    assert plainly == []
