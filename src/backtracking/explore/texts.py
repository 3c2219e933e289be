"""Free text over all completions: kept in a temporary file, so that memory does not grow with the run."""

import sqlite3
import tempfile
import threading
from pathlib import Path


class Texts:
    """The lower-cased text of every row, searched by the bytes of what is asked for."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="backtracking-explore-")
        path = Path(self._folder.name) / "texts.sqlite"
        self._rows = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._rows.execute("pragma journal_mode = off")
        self._rows.execute("create table texts (number integer primary key, said blob)")
        self._rows.execute("begin")
        self._lock = threading.Lock()

    def add(self, number: int, text: str) -> None:
        """Keep one row's text."""
        self._rows.execute("insert into texts values (?, ?)", (number, _bytes(text)))

    def having(self, text: str) -> set[int]:
        """The numbers of the rows in which a text occurs, whatever its case."""
        with self._lock:
            numbers = self._rows.execute("select number from texts where instr(said, ?) > 0", (_bytes(text),))
            return {number for (number,) in numbers}

    def close(self) -> None:
        """Remove the file."""
        self._rows.close()
        self._folder.cleanup()


def _bytes(text: str) -> bytes:
    return text.lower().encode("utf-8", "surrogatepass")
