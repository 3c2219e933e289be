"""The layers hold: imports point one way, text and report layers stay light, importing does nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "backtracking"

CHAPTERS = {
    "What is asked for": [{"errors", "__init__", "run"}, {"interventions"}, {"config"}],
    "What is read: words, problems, a model to try them on": [{"text"}, {"organism"}, {"sources"}],
    "The model, what is done to it, and what it writes": [{"model"}, {"engine"}],
    "What is counted": [{"measurements"}, {"artifacts"}],
    "What is tried on the model": [{"mechanism"}, {"sweeps"}],
    "What is concluded and shown": [{"claims"}, {"figures"}, {"explore", "reports"}, {"doors"}],
    "What drives it all": [{"stages"}, {"calibration"}, {"api"}, {"cli"}, {"__main__"}],
}
"""The rooms in the order in which they are read, from the bottom up: a room imports from those before it."""
ROOMS = [rooms for chapter in CHAPTERS.values() for rooms in chapter]
LAYER = {room: number for number, rooms in enumerate(ROOMS) for room in rooms}
EARLIER = {"analysis", "earlier", "hooks", "paths", "prompts"}
"""Import paths of the earlier study: they lead into the house, and nothing in it uses them."""
LIGHT = (
    "errors",
    "run",
    "interventions",
    "config",
    "text",
    "measurements",
    "artifacts",
    "claims",
    "explore",
    "figures",
    "reports",
    "cli",
)
"""Rooms that import no torch."""


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def part(module: str) -> str:
    """`backtracking.figures.phase1` belongs to `figures`."""
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


def own_room(path: Path) -> str:
    return path.relative_to(SOURCE).with_suffix("").parts[0]


def name_of(path: Path) -> str:
    parts = ("backtracking", *path.relative_to(SOURCE).with_suffix("").parts)
    return ".".join(parts).removesuffix(".__init__")


def test_imports_point_one_way():
    later = {path: own for path in modules() if (own := own_room(path)) not in EARLIER}
    homeless = set(later.values()) - set(LAYER)
    assert not homeless, f"{homeless} have no place yet: give them one in {Path(__file__).name}"
    wrong = [
        f"{path.relative_to(SOURCE)} must not import {name}"
        for path, own in later.items()
        for name in imported(path)
        if part(name) in EARLIER or (part(name) in LAYER and LAYER[part(name)] > LAYER[own])
    ]
    assert wrong == []


def test_no_file_imports_itself_by_a_detour():
    """Cycles inside a room, and those that local imports hide, count as well."""
    names = {name_of(path): path for path in modules()}
    graph = {}
    for name, path in names.items():
        found = {target if target in names else target.rpartition(".")[0] for target in imported(path)}
        graph[name] = sorted(found & names.keys() - {name})
    assert list(cycles(graph)) == []


def cycles(graph):
    """Each cycle that a walk in depth meets."""
    done, trail = set(), []

    def walk(name):
        if name in trail:
            yield [*trail[trail.index(name) :], name]
        elif name not in done:
            trail.append(name)
            for target in graph[name]:
                yield from walk(target)
            trail.pop()
            done.add(name)

    for name in graph:
        yield from walk(name)


def test_light_rooms_import_no_torch():
    names = [name_of(path) for path in modules() if own_room(path) in LIGHT and path.name != "__main__.py"]
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        "    importlib.import_module(name)\n"
        "    heavy = {'torch', 'transformers'} & set(sys.modules)\n"
        "    assert not heavy, f'{name} imports {heavy}'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


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


def test_every_public_name_says_what_it_is():
    silent = []
    for path in modules():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        public = [
            node
            for node in tree.body
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")
        ]
        silent += [f"{path}: {node.name}" for node in public if not ast.get_docstring(node)]
        silent += [str(path)] if not ast.get_docstring(tree) and path.name != "__main__.py" else []
    assert silent == []
