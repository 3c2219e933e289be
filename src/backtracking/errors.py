"""What ends a command or a stage early, in words for the person: a mistake, or data that cannot answer."""


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
