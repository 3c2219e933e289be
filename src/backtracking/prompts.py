"""The earlier study's path to prompts."""

from backtracking.text.prompts import (
    format_prompt,
)

__all__ = [
    "format_prompt",
]
