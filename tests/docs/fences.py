"""The fenced blocks of README and docs, in the order in which a reader meets them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (
    ROOT / "README.md",
    *(ROOT / "docs" / f"{name}.md" for name in ("index", "tutorial")),
    *sorted(path for path in (ROOT / "docs").glob("*.md") if path.stem not in ("index", "tutorial")),
    ROOT / "SECURITY.md",
)
COMMANDS, PYTHON, YAML = "sh", "python", "yaml"
NOT_RUN = ("text", "mermaid")
"""Output, trees and drawings."""
_FENCE = re.compile(r"^( *)(```+|~~~+)(.*)$")


@dataclass(frozen=True)
class Fence:
    """A block: where it stands, its language, its text."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def read_fences(page: Path) -> Iterator[Fence]:
    opened: tuple[int, str, str, str] | None = None
    lines: list[str] = []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        fence = _FENCE.match(line)
        if opened is None and fence:
            opened, lines = (number, fence[1], fence[2], fence[3].strip()), []
        elif opened is not None and fence and fence[2].startswith(opened[2]) and not fence[3].strip():
            start, indent, _, language = opened
            yield Fence(page, start, language, "\n".join(part.removeprefix(indent) for part in lines) + "\n")
            opened = None
        elif opened is not None:
            lines.append(line)
    assert opened is None, f"{page}:{opened[0]}: this fence is never closed"


def all_fences() -> list[Fence]:
    return [fence for page in PAGES for fence in read_fences(page)]
