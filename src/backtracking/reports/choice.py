"""The part of Phase 2's report about the choice of an arm, and its confirmation on held-out problems."""

import pandas as pd

from backtracking.artifacts import phase2 as files
from backtracking.artifacts.phase1 import SPLIT
from backtracking.claims.wording import counted, lines_of, percent, quoted
from backtracking.measurements.metrics import heading
from backtracking.measurements.tradeoff import why_untested
from backtracking.reports.columns import Lines
from backtracking.reports.outcome import write_outcome
from backtracking.reports.page import Page
from backtracking.reports.prefixes import write_prefixes
from backtracking.reports.rows_behind import RowsBehind
from backtracking.reports.sweeps import arm_columns
from backtracking.run.records import BASELINE_NAME

SHOWN_ARMS = 20
"""So many arms are listed; those least likely on the front are named."""
NAMED_ARMS = 8
_RATES = ("backtracking_rate", "onset_after_wrong", "accuracy", "truncation_rate")


def write_choice(page: Page, behind: RowsBehind) -> None:
    """Which arms qualify on one half of the problems, and what the chosen one does on the other."""
    page.section("Choice and confirmation")
    searched, confirmed = page.evidence.table(files.CHOICE), page.evidence.table(files.CONFIRMED)
    if searched is None or confirmed is None:
        page.absent(files.CONFIRMED)
        return
    page.say(_how(page, searched))
    searching, confirming = behind.within(half="search"), behind.within(half="confirm")
    ranked = searched.sort_values("front_probability", ascending=False)
    lines = Lines(lines_of(ranked.head(SHOWN_ARMS)))
    page.show(
        files.CHOICE,
        "Arms on the search half, the likeliest on the front first",
        lines.names("Arm", "arm", searching()),
        lines.text("Verdict", lambda row: row["verdict"] if isinstance(row.get("verdict"), str) else "—"),
        lines.shares("P(on the front)", "front_probability", link=searching()),
        *(lines.rates(heading(metric), metric, link=searching(metric)) for metric in _RATES),
        lines.counts("Completions", "total", searching()),
    )
    _say_left_out(page, ranked.iloc[SHOWN_ARMS:])
    if confirmed["subset_name"].eq(BASELINE_NAME).all():
        untested = why_untested(searched[searched["kind"] == "intervention"])
        why = (
            f"could be judged on the search half ({untested})" if untested else "qualified on the search half"
        )
        page.say(f"No arm {why}, so there was nothing to confirm on the other half.")
        page.figure(files.CHOICE_FIGURE, behind)
        return
    _confirmation(page, confirmed, confirming)
    page.figure(files.CHOICE_FIGURE, behind)
    write_prefixes(page, files.CONFIRM_PREFIXES, files.CONFIRM_PREFIXES_FIGURE, behind, "confirmed")


def _say_left_out(page: Page, rest: pd.DataFrame) -> None:
    """Which arms the table does not list, and how likely the likeliest of them is on the front."""
    if rest.empty:
        return
    names = ", ".join(quoted(arm) for arm in rest["arm"].head(NAMED_ARMS))
    others = f" and {len(rest) - NAMED_ARMS:,} more" if len(rest) > NAMED_ARMS else ""
    likeliest = percent(float(rest["front_probability"].max()), 0)
    page.say(
        f"Not listed, each on the front with a probability of {likeliest} or less: {names}{others}. All arms"
        f" are in `{files.CHOICE.file}`."
    )


def _how(page: Page, searched: pd.DataFrame) -> str:
    halves = page.evidence.data(SPLIT)
    searching, confirming = (len(halves.get(half, [])) for half in ("search", "confirm"))
    left_out, trials = len(halves.get("left_out", [])), page.evidence.table(files.TRIALS)
    said = [
        (
            f"Arms are picked on {counted(searching, 'problem')} and measured again on {confirming:,} others;"
            " only the second numbers may be quoted."
        ),
        f"Phase 1 had looked at {left_out:,} more, so they confirm nothing." if left_out else "",
        f"{_tried(len(searched) - 1)} beside the baseline, and the p-values are corrected for their number.",
        (
            ""
            if trials is None
            else f"The search beyond the named subsets took {counted(len(trials), 'trial')}."
        ),
        "An arm is on the front when no other has both a lower outcome and a higher accuracy.",
    ]
    return " ".join(filter(None, said))


def _tried(arms: int) -> str:
    return f"{counted(arms, 'arm')} {'was' if arms == 1 else 'were'} tried"


def _confirmation(page: Page, confirmed: pd.DataFrame, behind: RowsBehind) -> None:
    lines = Lines(lines_of(confirmed))
    arm, *rest = arm_columns(lines, behind)
    role = lines.text("Role", lambda row: str(row["role"]))
    page.show(files.CONFIRMED, "The choice on the confirm half", arm, role, *rest)
    write_outcome(page, files.CONFIRMED, behind, "arm", "role")
