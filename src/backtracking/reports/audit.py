"""How reports show the audit: what failed and what warns, the rest as a count."""

from collections.abc import Sequence

from backtracking.claims.audit.check import FAIL, WARN, Check
from backtracking.claims.audit.checks import in_short, worst_first
from backtracking.reports.page import Page


def write_audit(page: Page, checks: Sequence[Check]) -> None:
    """The checks that say something against the run, worst first."""
    page.section("Audit")
    troubled = [check for check in worst_first(checks) if check.outcome in (FAIL, WARN)]
    failed = " A claim that rests on a failed check is not testable." if any(c.failed for c in checks) else ""
    page.say(
        f"{len(checks)} checks asked whether these numbers can carry claims: {in_short(checks)}.{failed}"
    )
    page.bullets([_told(check) for check in troubled])


def _told(check: Check) -> str:
    return f"**{check.outcome}**, `{check.name}`: {check.found}. {check.why} To do: {check.what_to_do}"
