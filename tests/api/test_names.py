"""The front door is light, complete, typed and documented."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import backtracking as bt

SOURCE = Path(bt.__file__).parent
DOCS = Path(__file__).parents[2] / "docs" / "api.md"


def run_alone(code):
    return subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)


def test_importing_it_loads_nothing_heavy():
    done = run_alone(
        "import sys, backtracking\n"
        "heavy = {'torch', 'transformers', 'pandas', 'numpy', 'pydantic', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    assert done.returncode == 0, done.stderr


def test_writing_down_arms_loads_no_torch():
    done = run_alone(
        "import sys, backtracking as bt\n"
        "arm = bt.scale('attn', 5, 0.5) + bt.zero('mlp', [1, 2]) + bt.suppress_triggers()\n"
        "assert arm.name == 'attn5x0.5+mlp1x0+mlp2x0+suppress_triggers', arm.name\n"
        "assert not {'torch', 'transformers', 'pandas'} & set(sys.modules)"
    )
    assert done.returncode == 0, done.stderr


def test_names_stay_callable_after_modules_were_imported():
    """No submodule may shadow a public name."""
    modules = {path.stem for path in SOURCE.iterdir()}
    assert not modules & set(bt.__all__)


def test_every_name_is_there_and_typed():
    tree = ast.parse((SOURCE / "__init__.py").read_text())
    typed = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module.startswith("backtracking.api")
        for alias in node.names
    }
    assert typed == {name: f"backtracking.api.{home}" for name, home in bt._HOME.items()}
    assert set(bt.__all__) == set(bt._HOME) == {name for name in dir(bt) if not name.startswith("_")}
    for name in bt.__all__:
        assert getattr(bt, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        _ = bt.lode


def test_every_name_is_in_the_docs():
    page = DOCS.read_text(encoding="utf-8")
    assert [name for name in bt.__all__ if f"bt.{name}" not in page] == []
    for kind in (bt.LanguageModel, bt.Rows, bt.Run):
        methods = [name for name in vars(kind) if not name.startswith("_")]
        assert [name for name in methods if f"`{name}" not in page and f".{name}" not in page] == []


@pytest.mark.parametrize("path", sorted((SOURCE / "api").glob("*.py")), ids=lambda path: path.stem)
def test_everything_public_has_a_docstring(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.ClassDef)
    inner = {
        id(node) for outer in ast.walk(tree) if isinstance(outer, ast.FunctionDef) for node in ast.walk(outer)
    } - {id(outer) for outer in ast.walk(tree) if isinstance(outer, ast.FunctionDef)}
    lacking = [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, kinds)
        and id(node) not in inner
        and not node.name.startswith("_")
        and not any("overload" in ast.unparse(mark) for mark in node.decorator_list)
        and ast.get_docstring(node) is None
    ]
    assert ast.get_docstring(tree) and lacking == []


def test_signatures_show_defaults():
    assert inspect.signature(bt.load).parameters["model"].default == "bundled"


def test_an_arm_tells_a_notebook_what_it_does():
    both = bt.scale("attn", 5, 0.5) + bt.suppress_triggers(["<Wait>"])
    html = both._repr_html_()
    assert "scale 0.5 on attn 5, decode" in html and "&lt;Wait&gt;" in html and "<Wait>" not in html
    assert "10 draws" in bt.random_like(bt.zero("mlp", 3), draws=10)._repr_html_()
    assert "does: none" in bt.baseline._repr_html_()
