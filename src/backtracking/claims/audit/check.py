"""One check of the audit as it came out: the number, why it matters, and what to do."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

CheckOutcome = Literal["pass", "warn", "fail", "not applicable"]

OUTCOMES: tuple[CheckOutcome, ...] = get_args(CheckOutcome)
PASS, WARN, FAIL, NOT_APPLICABLE = OUTCOMES


@dataclass(frozen=True)
class Check:
    """A named check of a run; `number` is what was compared with a bound, `found` says it in a sentence."""

    name: str
    outcome: CheckOutcome
    found: str
    why: str
    what_to_do: str
    number: float | None = None

    @property
    def failed(self) -> bool:
        return self.outcome == FAIL


def by_name(checks: Iterable[Check]) -> dict[str, Check]:
    """Checks under their names, as verdicts look them up."""
    return {check.name: check for check in checks}
