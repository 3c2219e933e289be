"""Text for a terminal: what models and other programs wrote may hold characters that act on it."""

import re

_ACTING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
"""Controls but for line ends and tabs, marks that turn the direction of writing, halves of characters."""


def disarmed(text: str) -> str:
    """The text with every character that acts on a terminal written as JSON escapes it."""
    return _ACTING.sub(lambda char: f"\\u{ord(char[0]):04x}", text)
