"""A check of the audit, and how it came out: the number, why it matters, and what to do."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from backtracking.claims.audit.audited import AuditedRun

CheckOutcome = Literal["pass", "warn", "fail", "not applicable"]

CHECK_OUTCOMES: tuple[CheckOutcome, ...] = get_args(CheckOutcome)
PASS, WARN, FAIL, NOT_APPLICABLE = CHECK_OUTCOMES


@dataclass(frozen=True)
class Check:
    """A named check of a run; `number` is what was compared with a bound, `found` says it in a sentence."""

    name: str
    outcome: CheckOutcome
    found: str
    why: str
    what_to_do: str
    number: float | None = None
    details: tuple[str, ...] = ()
    """The places that it was found in."""

    @property
    def failed(self) -> bool:
        """Whether the run fails it; a warning is no failure."""
        return self.outcome == FAIL


@dataclass(frozen=True)
class Finding:
    """What a check's function says; the rest of the check is the same for every run."""

    outcome: CheckOutcome
    found: str
    number: float | None = None
    details: tuple[str, ...] = ()
    what_to_do: str = ""
    """Instead of the check's own words, where those are not for this run."""


CheckFunction = Callable[[AuditedRun], Finding]


@dataclass(frozen=True)
class RegisteredCheck:
    """A check as it is registered: what it looks for, from where on it speaks, why, and what to do."""

    name: str
    about: str
    bounds: str
    why: str
    what_to_do: str
    finder: CheckFunction

    def __call__(self, run: AuditedRun) -> Check:
        """Looks at the run and says what it found, with the words that are the same for every run."""
        finding = self.finder(run)
        number = finding.number if finding.number is not None and math.isfinite(finding.number) else None
        what_to_do = finding.what_to_do or self.what_to_do
        return Check(self.name, finding.outcome, finding.found, self.why, what_to_do, number, finding.details)


def rule(*, bounds: str, why: str, what_to_do: str) -> Callable[[CheckFunction], RegisteredCheck]:
    """Make a check of a function: its name and docstring are the check's; `bounds`: when it speaks."""

    def make(finder: CheckFunction) -> RegisteredCheck:
        name, about = getattr(finder, "__name__", ""), (finder.__doc__ or "").strip()
        return RegisteredCheck(name, about, bounds, why, what_to_do, finder)

    return make


def graded(
    number: float, says: str, *, warn: float, fail: float | None = None, details: Sequence[str] = ()
) -> Finding:
    """A finding that is worse the larger its number is: above these bounds it warns, and fails."""
    outcome = PASS
    if number > warn:
        outcome = WARN
    if fail is not None and number > fail:
        outcome = FAIL
    return Finding(outcome, says, number, tuple(details) if outcome != PASS else ())


def not_applicable(why: str) -> Finding:
    """What a check says that has nothing to look at."""
    return Finding(NOT_APPLICABLE, why)


def by_name(checks: Iterable[Check]) -> dict[str, Check]:
    """Checks under their names, as verdicts look them up."""
    return {check.name: check for check in checks}
