"""The plan of the house is true: its trees are the code's, and every path that it names exists."""

import ast
import importlib.util
import re

import pytest
from typer.main import get_command

from backtracking.cli.main import _register_commands, app

from .test_architecture import EARLIER, LAYER, SOURCE, modules, name_of, own_room

ROOT = SOURCE.parents[1]
PAGE = ROOT / "docs" / "architecture.md"
ASKED = (
    "trigger phrase", "kind of onset", "kind of intervention", "model architecture", "prompt variant",
    "dataset with other columns", "sampling rule", "metric column", "statistic", "table", "figure", "verdict",
    "report section", "command",
)  # fmt: skip


@pytest.fixture(scope="module")
def writer():
    spec = importlib.util.spec_from_file_location("house", ROOT / "scripts/write_architecture_docs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["docs/architecture.md", "README.md"])
def test_the_tree_is_that_of_the_code(writer, page):
    path = ROOT / page
    expected = writer.page_with_tree(path, whole=writer.PAGES[path])
    assert path.read_text(encoding="utf-8") == expected, "files came or went: run `make docs`"


def tree_of(page):
    """The files of a tree, as paths from the source folder, in its order."""
    text = page.read_text(encoding="utf-8").partition("src/backtracking/\n")[2].partition("```")[0]
    trail, found = [], []
    for line in text.splitlines():
        if not line or line.startswith("  # "):
            continue
        name = line.split()[0]
        depth = (len(line) - len(line.lstrip())) // 2
        trail[depth - 1 :] = [name.rstrip("/")]
        if name.endswith(".py"):
            found.append(SOURCE.joinpath(*trail))
    return found


def test_every_file_stands_in_the_tree_and_says_what_it_is():
    shown = tree_of(PAGE)
    files = {path for path in modules() if path.name != "__init__.py"}
    assert set(shown) - {SOURCE / "__init__.py"} == files
    silent = [
        path for path in shown if not re.search(rf"{re.escape(path.name)} +\S.{{8,}}", PAGE.read_text())
    ]
    assert silent == []


def test_the_tree_is_read_in_the_order_of_the_code():
    """No room stands above one that it builds on; the front page comes first."""
    rooms = list(dict.fromkeys(path.relative_to(SOURCE).with_suffix("").parts[0] for path in tree_of(PAGE)))
    layers = [LAYER[room] for room in rooms if room not in EARLIER]
    assert layers == sorted(layers)
    places = {path: place for place, path in enumerate(tree_of(PAGE))}
    for path, place in places.items():
        below = [other for other in imports_beside(path) if places.get(other, -1) > place]
        assert below == [], f"{path} stands above {below}"


def imports_beside(path):
    """The files of its own folder that a file imports at its top."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and path.parent != SOURCE:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            files = [SOURCE.joinpath(*name.split(".")[1:]).with_suffix(".py") for name in names]
            yield from (file for file in files if file.parent == path.parent and file.exists())


def test_every_path_that_the_page_names_exists():
    named = set(re.findall(r"`([\w./-]+(?:/|\.(?:py|md|yaml|sh|json)))`", PAGE.read_text(encoding="utf-8")))
    made_by_runs = {"generations/", "meta.json"}
    places = (ROOT, SOURCE, SOURCE / "stages")
    missing = [name for name in named - made_by_runs if not any((place / name).exists() for place in places)]
    assert len(named) > 40 and missing == []


def test_the_page_says_where_each_change_belongs():
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    wishes = [row.split("|")[1] for row in rows]
    assert [wish for wish in ASKED if not any(re.search(rf"\b{wish}\b", row) for row in wishes)] == []


def test_a_public_name_means_one_thing():
    """No two public classes or type names share a name; options of commands and type variables aside."""
    homes = {}
    for path in modules():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if own_room(path) not in EARLIER and (name := type_name(node)):
                homes.setdefault(name, []).append(name_of(path))
    twice = {name: places for name, places in homes.items() if len(places) > 1}
    # one meaning, written where neither place may import the other
    assert twice == {"Array": ["backtracking.measurements.statistics", "backtracking.text.onsets.scorer"]}


ENTRIES = {"main", "register"}
"""What a module that can be run, and a group of commands, have each."""


def test_a_public_function_means_one_thing():
    """No two public functions share a name, but a command and what it calls; entries of modules aside."""
    homes = {}
    for path in modules():
        if own_room(path) not in EARLIER:
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                    homes.setdefault(node.name, set()).add(name_of(path))
    twice = {name: places for name, places in homes.items() if len(places) > 1 and name not in ENTRIES}
    inside = {name: [place for place in places if ".cli." not in place] for name, places in twice.items()}
    assert len(homes) > 1000
    assert {name: places for name, places in inside.items() if len(places) > 1} == {}
    assert {name.replace("_", "-") for name in twice} <= commands()


def commands():
    """Every command of the command line by its own name, those of groups as well."""
    _register_commands()
    found, waiting = set(), [get_command(app)]
    while waiting:
        for name, command in waiting.pop().commands.items():
            found.add(name)
            waiting += [command] if hasattr(command, "commands") else []
    return found


def type_name(node):
    """What a class or an alias of a type is called; none where the statement is something else."""
    if isinstance(node, ast.ClassDef):
        name = node.name
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        name = node.targets[0].id
    else:
        return None
    is_other = isinstance(node, ast.Assign) and ast.unparse(node.value).startswith(("Annotated[", "TypeVar("))
    return name if re.fullmatch(r"[A-Z][a-z]\w*", name) and not is_other else None
