"""Permanent links into the explorer: `#rows?arm=…&answer=wrong`, `#rows?row=…`, `#arms`, `#prefixes?…`."""

from collections.abc import Iterable, Mapping
from urllib.parse import parse_qs, quote

PORT = 8377
ADDRESS = f"http://127.0.0.1:{PORT}/"
"""Where the explorer is served, unless told otherwise."""
VIEWS = ("rows", "arms", "prefixes")


def rows_link(**chosen: str | Iterable[str]) -> str:
    """The rows that have these options of each facet."""
    return _link("rows", chosen)


def prefixes_link(**chosen: str | Iterable[str]) -> str:
    """The completions behind fixed prefixes that have these options."""
    return _link("prefixes", chosen)


def _link(view: str, chosen: Mapping[str, str | Iterable[str]]) -> str:
    pairs = [
        f"{key}={quote(value, safe='')}"
        for key, values in chosen.items()
        for value in ([values] if isinstance(values, str) else values)
    ]
    return f"#{view}" + (f"?{'&'.join(pairs)}" if pairs else "")


def row_link(run: str, variant: str, arm: str, example_id: str, sample_id: int) -> str:
    """One row."""
    return f"#rows?row={quote(row_name(run, variant, arm, example_id, sample_id), safe='/')}"


def row_name(*names: str | int) -> str:
    """What a row is called in links: run, prompt format, arm, problem and sample."""
    return "/".join(quote(str(name), safe="") for name in names)


def read_link(link: str) -> dict[str, list[str]]:
    """The parts of a link, or of what stands behind its `?`."""
    view, has_query, rest = link.rpartition("#")[2].partition("?")
    return parse_qs(rest if has_query else "" if view in VIEWS else view, keep_blank_values=False)
