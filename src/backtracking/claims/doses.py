"""The dose response of what stands out: the same components at several strengths, from the scale sweep."""

from itertools import pairwise

import pandas as pd

from backtracking.artifacts import phase2 as files
from backtracking.claims import scan
from backtracking.claims.completions import MARGIN
from backtracking.claims.evidence import Evidence
from backtracking.claims.parts import WORST_FIRST, Part, below, missing
from backtracking.claims.wording import in_points, quoted
from backtracking.measurements.comparison import compare
from backtracking.measurements.metrics import OUTCOMES
from backtracking.measurements.outcome import judged_on
from backtracking.run import io

FEWEST_DOSES = 3


def dose_part(evidence: Evidence, phase1: Evidence) -> Part:
    """Whether the outcome falls with every stronger dose of the components that stand out in Phase 1.

    From each dose to the next stronger one the outcome must surely not rise by the margin, and from the
    baseline to the strongest it must surely fall.
    """
    standouts, table, events = (
        scan.standouts(phase1),
        evidence.table(files.SCALES),
        evidence.table(files.SCALE_EVENTS),
    )
    if isinstance(standouts, str):
        return missing(standouts)
    if table is None or events is None:
        return missing(evidence.lack(files.SCALES))
    wanted = set(scan.in_every_mode(standouts))
    arms = table[table["kind"] == "intervention"].sort_values("scale", ascending=False)
    arms = arms[[_components(evidence, events, arm) == wanted for arm in arms["arm"]]]
    if len(arms) < FEWEST_DOSES:
        named = ", ".join(sorted(wanted)) or "what stands out"
        return missing(
            f"{named} at {FEWEST_DOSES} or more strengths in {files.SCALES.file} ({len(arms)} there)"
        )
    level = float(arms["nominal_level"].min()) if "nominal_level" in arms else None
    return _falling(events, ["baseline", *arms["arm"]], judged_on(table).outcome, level)


def _falling(events: pd.DataFrame, arms: list[str], outcome: str, level: float | None) -> Part:
    """`level`: the strictest of the doses', where settled ones stopped early."""
    metric = OUTCOMES[outcome]
    rows = [events[events["arm"] == arm] for arm in arms]
    steps = [compare(stronger, weaker, metric, level) for weaker, stronger in pairwise(rows)]
    whole = compare(rows[-1], rows[0], metric, level)
    if not all(step.error > 0 for step in (*steps, whole)):
        return missing("two problems under every dose")
    says = f"{metric.label} over {len(steps)} doses to {quoted(arms[-1])}: {in_points(whole)} points"
    rises = [below("rise_with_dose", step, MARGIN, f"{says}; a stronger dose leaves more") for step in steps]
    falls = below("fall_with_dose", whole, 0.0, says)
    worst = min((falls, *rises), key=lambda part: WORST_FIRST.index(part.state))
    return worst if worst.state != "holds" else falls


def _components(evidence: Evidence, events: pd.DataFrame, arm: str) -> set[str]:
    """The blocks that an arm changes, by its card; none where it has no card or changes something else."""
    variant = str(events["variant"].iloc[0])
    card = files.ARM_CARD.path(evidence.paths, variant=variant, arm=arm)
    if not io.exists(card):
        return set()
    (member, *others) = io.read_json(card, made_by=files.ARM_CARD.made_by)["members"]
    changed = member["interventions"]
    if others or any(one["head"] is not None or one["vector"] is not None for one in changed):
        return set()
    return {f"{one['component']} {one['layer']}" for one in changed}
