"""One trace from elsewhere: which column holds what, and text that can be written again."""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from backtracking.errors import UserError
from backtracking.sources.columns import GUESSES, SourceRow, guess, listed
from backtracking.sources.labels import LabelledSentence, read_sentences

_CUT = {"length", "max_tokens", "model_length", "max_length", "content_filter"}
_ENDED = {"stop", "eos", "eos_token", "end_turn", "stop_sequence", "end", "finished", "complete", "completed"}
_UNSAID = {"", "none", "nan", "null", "unknown"}
_OPEN, _CLOSE = "<think>", "</think>"
_BEGINNING = 200
"""Characters in which reasoning is opened."""
_LOOKED_AT = 1000
"""Rows that columns are looked for in; a file's first row may lack what the others have."""


def prompt_key(prompt: str) -> str:
    """The id of a problem that has none: equal prompts are one problem."""
    return f"prompt-{hashlib.sha256(prompt.encode()).hexdigest()[:16]}"


@dataclass(frozen=True)
class Trace:
    """A completion with what is known about it; no id means that its prompt tells problems apart."""

    text: str
    prompt: str = ""
    id: str | None = None
    gold: str = ""
    is_cut: bool | None = None
    odd_ending: str = ""
    """What is said of how it ended, where that is no word that is known."""
    sentences: Sequence[LabelledSentence] = ()


@dataclass(frozen=True)
class Columns:
    """Which column holds what; those not given are guessed from the columns of the first rows."""

    given: Mapping[str, str] = field(default_factory=dict)

    def found(self, rows: Iterable[SourceRow]) -> "Columns | None":
        """All columns, by the names in the first rows, any of which may lack some; none without rows."""
        together: dict[str, Any] = {}
        for name, value in (pair for row in islice(rows, _LOOKED_AT) for pair in row.items()):
            together.setdefault(name, value)
        return self.guessed(together) if together else None

    def guessed(self, row: SourceRow) -> "Columns":
        """All columns, by the row's own names; what is given must be there."""
        columns = guess(row, self.given, GUESSES)
        if not {"text", "labels"} & set(columns) and not messages(row):
            by_another = any(";" in name or "\t" in name for name in map(str, row))
            hint = " (the columns of a CSV file are parted by commas, which these seem not to be)"
            raise UserError(
                "no column holds the traces",
                f"columns: {listed(row)}{hint if by_another else ''}",
                "name it with --text COLUMN (and --prompt, --id, --gold, --labels where they are there)",
            )
        return Columns(columns)

    def trace(self, row: SourceRow) -> Trace | None:
        """The row as a trace; none where it holds no text."""
        sentences = read_sentences(self._value(row, "labels"))
        said = messages(row)
        text = _text(self._value(row, "text")) or said.get("assistant", "") or _joined(sentences)
        if not text.strip():
            return None
        id_ = self._value(row, "id")
        prompt = clean(self._value(row, "prompt")) or said.get("user", "")
        said_ending = clean(self._value(row, "finish")).strip()
        ending = said_ending.lower()
        is_odd = ending not in _CUT | _ENDED | _UNSAID
        return Trace(
            text=text,
            prompt=prompt,
            id=None if id_ is None or id_ == "" else clean(id_),
            gold=_gold(self._value(row, "gold")),
            is_cut=(_breaks_off(prompt, text) or None) if is_odd or ending in _UNSAID else ending in _CUT,
            odd_ending=said_ending if is_odd else "",
            sentences=sentences,
        )

    def _value(self, row: SourceRow, role: str) -> Any:
        name = self.given.get(role)
        return None if name is None else row.get(name)


def _breaks_off(prompt: str, text: str) -> bool:
    """Whether reasoning is opened and never closed: what ends by itself comes to its answer."""
    is_opened = _OPEN in text[:_BEGINNING] or prompt.rstrip().endswith(_OPEN)
    return is_opened and _CLOSE not in text


def _text(value: Any) -> str:
    """A trace; one that comes in pieces is joined, a line each."""
    if isinstance(value, list | tuple) and all(isinstance(piece, str) for piece in value):
        return clean("\n".join(value))
    if isinstance(value, list | tuple | Mapping):
        raise UserError(
            f"a trace is text, and one of these is a {type(value).__name__}",
            f"it begins {str(value)[:80]!r}",
            "name the column of the text with --text",
        )
    return clean(value)


def clean(value: Any) -> str:
    """Text that UTF-8 and CSV can hold: halves of characters and NULs become replacement marks."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    text = value if isinstance(value, str) else str(value)
    if text.isascii() and "\0" not in text:
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd")


def messages(row: SourceRow) -> dict[str, str]:
    """The last text of each role, where a row is a conversation."""
    listed = row.get("messages") if "messages" in row else row.get("conversations")
    said: dict[str, str] = {}
    for message in listed if isinstance(listed, list | tuple) else ():
        if isinstance(message, Mapping):
            role = {"human": "user", "gpt": "assistant"}.get(str(message.get("from")), message.get("role"))
            said[str(role)] = content_text(message)
    return said


def content_text(message: Mapping[str, Any]) -> str:
    """A message's text, its reasoning in think tags ahead of it."""
    content = message.get("content", message.get("value"))
    reasoning = [message.get("reasoning") or message.get("reasoning_content")]
    shown = [content] if not isinstance(content, list) else []
    for part in content if isinstance(content, list) else ():
        if isinstance(part, Mapping):
            reasoning.append(part.get("reasoning"))
            shown.append(part.get("text"))
    thought = "\n".join(clean(part) for part in reasoning if part)
    text = "\n".join(clean(part) for part in shown if part)
    return f"<think>\n{thought}\n</think>\n\n{text}" if thought else text


def _gold(value: Any) -> str:
    """The gold answer, or what stands behind `####` in a worked solution."""
    if isinstance(value, list | tuple):
        value = value[0] if value else None
    return clean(value).rpartition("####")[2].strip()[:1000]


def _joined(sentences: Sequence[LabelledSentence]) -> str:
    return clean(" ".join(sentence.text.strip() for sentence in sentences))
