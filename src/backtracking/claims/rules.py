"""Every claim with its rule, in the order of the reports: what docs/claims.md is written from."""

from backtracking.claims.completions import MARGIN
from backtracking.claims.formatting import FORMAT, H2
from backtracking.claims.localisation import CARRIES, CONTRIBUTES, H0, H1, WRITES
from backtracking.claims.phase1 import COSTS_ACCURACY, DETECTS, KEPT
from backtracking.claims.phase2 import DESTROYS, STEP
from backtracking.claims.reduction import SUBSTANTIAL, turned_down
from backtracking.claims.verdict import Claim

PHASE1: tuple[Claim, ...] = (H1, CONTRIBUTES, H0, CARRIES, WRITES, DETECTS, H2, FORMAT, KEPT, COSTS_ACCURACY)
PHASE2: tuple[Claim, ...] = (turned_down(MARGIN), SUBSTANTIAL, DESTROYS, STEP)
