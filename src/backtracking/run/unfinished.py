"""Long rows as far as they are, a file each: after a stop they go on in the middle."""

import contextlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from backtracking.run import io
from backtracking.run.provenance import digest
from backtracking.run.records import DIGEST_LENGTH, SealedRecord


class UnfinishedRow(SealedRecord):
    """What there is of one completion."""

    row: str = ""
    """Whose it is: what tells the row apart, as a digest."""
    completion_ids: list[int]
    logprobs: list[float] | None = None
    entropies: list[float] | None = None


KEPT_EVERY = 512
"""After how many tokens a row is kept again."""


@dataclass(frozen=True)
class Unfinished:
    """The unfinished rows of a file of rows. No result depends on one being there."""

    path: Path
    """The file that they are to stand in."""
    made_with: str
    """Digest of the settings that decide what rows say; rows begun with others are not taken up."""

    @property
    def folder(self) -> Path:
        """Where they lie until they are finished."""
        return self.path.with_suffix(".unfinished")

    def find(self, row: Sequence[object]) -> UnfinishedRow | None:
        """What was kept of a row; nothing where it does not read as it was written."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, ValidationError):
            kept = UnfinishedRow.model_validate_json(self._file(row).read_bytes())
            if kept.digest is not None and kept.is_intact and kept.row == self._whose(row):
                return kept
        return None

    def keep(self, row: Sequence[object], begun: UnfinishedRow) -> None:
        """Keep a row as far as it is, in the place of what was kept of it before."""
        sealed = begun.model_copy(update={"row": self._whose(row)}).sealed(self.made_with[:DIGEST_LENGTH])
        io.write_text(self._file(row), sealed.model_dump_json(exclude_none=True) + "\n")

    def drop(self, row: Sequence[object]) -> None:
        """The row is written."""
        with contextlib.suppress(OSError):  # most rows are never kept, and most folders hold others
            self._file(row).unlink()
            self.folder.rmdir()

    def clear(self) -> None:
        """All rows are written, or are to be made anew."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _whose(self, row: Sequence[object]) -> str:
        return digest([self.made_with, *row])

    def _file(self, row: Sequence[object]) -> Path:
        return self.folder / f"{self._whose(row)[:DIGEST_LENGTH]}.json"
