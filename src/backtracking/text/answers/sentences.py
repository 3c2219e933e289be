"""Where sentences begin and end."""

import re
from collections.abc import Iterator

REACH = 300
"""As many characters behind a place are looked at."""
_MAX_BACK = 200
_SENTENCE_END = re.compile(
    r"[.!?;](?=[*_)\]\"”']{0,3}(?:\s|\Z))(?!\s{1,3}[=≈])"
    r"(?<!\bMr\.)(?<!\bMrs\.)(?<!\bMs\.)(?<!\bDr\.)(?<!\bSt\.)(?<!\bvs\.)(?<!i\.e\.)(?<!e\.g\.)(?<!\\[;!])"
    r"|\n|\\\\(?=\s)"
)


def sentence_around(text: str, start: int, end: int, zone: int = 0) -> tuple[int, int]:
    """Where the sentence that holds a span begins and ends, within reach."""
    begin = max(zone, start - _MAX_BACK)
    for match in _SENTENCE_END.finditer(text, begin, start):
        begin = match.end()
    ended = _SENTENCE_END.search(text, end, min(len(text), end + REACH))
    return begin, ended.start() if ended else min(len(text), end + REACH)


def sentences_between(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Where the sentences between two places begin and end."""
    for match in _SENTENCE_END.finditer(text, start, end):
        yield start, match.start()
        start = match.end()
    yield start, end


def last_sentence(text: str, start: int) -> tuple[int, int]:
    """Where the last sentence behind a place that holds something begins and ends."""
    spans = (span for span in sentences_between(text, start, len(text)) if text[slice(*span)].strip())
    return max(spans, default=(len(text), len(text)))
