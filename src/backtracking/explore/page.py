"""The page itself: HTML, style and JavaScript modules, as separate files or as one that needs no other."""

import base64
import hashlib
import json
import re
from importlib.resources import files
from typing import Any

ASSETS = files("backtracking.explore") / "assets"
STYLE, START, SHELL = "style.css", "main.js", "index.html"
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([\w.]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?function|const|class)", re.MULTILINE)
_SERVED = re.compile(r"^ *<!-- served -->\n(?:.*\n)*? *<!-- end of served -->\n", re.MULTILINE)


def asset(name: str) -> str:
    """The text of one file."""
    return (ASSETS / name).read_text(encoding="utf-8")


def asset_names() -> set[str]:
    """The files that the page may ask for."""
    return {item.name for item in ASSETS.iterdir() if item.name.endswith((".css", ".js"))}


def policy(**sources: str) -> str:
    """A content security policy that allows nothing but these sources."""
    allowed = {"default-src": "'none'", "img-src": "data:", "base-uri": "'none'", "form-action": "'none'"}
    allowed |= {f"{name}-src": source for name, source in sources.items()}
    return "; ".join(f"{name} {source}" for name, source in allowed.items())


def bundle(start: str = START) -> str:
    """The modules as one: each behind those that it imports from, without the lines that join them."""
    done: dict[str, str] = {}

    def visit(name: str) -> None:
        if name not in done:
            text = asset(name)
            for other in _IMPORT.findall(text):
                visit(other)
            done[name] = _EXPORT.sub("", _IMPORT.sub("", text))

    visit(start)
    return "\n".join(done.values())


def whole_page(data: dict[str, Any]) -> str:
    """One page that holds its data, its style and its program, and asks for nothing."""
    program, style = bundle(), asset(STYLE)
    allowed = policy(script=_hash_of(program), style=_hash_of(style))
    inside = (
        f'<meta http-equiv="Content-Security-Policy" content="{allowed}">\n<style>{style}</style>\n'
        f'<script type="application/json" id="data">{embedded(data)}</script>\n'
        f'<script type="module">{program}</script>\n'
    )
    return _SERVED.sub(lambda _: inside, asset(SHELL))


def compact(data: Any) -> str:
    """JSON as it travels: plain ASCII without spaces."""
    return json.dumps(data, separators=(",", ":"))


def embedded(data: dict[str, Any]) -> str:
    """JSON in plain ASCII that cannot end the element it stands in."""
    return compact(data).replace("<", "\\u003c")


def _hash_of(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
