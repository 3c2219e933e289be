"""Figures inside a page: the drawing itself where there is one, else its picture."""

import base64
import re
from pathlib import Path
from xml.etree import ElementTree

from markupsafe import Markup

from backtracking.reports.document import Picture
from backtracking.run import io

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_ACTIVE = {"script", "foreignObject", "animate", "set", "image", "iframe"}
_NAMED = re.compile(r"url\(#([^)]+)\)")


def drawing(folder: Path, picture: Picture) -> Markup:
    """A figure as markup that needs no other file."""
    path = folder / picture.path
    if io.exists(path.with_suffix(".svg")):
        return _inside(io.read_bytes(path.with_suffix(".svg")), picture)
    data = base64.b64encode(io.read_bytes(path)).decode()
    return Markup('<img alt="{}" src="data:image/png;base64,{}">').format(picture.caption, data)


def _inside(svg: bytes, picture: Picture) -> Markup:
    """A drawing without anything active, its names made its own, and told to screen readers."""
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        for child in list(parent):
            if _local(child.tag) in _ACTIVE or _local(child.tag) == "metadata":
                parent.remove(child)
    for element in root.iter():
        _own_names(element, picture.name)
    width, height = (_pixels(root.attrib.pop(side, "")) for side in ("width", "height"))
    root.set("style", f"--width: {width}; --height: {height}")
    root.set("role", "img")
    root.set("aria-label", picture.caption)
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _own_names(element: ElementTree.Element, name: str) -> None:
    """Prefix what an element is called and what it points at: a page holds many drawings."""
    for key, value in list(element.attrib.items()):
        if _local(key).lower().startswith("on"):
            del element.attrib[key]
        elif key == "id":
            element.set(key, f"{name}-{value}")
        elif _local(key) == "href":
            if value.startswith("#"):
                element.set(key, f"#{name}-{value[1:]}")
            elif not value.startswith(("http://", "https://")):
                del element.attrib[key]
        else:
            element.set(key, _NAMED.sub(rf"url(#{name}-\1)", value))


def _local(name: object) -> str:
    return str(name).rpartition("}")[2]


def _pixels(length: str) -> str:
    """A length of a drawing in CSS pixels."""
    match = re.fullmatch(r"([\d.]+)(pt|px|)", length)
    if match is None:
        return "640px"
    return f"{float(match[1]) * (96 / 72 if match[2] == 'pt' else 1):.0f}px"
