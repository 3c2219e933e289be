"""What ends a command or a stage early, in words for the person: a mistake, or data that cannot answer."""

import difflib
import errno
from collections.abc import Iterable

DISK_TROUBLE = {
    errno.ENOSPC: ("the disk is full", "make room"),
    getattr(errno, "EDQUOT", errno.ENOSPC): ("the disk quota is used up", "make room"),
    errno.EFBIG: ("a file grew past the size limit of this shell", "raise the limit (`ulimit -f unlimited`)"),
    errno.EROFS: (
        "the disk is read-only",
        "choose another folder (run.output_dir), or have it made writable",
    ),
    errno.EACCES: ("there is no permission to write here", "give yourself permission to write"),
    errno.EIO: ("the disk reports an error", "check the disk, or choose another folder (run.output_dir)"),
    errno.EMFILE: ("too many files are open for this shell", "raise the limit (`ulimit -n 4096`)"),
}
"""What a disk may refuse, in words for people, and what helps."""


def disk_trouble(error: BaseException) -> tuple[str, str] | None:
    """What the disk refused, with its file, and what helps; none for any other error."""
    if not isinstance(error, OSError) or error.errno not in DISK_TROUBLE:
        return None
    what, remedy = DISK_TROUBLE[error.errno]
    return (f"{what} ({error.filename})" if error.filename else what), remedy


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question that a next step begins with, where one of the known names is close; else nothing."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]}? " if near else ""


class UserError(Exception):
    """A mistake that the user can correct; shown without a traceback, exit code 2."""

    def __init__(self, what: str, why: str = "", next_step: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.next_step = next_step

    def __str__(self) -> str:
        lines = [self.what]
        if self.why:
            lines.append(f"  why:  {self.why}")
        if self.next_step:
            lines.append(f"  next: {self.next_step}")
        return "\n".join(lines)


class NotTestable(Exception):  # noqa: N818  (it is an outcome, not an error)
    """The data cannot answer a stage's question. This is a result with a reason, and the run goes on."""

    def __init__(self, reason: str, *, cause: str = "") -> None:
        super().__init__(reason)
        self.cause = cause
        """What began it, where it began in another stage: what comes later names that alone."""

    @classmethod
    def too_few_problems(cls, what: str, count: int, needed: int, because: str) -> "NotTestable":
        """How many problems there are of a kind, how many are needed, and why so many."""
        noun = "problem" if count == 1 else "problems"
        return cls(f"{count:,} {noun} {what}, {needed:,} needed ({because})")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on whatever device; on a CPU torch has no exception of its own for it."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(error)
    )
