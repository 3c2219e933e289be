"""A document as Markdown, or as one HTML page that needs no other file; both through templates.

Templates escape what they are given, save what is made here: running text with its few marks, and figures.
"""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from backtracking.reports.columns import Cell
from backtracking.reports.document import Document
from backtracking.reports.drawings import drawing

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_INLINE = re.compile(r"`([^`]*)`|\*\*([^*]+)\*\*|\*(\w[^*]*)\*|\[([^\]]+)\]\(([^)\s]+)\)")
_TOGETHER = re.compile(r"\[[−+\d.,% ]+\]|n = [\d,]+")
"""Intervals and counts, which no line breaks."""
_SAFE = re.compile(r"(?!\w+:)|https?://")
"""Where a link of running text may lead: to a file beside the report, or to a page."""


def as_markdown(document: Document) -> str:
    """The report as Markdown."""
    environment = _templates()
    environment.filters["cell"] = lambda text: text.replace("|", "\\|")
    blocks = (environment.get_template(f"{block.kind}.md").render(block=block) for block in document.blocks)
    written = filter(None, (block.strip("\n") for block in blocks))
    return "\n\n".join([f"# {document.title}", *written]) + "\n"


def as_page(document: Document, folder: Path) -> str:
    """The report as one page; `folder` is where it lies."""
    environment = _templates(escapes=True)
    environment.filters["inline"] = inline
    environment.filters["told"] = partial(inline, rows_named=document.rows_named)
    environment.filters["linked"] = _linked
    environment.globals["drawing"] = lambda picture: drawing(folder, picture)
    style = Markup(environment.loader.get_source(environment, "style.css")[0])  # type: ignore[union-attr]
    return environment.get_template("page.html").render(document=document, style=style, policy=POLICY)


def _templates(escapes: bool = False) -> Environment:
    return Environment(
        loader=PackageLoader("backtracking.reports"),
        autoescape=escapes,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def inline(text: str, rows_named: Callable[[str], str] | None = None) -> Markup:
    """Running text as HTML, arms in it leading to their rows; everything but the known marks is escaped."""
    parts, end = [], 0
    for match in _INLINE.finditer(text):
        parts.append(_plain(text[end : match.start()]))
        code, bold, stressed, label, target = match.groups()
        if code is not None:
            name = Markup("<code>{}</code>").format(_breakable(code))
            rows = rows_named(code) if rows_named is not None else ""
            parts.append(Markup('<a href="{}">{}</a>').format(rows, name) if rows else name)
        elif bold is not None:
            parts.append(Markup("<strong>{}</strong>").format(bold))
        elif stressed is not None:
            parts.append(Markup("<em>{}</em>").format(stressed))
        elif _SAFE.match(target):
            parts.append(Markup('<a href="{}">{}</a>').format(target, label))
        else:
            parts.append(_plain(match.group()))
        end = match.end()
    return Markup().join([*parts, _plain(text[end:])])


def _plain(text: str) -> Markup:
    return escape(_TOGETHER.sub(lambda together: together[0].replace(" ", "\u00a0"), text))


def _breakable(name: str) -> Markup:
    """A name that may go on in the next line behind each underscore."""
    return escape(name).replace("_", Markup("_<wbr>"))


def _linked(cell: Cell) -> Markup:
    """A cell's text, as a link to the rows behind it where there are some."""
    text = inline(cell.text)
    return Markup('<a href="{}">{}</a>').format(cell.link, text) if cell.link else text
