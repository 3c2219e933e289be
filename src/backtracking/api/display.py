"""What notebooks show; model text is untrusted, so all of it is escaped."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from backtracking.run.records import GenerationRecord

SHOWN_CHARACTERS = 400
_CELL = "text-align:left;vertical-align:top;white-space:pre-wrap"


def completions_html(
    title: str, records: "Sequence[GenerationRecord]", onsets: Sequence[Sequence[Mapping[str, Any]]]
) -> str:
    """The first completions as a table, their onsets marked."""
    lines = [
        "<tr>"
        + _cell(f"{record.example_id} / {record.sample_id}")
        + _cell(record.condition)
        + f'<td style="{_CELL}">{marked(record.completion, spans)}</td>'
        + _cell(record.ending)
        + "</tr>"
        for record, spans in zip(records, onsets, strict=True)
    ]
    head = "".join(f"<th>{name}</th>" for name in ("problem / sample", "arm", "completion", "end"))
    return f"<p>{escape(title)}</p><table><tr>{head}</tr>{''.join(lines)}</table>"


def _cell(text: str) -> str:
    return f'<td style="{_CELL}">{escape(text)}</td>'


def marked(text: str, onsets: Sequence[Mapping[str, Any]]) -> str:
    """A text, escaped, with its onsets marked and its end cut off when it is long."""
    parts, at = [], 0
    for onset in onsets:
        start, end = onset["char_start"], onset["char_end"]
        if at <= start and end <= SHOWN_CHARACTERS:
            parts += [escape(text[at:start]), f"<mark>{escape(text[start:end])}</mark>"]
            at = end
    rest = text[at : max(at, SHOWN_CHARACTERS)]
    return "".join([*parts, escape(rest), " …" if len(text) > at + len(rest) else ""])


def table_html(title: str, table: "pd.DataFrame", rows: int = 12) -> str:
    """A title over the first rows of a table; pandas escapes the cells."""
    return f"<p>{escape(title)}</p>{table.head(rows).to_html(index=False, max_cols=10)}"


def facts_html(title: str, facts: Mapping[str, Sequence[str]]) -> str:
    """A title over a list of what there is of each kind."""
    items = [f"<li>{name}: {escape(', '.join(there)) or 'none'}</li>" for name, there in facts.items()]
    return f"<p>{escape(title)}</p><ul>{''.join(items)}</ul>"
