"""The layers hold: imports point one way, text and report layers stay light, importing does nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "backtracking"

RUN = (
    "errors seed records interventions config config_base config_phase2 configfile paths io "
    "provenance progress runmeta"
)
TEXT = "tokenization prompts detect answers quantities arithmetic equalities expressions"
LAYERS = {
    **dict.fromkeys(RUN.split(), 0),
    **dict.fromkeys(TEXT.split(), 1),
    "organism": 2,
    "problems": 3,
    "modeling": 3,
    "schedule": 4,
    "ledger": 4,
    "gates": 4,
    "sampling": 4,
    "hooks": 5,
    "conditions": 1,
    "rows": 5,
    "reference": 6,
    "engine": 6,
    "generate": 7,
    "analysis": 8,
    "report": 9,
    "reports": 9,
    "doctor": 9,
    "stages": 10,
    "cli": 11,
}
LIGHT = [
    *(f"backtracking.{name}" for name in (*RUN.split(), *TEXT.split())),
    "backtracking.conditions",
    "backtracking.cli",
    "backtracking.report",
    "backtracking.stages.plan",
    "backtracking.analysis.events",
    "backtracking.analysis.statistics",
    "backtracking.analysis.metrics_v2",
    "backtracking.analysis.figures",
    "backtracking.analysis.plots",
    "backtracking.analysis.plots_phase2",
    "backtracking.analysis.plots_mechanism",
    "backtracking.analysis.plots_circuit",
    "backtracking.analysis.plots_causes",
    "backtracking.analysis.controls",
]


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def part(module: str) -> str:
    """`backtracking.analysis.plots` belongs to `analysis`."""
    pieces = module.split(".")
    return pieces[1] if len(pieces) > 1 else ""


def imported(path: Path) -> set[str]:
    """What a file imports when it runs, wherever in the file; type-checking imports do not count."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.startswith("backtracking.")}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_one_way(path):
    own = path.relative_to(SOURCE).with_suffix("").parts[0]
    if own == "__init__":
        return
    assert own in LAYERS, f"{own} has no layer yet: give it one in {Path(__file__).name}"
    wrong = [name for name in imported(path) if part(name) in LAYERS and LAYERS[part(name)] > LAYERS[own]]
    assert wrong == [], f"{own} must not import {wrong}"


@pytest.mark.parametrize("module", LIGHT)
def test_light_modules_import_no_torch(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_help_and_config_check_import_no_torch_pandas_or_matplotlib():
    for arguments in (["--help"], ["config", "check", str(SOURCE.parents[1] / "configs/demo.yaml")]):
        code = (
            "import sys\n"
            "from backtracking.cli import main\n"
            f"sys.argv = ['backtracking', *{arguments!r}]\n"
            "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
            "heavy = {'torch', 'pandas', 'matplotlib', 'transformers', 'scipy'} & set(sys.modules)\n"
            "assert not heavy, heavy\n"
        )
        done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_importing_everything_prints_nothing_makes_nothing_and_sets_no_style(tmp_path):
    names = [
        ".".join(("backtracking", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")
        for path in modules()
        if path.name != "__main__.py"
    ]
    code = (
        "import importlib, os, sys\n"
        "import matplotlib; before = dict(matplotlib.rcParams)\n"
        f"for name in {names!r}:\n    importlib.import_module(name)\n"
        "assert dict(matplotlib.rcParams) == before, 'a module changed global plot styles'\n"
        "assert not os.listdir('.'), os.listdir('.')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--unparsed"], cwd=tmp_path, check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
