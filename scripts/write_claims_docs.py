"""Write the rules in docs/claims.md from the claims themselves."""

from pathlib import Path

from backtracking.claims.rules import PHASE1, PHASE2
from backtracking.claims.verdict import Claim

PHASES = ((1, PHASE1), (2, PHASE2))
PAGE = Path(__file__).parents[1] / "docs" / "claims.md"
BEGIN, END = "<!-- claims: written by `make docs` -->\n", "<!-- end of claims -->\n"


def screen(claim: Claim) -> str:
    """One claim: its rule, what may be disputed, and the audit's checks that it rests on."""
    checks = ", ".join(f"`{name}`" for name in claim.depends_on)
    lines = [
        f"### `{claim.key}`",
        f"**{claim.claim}.**",
        claim.rule,
        f"*Open to dispute.* {claim.disputable}",
    ]
    return "\n\n".join([*lines, f"*Rests on the audit's checks* {checks}."])


def render() -> str:
    """The page with its rules made anew."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    parts = [f"## Phase {number}\n\n" + "\n\n".join(map(screen, claims)) for number, claims in PHASES]
    return "\n".join([before + BEGIN, "\n\n".join(parts), "", END + rest.partition(END)[2]])


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
