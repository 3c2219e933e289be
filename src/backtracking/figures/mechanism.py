"""Figures of the lens and the ablation scan."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from backtracking.claims.wording import lines_of, plainly
from backtracking.figures import marks
from backtracking.figures.caption import (
    BANDS,
    Caption,
    NothingToShow,
    of_positions,
    sentence,
    what_bars_mean,
    with_minus,
)
from backtracking.figures.colours import INK, colour
from backtracking.figures.marks import Points
from backtracking.figures.style import PAGE, Drawing, drawn, panels
from backtracking.measurements.floors import FEWEST_PROBLEMS
from backtracking.measurements.separation import where_separated

CONTROLS = {"matched_row": "another completion", "same_row_earlier": "same completion, earlier"}
COMPONENTS = {"attn": "attention", "mlp": "MLP"}
NO_ONSETS = "no onsets to read"


@drawn
def plot_logit_lens(table: pd.DataFrame, *, width: float = PAGE) -> Drawing:
    """Left: log-mass of the onset's family by layer. Right: onset minus control, with 95% bands.

    `table`: `logit_lens.csv`.
    """
    if table.empty or not table["n_bt"].any():
        raise NothingToShow(NO_ONSETS)
    kinds = {
        str(kind): rows.reset_index(drop=True)
        for kind, rows in table.groupby("control_matching", sort=False)
        if rows["n_control"].any()
    }
    first = table[table["control_matching"] == table["control_matching"].iloc[0]]
    figure, axes = panels(width, 2 if kinds else 1, 2.0, narrowest=3.0)
    levels = axes[0]
    levels.plot(first["layer"], first["family_bt"], color=colour("onset"), marker="o", ms=3.2)
    ends = [(float(first["family_bt"].iloc[-1]), "onset")]
    for kind, rows in kinds.items():
        levels.plot(rows["layer"], rows["family_control"], color=colour(kind), marker="s", ms=3, ls="--")
        ends.append((float(rows["family_control"].iloc[-1]), CONTROLS[kind]))
    marks.end_labels(figure, levels, ends)
    levels.set_ylabel("log P(onset's family)")
    levels.set_title("Through the layers")
    if kinds:
        gaps = axes[1]
        differences = {kind: marks.estimates(rows, "family_diff") for kind, rows in kinds.items()}
        for kind, data in differences.items():
            marks.curve(gaps, kinds[kind]["layer"], data, colour(kind))
        marks.end_labels(
            figure, gaps, [(float(data.value[-1]), CONTROLS[kind]) for kind, data in differences.items()]
        )
        gaps.axhline(0.0, color=INK.light, lw=0.8)
        gaps.set_ylabel("onset − control (nats)")
        gaps.set_title("Paired difference")
    for ax in axes:
        by_layer(ax)
    figure.caption = Caption(
        "The onset through the layers", _lens_says(kinds),
        "First: before an onset, and at controls. Second: the difference in pairs. "
        f"{what_bars_mean(table, BANDS)}",
        sentence([f"n = {int(first['n_bt'].max()):,} onsets", *_controls(kinds)]),
    )  # fmt: skip
    return figure


def _controls(kinds: Mapping[str, pd.DataFrame]) -> list[str]:
    return [f"{int(rows['n_control'].max()):,} controls ({CONTROLS[kind]})" for kind, rows in kinds.items()]


def by_layer(axes: Axes) -> None:
    """Layers as whole numbers on the horizontal axis."""
    axes.set_xlabel("layer")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))


def _lens_says(kinds: Mapping[str, pd.DataFrame]) -> str:
    """The first layer where onsets separate from the first kind of control, and the last layer's."""
    if not kinds:
        return "No onset has a control to compare with."
    kind, rows = next(iter(kinds.items()))
    if rows["n_control"].max() < FEWEST_PROBLEMS:
        return "Too few onsets have a control to tell where the onset's family stands above."
    last = lines_of(rows)[-1]
    above = f"in the last layer it stands {plainly(last, 'family_diff', '.2f')} nats above {CONTROLS[kind]}."
    if "family_diff_p_holm" not in rows or rows["family_diff_p_holm"].isna().all():
        return f"The onset's family: {above}"
    return f"The onset's family separates {where_separated(rows)} (Holm-corrected over layers); {above}"


@drawn
def plot_lens_window(table: pd.DataFrame, *, width: float = PAGE) -> Drawing:
    """Layer × position around the onset: the family's log-mass, and how far it lies above the controls'.

    `table`: `logit_lens_window.csv`.
    """
    if table.empty:
        raise NothingToShow(NO_ONSETS)
    present = [group for group in CONTROLS if table.loc[table["group"] == group, "n"].any()]
    onset = table[table["group"] == "onset"]
    if not onset["n"].any():
        raise NothingToShow(NO_ONSETS)
    parts = [("onset", "family_logmass", "Before an onset")]
    parts += [(group, "onset_minus_group", f"minus {CONTROLS[group]}") for group in present]
    figure, axes = panels(width, len(parts), 1.9, narrowest=2.2, margin=1.0, share="y")
    compared = table[table["group"].isin(present)]["onset_minus_group"]
    bound = float(compared.abs().max()) if len(compared) else 1.0
    for ax, (group, column, title) in zip(axes, parts, strict=True):
        _window(figure, ax, table[table["group"] == group], column, bound)
        ax.set_title(title)
    counts = of_positions(onset, ("n", "onsets by position"))
    figure.caption = Caption(
        "The onset's family through layers and positions", _window_says(table, present),
        "Position 0 is the one after which the onset comes. First: log-mass, the more the deeper the colour; "
        "then the difference to each control, with a dot where its 95% interval over problems excludes 0.",
        counts,
    )  # fmt: skip
    return figure


