"""Figures inside a page: the drawing itself where there is one, else its picture."""

import base64
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree

from markupsafe import Markup

from backtracking.figures.svg import linked
from backtracking.reports.document import ReportPicture
from backtracking.run import io

WIDTHS = {"wide": ".svg", "narrow": ".narrow.svg"}
"""The drawing for each width of a page, by how its file ends."""
_ACTIVE = {"script", "foreignObject", "iframe", "animate", "set"}
_PNG = "data:image/png;base64,"


def drawing(folder: Path, picture: ReportPicture) -> Markup:
    """A figure as markup that needs no other file; at each width of the page one of the drawings shows."""
    path = folder / picture.path
    drawn = {name: path.with_suffix(ending) for name, ending in WIDTHS.items()}
    if all(io.exists(file) for file in drawn.values()):
        with suppress(ElementTree.ParseError):  # a drawing that was damaged
            marks = {name: _inside(io.read_bytes(file), picture) for name, file in drawn.items()}
            return Markup().join(Markup('<div class="{}">{}</div>').format(*one) for one in marks.items())
    data = _PNG + base64.b64encode(io.read_bytes(path)).decode()
    return Markup('<img alt="{}" src="{}">').format(picture.caption, data)


def _inside(svg: bytes, picture: ReportPicture) -> Markup:
    """A drawing without anything that acts, its marks leading to the rows of their arms."""
    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        for key in [key for key in parent.attrib if _local(key).lower().startswith("on")]:
            del parent.attrib[key]
        for child in [child for child in parent if _acts(child)]:
            parent.remove(child)
    rows = picture.rows
    harmless = ElementTree.tostring(root, encoding="unicode")
    return Markup(linked(harmless, lambda arm: (rows(arm) or None) if rows else None))


def _acts(element: ElementTree.Element) -> bool:
    """Whether an element is more than a mark, or a picture from elsewhere."""
    if _local(element.tag) != "image":
        return _local(element.tag) in _ACTIVE
    return not all(value.startswith(_PNG) for key, value in element.attrib.items() if _local(key) == "href")


def _local(name: object) -> str:
    return str(name).rpartition("}")[2]
