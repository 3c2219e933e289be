"""The part of Phase 1's report about components beyond the scan: pairs, heads, positions, directions."""

import pandas as pd

from backtracking.artifacts import readings as files
from backtracking.artifacts.kinds import Figure, Table
from backtracking.claims.wording import TableLine, counted, fixed, lines_of, number, plainly, written
from backtracking.reports.columns import Lines, highest
from backtracking.reports.page import Page

SHOWN_PAIRS = 10
_BY_POSITION, _MEANS, _SHUFFLED = "position only", "difference of means", "probe, shuffled labels"


def write_direct(page: Page) -> None:
    """What components write by themselves, beside what their removal takes."""
    table = page.evidence.table(files.DIRECT)
    if table is None or "total" not in table:
        return
    blocks = table[table["head"].isna() & table["total"].notna()] if "head" in table else table
    if blocks.empty:
        return
    page.section("Direct and total effects", level=3)
    repaired = [row for row in lines_of(blocks) if (number(row, "self_repair_low") or 0.0) > 0]
    page.say(
        "The direct effect is what a component itself writes towards the onset token and away from the words"
        " that would continue instead. The total effect is what its removal takes away, with everything"
        " downstream of it. Where the total is smaller, later components make up for the loss: surely so for"
        f" {len(repaired)} of {counted(len(blocks), 'component')}."
    )
    page.figure(files.DIRECT_FIGURE)


def write_pairs(page: Page) -> None:
    """Whether selected components make up for each other."""
    table = page.evidence.table(files.PAIRS)
    if table is None:
        return
    page.section("Components in pairs", level=3)
    page.say(
        "Two components removed together may take more than the sum of the two removals (each backs the other"
        " up) or less (they do the same work)."
    )
    if len(table) == 1:
        page.say(_of_pair(lines_of(table)[0]))
        return
    clear = int(table["kind"].str.endswith("-additive").sum())
    page.say(
        f"{clear or 'None'} of {counted(len(table), 'pair')} surely "
        f"{'differ' if clear > 1 else 'differs'} from the sum (Holm-corrected)."
    )
    lines = Lines(lines_of(table.sort_values("interaction", key=abs, ascending=False).head(SHOWN_PAIRS)))
    page.show(
        files.PAIRS,
        "Pairs of components, the largest interactions first",
        lines.column("Pair", _pair, holds="names"),
        lines.plain("Lost with both (log-odds)", "lost_together"),
        lines.plain("Lost with the first", "lost_a"),
        lines.plain("Lost with the second", "lost_b"),
        lines.plain("Interaction", "interaction", "+"),
        lines.p_values("p (Holm)", "p_holm"),
        lines.text("Kind", lambda row: str(row["kind"])),
    )
    page.figure(files.PAIRS_FIGURE)


def _pair(row: TableLine) -> str:
    return f"{row['component_a']} {row['layer_a']} + {row['component_b']} {row['layer_b']}"


def _of_pair(row: TableLine) -> str:
    first, second = _pair(row).split(" + ")
    lost = [number(row, f"lost_{which}") for which in ("together", "a", "b")]
    together, alone, other = ("—" if value is None else written(value, fixed(*lost)) for value in lost)
    means = {
        "sub-additive": "the two overlap",
        "super-additive": "each backs the other up",
        "additive": "neither overlap nor backup is shown",
        "undecided": "undecided whether they overlap or back each other up",
    }
    return (
        f"Removing {first} and {second} together takes {together} of the triggers' log-odds, where the two "
        f"removals alone take {alone} and {other}. The difference from their sum is "
        f"{plainly(row, 'interaction', fixed(*lost))}: {means.get(str(row['kind']), str(row['kind']))}."
    )


def write_heads(page: Page) -> None:
    """Which single heads take most."""
    said = "Each attention head is removed alone, as the blocks were in the scan."
    _drawn(page, files.HEADS, "Single heads", said, files.HEADS_FIGURE)


def write_positions(page: Page) -> None:
    """At which positions the removal acts."""
    said = "The same removal at one position at a time, counted back from the deciding one."
    _drawn(page, files.POSITIONS, "Removal at earlier positions", said, files.POSITIONS_FIGURE)


def _drawn(page: Page, artifact: Table, heading: str, said: str, figure: Figure) -> None:
    """A reading that only some configs ask for, as a figure alone."""
    if page.evidence.table(artifact) is not None:
        page.section(heading, level=3)
        page.say(said)
        page.figure(figure)


def write_direction(page: Page) -> None:
    """How well a direction of the residual stream tells onsets from controls."""
    table = page.section_of(files.DIRECTION, "Direction")
    if table is None:
        return
    page.say(
        "A layer's direction is the difference of mean residual streams between onsets and controls, made on"
        " one half of the problems and tested on the other. AUROC 0.5 is chance. Beside it stand a trained"
        " probe, the same probe on shuffled labels, and what position alone tells."
    )
    best = [
        row for kind, part in table.groupby("control_kind", sort=False) if (row := _best(part)) is not None
    ]
    lines = Lines(best)
    page.show(
        files.DIRECTION,
        "The layer at which the direction separates best",
        lines.names("Controls", "control_kind"),
        lines.counts("Layer", "layer"),
        lines.plain("AUROC of the direction", "auroc", spec=".3f"),
        lines.plain("The probe there", "probe", spec=".3f"),
        lines.plain("The probe, shuffled labels", "shuffled", spec=".3f"),
        lines.plain("Position alone", "position", spec=".3f"),
        lines.counts("Positions tested", "n_test"),
    )
    page.figure(files.DIRECTION_FIGURE)


def _best(part: pd.DataFrame) -> TableLine | None:
    """The best layer of one kind of control, with what others reach there."""
    deciding = part[part["place"] == "deciding"]
    means = deciding[(deciding["method"] == _MEANS) & deciding["auroc"].notna()]
    if means.empty:
        return None
    best = dict(highest(means, "auroc"))
    for name, method in (("probe", "probe"), ("shuffled", _SHUFFLED), ("position", _BY_POSITION)):
        rows = deciding[deciding["method"] == method]
        if method != _BY_POSITION:
            rows = rows[rows["layer"] == best["layer"]]
        for row in lines_of(rows.head(1)):
            best |= {name + end: row[f"auroc{end}"] for end in ("", "_low", "_high") if f"auroc{end}" in row}
    return best
