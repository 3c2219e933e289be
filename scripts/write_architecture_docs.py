"""Write the trees of docs/architecture.md and README.md from what files say, and draw what builds on what.

Rooms come in the order of `tests/foundation/test_architecture.py`, files in the order in which they build on
one another, so that a page is read in the order in which the code is.
"""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.foundation import test_architecture as plan  # noqa: E402 (found through the path above)

SOURCE = plan.SOURCE
BEGIN, END = "<!-- tree: written by `make docs` -->\n", "<!-- end of tree -->\n"
DRAWN, DRAWN_END = "<!-- drawing: written by `make docs` -->\n", "<!-- end of drawing -->\n"
WIDTH = 26
OTHERS = {"assets": "What ships with the package: the bundled reasoners' weights and cards, and word lists."}


def chapters() -> dict[str, list[str]]:
    """The rooms by chapter from the bottom up, then paths of the earlier study and what is no code."""
    read = {
        title: [room for layer in layers for room in sorted(layer)] for title, layers in plan.CHAPTERS.items()
    }
    return {
        **read,
        "Beside it: import paths of the earlier study, and data": [*sorted(plan.EARLIER), *OTHERS],
    }


def sentence(path: Path) -> str:
    """The first line of a file's docstring."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0]


def in_order(folder: Path) -> list[Path]:
    """The files of a folder, each after those of the same folder that it builds on."""
    files = {path.stem: path for path in sorted(folder.glob("*.py")) if path.stem != "__init__"}
    prefix = ".".join(("backtracking", *folder.relative_to(SOURCE).parts, ""))
    done: dict[str, Path] = {}

    def visit(name: str) -> None:
        if name in done or name not in files:
            return
        for target in sorted(imported(files[name])):
            if target.startswith(prefix) and (other := target.removeprefix(prefix).split(".")[0]) != name:
                visit(other)
        done[name] = files[name]

    for name in files:
        visit(name)
    return list(done.values())


def imported(path: Path) -> set[str]:
    """What a file imports at its top, modules and names alike."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    found = [node for node in body if isinstance(node, ast.ImportFrom) and node.module]
    names = {f"{node.module}.{alias.name}" for node in found for alias in node.names}
    return names | {str(node.module) for node in found}


def line(depth: int, name: str, text: str) -> str:
    return f"{'  ' * depth}{name}".ljust(WIDTH) + f" {text}"


def room_lines(room: str, *, whole: bool) -> list[str]:
    """A room with its files, or alone."""
    file = SOURCE / f"{room}.py"
    if file.exists():
        return [line(1, file.name, sentence(file))]
    lines = [line(1, f"{room}/", OTHERS.get(room) or sentence(SOURCE / room / "__init__.py"))]
    return lines + (files_lines(SOURCE / room, 2) if whole else [])


def files_lines(folder: Path, depth: int) -> list[str]:
    """A folder's files, then its folders with theirs."""
    lines = [line(depth, path.name, sentence(path)) for path in in_order(folder)]
    for inner in sorted(path for path in folder.iterdir() if (path / "__init__.py").exists()):
        lines.append(line(depth, f"{inner.name}/", sentence(inner / "__init__.py")))
        lines += files_lines(inner, depth + 1)
    return lines


def tree(*, whole: bool) -> str:
    """The tree as a block of text."""
    lines = ["src/backtracking/"]
    for title, rooms in chapters().items():
        lines += ["", f"  # {title}"]
        for room in rooms:
            lines += room_lines(room, whole=whole)
    return "\n".join([BEGIN.rstrip(), "", "```text", *lines, "```", "", END.rstrip()]) + "\n"


def built_on() -> dict[str, set[str]]:
    """For each room the rooms that it imports from."""
    below: dict[str, set[str]] = {}
    for path in plan.modules():
        room = plan.own_room(path)
        if room in plan.LAYER:
            others = {plan.part(name) for name in plan.imported(path)} & plan.LAYER.keys() - {room}
            below.setdefault(room, set()).update(others)
    return below


def drawing() -> str:
    """Who builds on whom, without the arrows that others imply."""
    below = built_on()

    def all_below(room: str) -> set[str]:
        return below[room].union(*(all_below(other) for other in below[room]))

    lines = []
    for room in sorted(below, key=lambda room: (-plan.LAYER[room], room)):
        implied = set().union(*(all_below(other) for other in below[room]))
        if arrows := sorted(below[room] - implied):
            lines.append(f"  {room} --> {' & '.join(arrows)}")
    return (
        "\n".join([DRAWN.rstrip(), "", "```mermaid", "flowchart TD", *lines, "```", "", DRAWN_END.rstrip()])
        + "\n"
    )


def page_with_tree(path: Path, *, whole: bool) -> str:
    """A page with what stands between its marks made anew: the tree, and the drawing where there is one."""
    page = _between(path.read_text(encoding="utf-8"), BEGIN, tree(whole=whole), END)
    return _between(page, DRAWN, drawing(), DRAWN_END) if DRAWN in page else page


def _between(page: str, begin: str, made: str, end: str) -> str:
    before, _, rest = page.partition(begin)
    return before + made + rest.partition(end)[2]


PAGES = {ROOT / "docs" / "architecture.md": True, ROOT / "README.md": False}
"""Whether a page shows every file."""

if __name__ == "__main__":
    for target, whole in PAGES.items():
        target.write_text(page_with_tree(target, whole=whole), encoding="utf-8")
