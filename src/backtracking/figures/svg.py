"""Figures as SVG for pages: text stays text, colours follow the page's theme, marks name their arm."""

import re
from collections.abc import Callable
from io import StringIO
from xml.etree import ElementTree

from matplotlib.figure import Figure

from backtracking.figures.colours import MEANINGFUL, NEUTRAL, theme

ARM = "arm:"
"""Begins the id that a mark of one arm has in a figure."""
CELLS = "cells"
"""The id of a heatmap's cells in a figure: they are drawn without seams."""
SCALE = 1.1
"""Pages show figures this much larger than paper, so that their text is read at arm's length."""

_SVG, _LINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_PIXELS_A_POINT = 96 / 72
_FONTS = "font-family:'DejaVu Sans',Verdana,'Liberation Sans',Arial,sans-serif"
_FAMILY = re.compile(r"font-family: ?(?![^;]*Mono)[^;]*;? ?")
_THEME = (
    f":root{{{theme('light')}}}"
    f"@media screen and (prefers-color-scheme: dark){{:root{{{theme('dark')}}}}}"
    ".figure-point:hover,.figure-point:focus{opacity:.7}"
)
_VARIABLES = {one.light: one.variable for one in (*MEANINGFUL, *NEUTRAL)}
_HEX = re.compile("|".join(_VARIABLES))
_REFERENCE = re.compile(r"#([\w.:-]+)")


def as_svg(figure: Figure, stem: str, title: str, said: str) -> str:
    """A drawn figure as SVG that may stand in a page beside others; `stem` keeps their ids apart."""
    written = StringIO()
    figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    root = ElementTree.fromstring(written.getvalue())
    for layer in root.iter():
        for child in [child for child in layer if _plain(child.tag) in ("metadata", "style")]:
            layer.remove(child)
    _size(root)
    _own_ids(root, stem)
    for element in root.iter():
        _follow_theme(element)
        _lighten(element)
    _name(root, stem, title, said)
    return _written(root)


def linked(svg: str, address: Callable[[str], str | None]) -> str:
    """The same with every mark of an arm leading to the arm's address, where it has one."""
    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        for place, child in enumerate(list(parent)):
            arm = child.get("data-arm")
            if arm is not None and (target := address(arm)) is not None:
                link = ElementTree.Element(f"{{{_SVG}}}a", {"href": target, "class": "figure-point"})
                link.set("aria-label", arm)
                parent.remove(child)
                link.append(child)
                parent.insert(place, link)
    if root.find(f".//{{{_SVG}}}a") is not None:
        root.set("role", "group")  # what an image holds is not announced, links least of all
    return _written(root)


def _written(root: ElementTree.Element) -> str:
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _LINK)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _plain(tag: str) -> str:
    return tag.rpartition("}")[2]


def _size(root: ElementTree.Element) -> None:
    """Shown at one scale, and narrower only where the page is."""
    _, _, width, height = (float(number) for number in root.attrib["viewBox"].split())
    root.set("width", f"{width * _PIXELS_A_POINT * SCALE:.0f}")
    root.set("height", f"{height * _PIXELS_A_POINT * SCALE:.0f}")
    root.set("style", f"max-width:100%;height:auto;stroke-linejoin:round;stroke-linecap:butt;{_FONTS}")


def _own_ids(root: ElementTree.Element, stem: str) -> None:
    """Ids that something refers to begin with the figure's name; those of arms become data; others go."""
    referred = {
        name
        for element in root.iter()
        for key, value in element.attrib.items()
        if "url(#" in value or _plain(key) == "href"
        for name in _REFERENCE.findall(value)
    }
    for element in root.iter():
        own = element.attrib.pop("id", "")
        if own.startswith(ARM):
            element.set("data-arm", own.removeprefix(ARM))
        elif own == CELLS:
            element.set("shape-rendering", "crispEdges")
        elif own in referred:
            element.set("id", f"{stem}-{own}")
        for key, value in element.attrib.items():
            if "url(#" in value or _plain(key) == "href":
                element.set(key, _REFERENCE.sub(rf"#{stem}-\1", value))


def _follow_theme(element: ElementTree.Element) -> None:
    """Colours as variables; the font is that of the whole, with others where it is not there."""
    style = element.get("style")
    if style and "max-width" not in style:
        element.set("style", _HEX.sub(lambda colour: _VARIABLES[colour[0]], _FAMILY.sub("", style)))


def _lighten(element: ElementTree.Element) -> None:
    """Leave out what says nothing: space between elements, and turns by no angle."""
    if element.get("transform", "").startswith("rotate(-0 "):
        del element.attrib["transform"]
    if _plain(element.tag) != "text":
        element.text = (element.text or "").strip() or None
    element.tail = None


def _name(root: ElementTree.Element, stem: str, title: str, said: str) -> None:
    """Title and description for those who do not see it, and the two themes."""
    root.set("role", "img")
    root.set("aria-labelledby", f"{stem}-title {stem}-said")
    for place, (tag, own, text) in enumerate(
        (("title", f"{stem}-title", title), ("desc", f"{stem}-said", said), ("style", "", _THEME))
    ):
        element = ElementTree.Element(f"{{{_SVG}}}{tag}", {"id": own} if own else {})
        element.text = text
        root.insert(place, element)