def _window(figure: Drawing, axes: Axes, rows: pd.DataFrame, column: str, bound: float) -> None:
    grid = rows.pivot(index="layer", columns="offset", values=column)
    if column == "family_logmass":
        least = float(grid.min().min())
        mesh = marks.heat(axes, grid - least, signed=False)
        marks.colour_scale(figure, [axes], mesh, with_minus(f"nats above {least:.0f}"))
    else:
        clear = None
        if f"{column}_low" in rows:
            excludes = rows.assign(clear=(rows[f"{column}_low"] > 0) | (rows[f"{column}_high"] < 0))
            clear = excludes.pivot(index="layer", columns="offset", values="clear").fillna(False)
        mesh = marks.heat(axes, grid, bound=bound, clear=clear)
        marks.colour_scale(figure, [axes], mesh, "nats")
    marks.ticks(axes.xaxis, list(grid.columns), most=6)
    marks.layers_of(axes, grid)
    axes.set_xlabel("position")


def _window_says(table: pd.DataFrame, present: Sequence[str]) -> str:
    if not present:
        return "No onset has a control to compare with."
    rows = table[(table["group"] == present[0]) & table["onset_minus_group"].notna()]
    if rows.empty:
        return ""
    most = lines_of(rows.loc[[rows["onset_minus_group"].idxmax()]])[0]
    return (
        f"The difference to {CONTROLS[present[0]]} is largest at layer {int(most['layer'])}, position "
        f"{int(most['offset'])}: {plainly(most, 'onset_minus_group', '.2f')} nats."
    )


_SCAN = {
    "delta_trigger_log_odds": ("Effect on the onset", "Δ log-odds of triggers"),
    "kl_control": ("Damage elsewhere", "KL at controls (nats)"),
    "selectivity": ("Selectivity", "log-odds lost per nat"),
}


@drawn
def plot_ablation_importance(
    table: pd.DataFrame, selected: Mapping[str, Sequence[int]], *, width: float = PAGE
) -> Drawing:
    """Per layer what ablation takes from the onset, what it costs elsewhere, and the ratio; ringed: selected.

    `table`: `ablation_importance.csv`.
    """
    if table.empty:
        raise NothingToShow("nothing was scanned")
    figure, axes = panels(width, len(_SCAN), 2.0, narrowest=2.2)
    for ax, (column, (title, label)) in zip(axes, _SCAN.items(), strict=True):
        for shift, (component, rows) in zip((-0.16, 0.16), table.groupby("component"), strict=False):
            name = str(component)
            at = rows["layer"] + shift
            _estimates(ax, at, marks.estimates(rows, column), name)
            chosen = rows["layer"].isin(selected.get(name, []))
            ax.plot(
                at[chosen], rows.loc[chosen, column], ls="", marker="o", ms=8.5, mfc="none", mec=INK.light,
                mew=0.9,
            )  # fmt: skip
        ax.axhline(0.0, color=INK.light, lw=0.8)
        ax.set_ylabel(label)
        ax.set_title(title)
        by_layer(ax)
    axes[1].set_yscale("symlog", linthresh=0.01)
    axes[1].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes[1].set_ylim(bottom=-0.001)
    marks.key(figure, _component_key(table, selected))
    figure.caption = Caption(
        f"One component removed at a time ({table['mode'].iloc[0]})", _scan_says(table, selected),
        f"{what_bars_mean(table)} Ringed: selected.",
        of_positions(table, ("n_events", "onsets"), ("n_controls", "matched controls")),
    )  # fmt: skip
    return figure


def _estimates(axes: Axes, at: "pd.Series[float]", data: Points, component: str) -> None:
    axes.errorbar(
        at, data.value, yerr=data.errors, color=colour(component), fmt=_MARKERS[component], ms=3.6,
        capsize=0, elinewidth=1.1,
    )  # fmt: skip


_MARKERS = {"attn": "o", "mlp": "s", "head": "^"}


def _component_key(table: pd.DataFrame, selected: Mapping[str, Sequence[int]]) -> dict[str, dict[str, Any]]:
    """What stands for attention and MLP, and the ring of those that were selected."""
    entries: dict[str, dict[str, Any]] = {
        COMPONENTS[name]: {"color": colour(name), "marker": _MARKERS[name]}
        for name in COMPONENTS
        if name in set(table["component"])
    }
    if any(selected.values()):
        entries["selected"] = {"color": INK.light, "marker": "o", "mfc": "none", "ms": 8.5}
    return entries


def _scan_says(table: pd.DataFrame, selected: Mapping[str, Sequence[int]]) -> str:
    """The component whose removal takes most, and which were selected."""
    most = lines_of(table.loc[[table["delta_trigger_log_odds"].idxmin()]])[0]
    chosen = [f"{name} {layer}" for name, layers in selected.items() for layer in layers]
    said = (
        f"Most is lost without {most['component']} {int(most['layer'])}: the triggers' log-odds change by "
        f"{plainly(most, 'delta_trigger_log_odds', '.2f')}"
    )
    return f"{said}. Selected: {', '.join(chosen) or 'none'}."
