"""Logs of Inspect evaluations, as JSON or as `.eval` archives: one row per sample, read tolerantly."""

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from backtracking.errors import UserError
from backtracking.sources.trace import clean, content_text

ORIGINAL = "backtracking_completion"
"""In a sample's metadata: the completion to the letter, where this package wrote the log."""
_LARGEST = 1 << 28
"""Bytes of one sample; an archive that unpacks to more is not read."""


def is_log(data: Any) -> bool:
    """Whether a JSON file is the log of an Inspect evaluation."""
    return isinstance(data, Mapping) and isinstance(data.get("samples"), list) and "eval" in data


def log_rows(data: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The samples of a log."""
    for sample in data["samples"]:
        if isinstance(sample, Mapping):
            yield sample_row(sample)


def read_archive(path: Path) -> Iterator[dict[str, Any]]:
    """The samples of an `.eval` archive, each its own file in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if m.filename.startswith("samples/")]
            for member in members:
                if member.filename.endswith(".json") and member.file_size <= _LARGEST:
                    sample = json.loads(archive.read(member))
                    if isinstance(sample, Mapping):
                        yield sample_row(sample)
    except (zipfile.BadZipFile, NotImplementedError, json.JSONDecodeError, RuntimeError) as error:
        raise UserError(
            f"{path} cannot be read as an Inspect log",
            f"{type(error).__name__}: {error}",
            "export it with: inspect log convert --to json",
        ) from error


def sample_row(sample: Mapping[str, Any]) -> dict[str, Any]:
    """A sample under the names that columns are guessed by."""
    output = sample.get("output")
    output = output if isinstance(output, Mapping) else {}
    choices = output.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], Mapping) else {}
    message = choice.get("message")
    text = content_text(message) if isinstance(message, Mapping) else clean(output.get("completion"))
    noted = sample.get("metadata")
    original = noted.get(ORIGINAL) if isinstance(noted, Mapping) else None
    return {
        "id": sample.get("id"),
        "prompt": _prompt(sample.get("input")),
        "text": clean(original) if isinstance(original, str) else text,
        "gold": sample.get("target"),
        "finish_reason": choice.get("stop_reason"),
    }


def _prompt(given: Any) -> str:
    """What the user asked, where the input is a list of messages the last of theirs."""
    if isinstance(given, list):
        asked = [content_text(m) for m in given if isinstance(m, Mapping) and m.get("role") == "user"]
        return asked[-1] if asked else ""
    return clean(given)
