"""No stage holds the texts of all rows: memory does not grow with them."""

import json
import tracemalloc

import pytest

from tests.foundation.command import CommandLine

TEXT = "So 12 + 5 = 17 apples. Wait, she gave two of them to her brother, and then went home.\n" * 250
"""21 kB."""


def most_memory(cli, folder, rows: int) -> int:
    """The most that Python held at once between a file of traces and its report."""
    path = folder / f"traces{rows}.jsonl"
    with path.open("w") as file:
        for number in range(rows):
            trace = {
                "id": f"p{number // 2}",
                "prompt": f"{number // 2}?",
                "text": f"{number} {TEXT}",
                "gold": "3",
            }
            file.write(json.dumps(trace) + "\n")
    tracemalloc.start()
    outcome = cli("import-traces", path)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert outcome.code == 0, outcome.err
    return most


@pytest.mark.slow
def test_texts_stream_through_from_import_to_report(capsys, monkeypatch, tmp_path, no_pictures):
    monkeypatch.chdir(tmp_path)
    cli = CommandLine(capsys, monkeypatch)
    most_memory(cli, tmp_path, 4)  # what is loaded once is loaded
    few, many = most_memory(cli, tmp_path, 10), most_memory(cli, tmp_path, 50)
    assert many - few < 0.5 * 40 * len(TEXT)
