"""A report as blocks, rendered as Markdown or as one self-contained HTML page.

Running text knows `**bold**`, `` `code` `` and `[label](target)` only; text from a model or a data set enters
through `quoted`.
"""

import base64
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from backtracking.run import io

_INLINE = re.compile(r"`([^`]*)`|\*\*([^*]+)\*\*|\[([^\]]+)\]\(([^)\s]+)\)")
_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 78rem; margin: 2rem auto; padding: 0 1rem }
p, li { max-width: 62rem }
table { border-collapse: collapse; margin: 1rem 0; font-size: .92rem; display: block; overflow-x: auto }
th, td { border: 1px solid #9996; padding: .3rem .6rem; text-align: left; vertical-align: top }
th { background: #9992 }
code { background: #9992; padding: 0 .25rem; border-radius: 3px; white-space: pre-wrap }
img { max-width: min(100%, 62rem); background: white }
figcaption { font-size: .9rem; opacity: .8 } figure { margin: 1rem 0 }
"""


@dataclass(frozen=True)
class Heading:
    """A heading of some level."""

    level: int
    text: str

    def markdown(self) -> str:
        return f"{'#' * self.level} {self.text}"

    def html(self, _: Path) -> str:
        return f"<h{self.level}>{_inline(self.text)}</h{self.level}>"


@dataclass(frozen=True)
class Paragraph:
    """A paragraph."""

    text: str

    def markdown(self) -> str:
        return self.text

    def html(self, _: Path) -> str:
        return f"<p>{_inline(self.text)}</p>"


@dataclass(frozen=True)
class Bullets:
    """A list of points."""

    items: Sequence[str]

    def markdown(self) -> str:
        return "\n".join(f"- {item}" for item in self.items)

    def html(self, _: Path) -> str:
        return "<ul>" + "".join(f"<li>{_inline(item)}</li>" for item in self.items) + "</ul>"


@dataclass(frozen=True)
class Table:
    """A table with a head."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        lines = [self.head, ["---"] * len(self.head), *self.rows]
        return "\n".join(
            "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
        )

    def html(self, _: Path) -> str:
        head = "".join(f"<th>{_inline(cell)}</th>" for cell in self.head)
        body = "".join(
            "<tr>" + "".join(f"<td>{_inline(cell)}</td>" for cell in row) + "</tr>" for row in self.rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


@dataclass(frozen=True)
class Picture:
    """A figure, by its path relative to the report."""

    path: str
    caption: str

    def markdown(self) -> str:
        return f"![{self.caption}]({self.path})"

    def html(self, folder: Path) -> str:
        data = base64.b64encode(io.read_bytes(folder / self.path)).decode()
        caption = html.escape(self.caption)
        return (
            f'<figure><img alt="{caption}" src="data:image/png;base64,{data}"/>'
            f"<figcaption>{caption}</figcaption></figure>"
        )


Block = Heading | Paragraph | Bullets | Table | Picture


@dataclass
class Document:
    """Blocks in reading order."""

    title: str
    blocks: list[Block] = field(default_factory=list)

    def section(self, text: str, level: int = 2) -> None:
        self.blocks.append(Heading(level, text))

    def say(self, text: str) -> None:
        self.blocks.append(Paragraph(text))

    def bullets(self, items: Sequence[str]) -> None:
        if items:
            self.blocks.append(Bullets(items))

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        if rows:
            self.blocks.append(Table(head, rows))

    @property
    def shown(self) -> list[str]:
        """Names of the figures so far."""
        return [Path(block.path).stem for block in self.blocks if isinstance(block, Picture)]

    def picture(self, path: str, caption: str) -> None:
        self.blocks.append(Picture(path, caption))

    def markdown(self) -> str:
        blocks = [Heading(1, self.title), *self.blocks]
        return "\n\n".join(block.markdown() for block in blocks) + "\n"

    def html(self, folder: Path) -> str:
        """One page that needs no other file; `folder` is where the report lies."""
        blocks = [Heading(1, self.title), *self.blocks]
        body = "\n".join(block.html(folder) for block in blocks)
        title = html.escape(self.title)
        policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{title}</title><style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
        )


def _inline(text: str) -> str:
    """Running text as HTML; everything outside the three known marks is escaped."""
    parts, end = [], 0
    for match in _INLINE.finditer(text):
        parts.append(html.escape(text[end : match.start()]))
        code, bold, label, target = match.groups()
        if code is not None:
            parts.append(f"<code>{html.escape(code)}</code>")
        elif bold is not None:
            parts.append(f"<strong>{html.escape(bold)}</strong>")
        else:
            parts.append(f'<a href="{html.escape(target, quote=True)}">{html.escape(label)}</a>')
        end = match.end()
    return "".join([*parts, html.escape(text[end:])])
