"""How reports show the audit: what failed and what warns, the rest as a count."""

from collections.abc import Sequence

from backtracking.claims.audit.check import FAIL, WARN, Check
from backtracking.claims.audit.checks import in_short, worst_first
from backtracking.reports.document import Document


def write_audit(document: Document, checks: Sequence[Check]) -> None:
    """The checks that say something against the run, worst first."""
    document.section("Audit")
    troubled = [check for check in worst_first(checks) if check.outcome in (FAIL, WARN)]
    failed = " A claim that rests on a failed check is not testable." if any(c.failed for c in checks) else ""
    document.say(f"Whether these numbers can carry claims: {in_short(checks)}.{failed}")
    document.table(
        ["Check", "Outcome", "Found", "Why it matters", "What to do"],
        [
            [f"`{check.name}`", f"**{check.outcome}**", check.found, check.why, check.what_to_do]
            for check in troubled
        ],
    )
