"""Logs of Inspect evaluations, as JSON or as `.eval` archives: one row per sample, read tolerantly."""

import json
import sys
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
_ZSTANDARD = 93
"""How zip archives number this way of packing."""
_CONVERT = "convert it with: inspect log convert --to json"


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
            if any(member.compress_type == _ZSTANDARD for member in members):
                _take_zstandard(path)
            for member in members:
                if member.filename.endswith(".json") and member.file_size <= _LARGEST:
                    sample = json.loads(archive.read(member))
                    if isinstance(sample, Mapping):
                        yield sample_row(sample)
    except UserError:
        raise
    except Exception as error:  # each way of packing has its own kinds for what is broken
        raise UserError(
            f"{path} cannot be read as an Inspect log", f"{type(error).__name__}: {error}", _CONVERT
        ) from error


def _take_zstandard(path: Path) -> None:
    """Let zipfile read what newer versions of Inspect pack; Python itself can from 3.14 on."""
    if sys.version_info >= (3, 14):
        return
    try:
        import zipfile_zstd  # noqa: F401  (importing it is what makes zipfile read such archives)
    except ImportError as error:
        raise UserError(
            f"{path} is packed with zstandard, which this Python cannot read by itself",
            str(error),
            f"pip install zipfile-zstd (backtracking[inspect] brings it), or {_CONVERT}",
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
