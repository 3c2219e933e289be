"""Write the list of checks in docs/audit.md from their registration."""

from pathlib import Path

from backtracking.claims.audit.checks import CHECKS

PAGE = Path(__file__).parents[1] / "docs" / "audit.md"
BEGIN, END = "<!-- checks: written by `make docs` -->\n", "<!-- end of checks -->\n"


def entries() -> str:
    """Each check: what it looks for, when it warns or fails, why that matters, and what to do."""
    found = [
        f"### `{check.name}`\n\n{check.about} {check.bounds}\n\n{check.why}\n\n"
        f"**What to do.** {check.what_to_do}\n"
        for check in CHECKS
    ]
    return "\n" + "\n".join(found) + "\n"


def render() -> str:
    """The page with its list made anew."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    return before + BEGIN + entries() + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
