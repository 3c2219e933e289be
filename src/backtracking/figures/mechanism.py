"""Figures of the lens and the ablation scan."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from backtracking.figures import style as look

_CONTROL_LOOKS = {
    "matched_row": (look.BLUE, "other row, same offset"),
    "same_row_earlier": (look.GREEN, "same row, earlier sentence"),
}
_COMPONENT_LOOKS = {"attn": (look.BLUE, "attention"), "mlp": (look.ORANGE, "MLP")}


def plot_logit_lens(table: pd.DataFrame) -> Figure:
    """Left: log-mass of the onset's family by layer. Right: onset minus control, with 95% bands.

    `table`: `logit_lens.csv`.
    """
    if table.empty or not table["n_bt"].any():
        return look.empty_figure("no onsets to read")
    with look.style():
        figure, (levels, gaps) = look.new_figure(10.5, 4.0, 2)
        first = table[table["control_matching"] == table["control_matching"].iloc[0]]
        levels.plot(
            first["layer"], first["family_bt"], color=look.VERMILLION, marker="o", ms=3.5,
            label=f"before an onset (n = {int(first['n_bt'].max())})",
        )  # fmt: skip
        for kind, rows in table.groupby("control_matching", sort=False):
            color, name = _CONTROL_LOOKS[str(kind)]
            count = int(rows["n_control"].max())
            if not count:
                continue
            levels.plot(
                rows["layer"], rows["family_control"], color=color, marker="s", ms=3, ls="--",
                label=f"{name} (n = {count})",
            )  # fmt: skip
            _band(gaps, rows, "family_diff", color, name)
        gaps.axhline(0.0, color=look.INK, lw=0.8)
        levels.set_ylabel("log probability of the onset's token family")
        levels.set_title("Through the layers")
        levels.legend(fontsize=8.5)
        gaps.set_ylabel("onset − control (nats)")
        gaps.set_title("Paired difference, 95% interval over problems")
        for axes in (levels, gaps):
            axes.set_xlabel("layer")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if gaps.get_legend_handles_labels()[1]:
            gaps.legend(fontsize=8.5, loc="upper left")
    return figure


def _band(axes: Axes, rows: pd.DataFrame, column: str, color: str, label: str) -> None:
    """A line by layer with its interval as a band."""
    axes.plot(rows["layer"], rows[column], color=color, marker="o", ms=3.5, label=label)
    axes.fill_between(
        rows["layer"], rows[f"{column}_low"], rows[f"{column}_high"], color=color, alpha=0.2, lw=0
    )


def plot_lens_window(table: pd.DataFrame) -> Figure:
    """Layer × position around the onset: the family's log-mass, and how far it lies above the controls'.

    `table`: `logit_lens_window.csv`.
    """
    groups = [group for group in ("onset", *_CONTROL_LOOKS) if table.loc[table["group"] == group, "n"].any()]
    if "onset" not in groups:
        return look.empty_figure("no onsets to read")
    panels = [("onset", "family_logmass", "Before an onset")]
    panels += [
        (group, "onset_minus_group", f"minus {_CONTROL_LOOKS[group][1]}")
        for group in groups
        if group != "onset"
    ]
    with look.style():
        figure, axes = look.new_figure(4.4 * len(panels), 4.2, len(panels), sharey=True)
        for ax, (group, column, title) in zip(axes, panels, strict=True):
            _heatmap(figure, ax, table[table["group"] == group], column)
            ax.set_title(title)
        axes[0].set_ylabel("layer")
    return figure


def _heatmap(figure: Figure, axes: Axes, rows: pd.DataFrame, column: str) -> None:
    grid = rows.pivot(index="layer", columns="offset", values=column)
    values = grid.to_numpy(float)
    differs = column != "family_logmass"
    bound = float(np.nanmax(np.abs(values))) if differs and np.isfinite(values).any() else None
    offsets = [int(offset) for offset in grid.columns]
    extent = (offsets[0] - 0.5, offsets[-1] + 0.5, -0.5, len(grid) - 0.5)
    image = axes.imshow(
        values,
        origin="lower",
        aspect="auto",
        cmap="RdBu_r" if differs else "viridis",
        vmin=-bound if bound else None,
        vmax=bound,
        extent=extent,
    )
    axes.axvline(-0.5, color=look.INK, lw=0.8, ls=":")
    axes.axvline(0.5, color=look.INK, lw=0.8, ls=":")
    axes.grid(visible=False)
    axes.set_xlabel("position (0: the next token is the onset)")
    figure.colorbar(image, ax=axes, label="nats" if differs else "log probability of the family")


def plot_ablation_importance(table: pd.DataFrame, selected: Mapping[str, Sequence[int]]) -> Figure:
    """Per layer what ablation takes from the onset, what it costs elsewhere, and the ratio; ringed: selected.

    `table`: `ablation_importance.csv`.
    """
    if table.empty:
        return look.empty_figure("nothing was scanned")
    panels = (
        ("delta_trigger_log_odds", "change of the triggers' log-odds", "Effect on the onset"),
        ("kl_control", "KL at matched controls (nats)", "Damage elsewhere"),
        ("selectivity", "log-odds lost per nat", "Selectivity"),
    )
    with look.style():
        figure, axes = look.new_figure(13.0, 4.0, 3)
        for ax, (column, label, title) in zip(axes, panels, strict=True):
            for shift, (component, rows) in zip((-0.14, 0.14), table.groupby("component"), strict=False):
                color, name = _COMPONENT_LOOKS[str(component)]
                _layer_dots(ax, rows.assign(layer=rows["layer"] + shift), column, color, name)
                chosen = rows[rows["layer"].isin(selected.get(str(component), []))]
                ax.scatter(
                    chosen["layer"] + shift,
                    chosen[column],
                    s=130,
                    facecolors="none",
                    edgecolors=look.INK,
                    lw=1.1,
                )
            ax.axhline(0.0, color=look.INK, lw=0.8)
            ax.set_xlabel("layer")
            ax.set_ylabel(label)
            ax.set_title(title)
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes[1].set_yscale("symlog", linthresh=0.01)
        axes[1].set_ylim(bottom=-0.001)
        axes[0].legend(fontsize=8.5)
        events, controls = int(table["n_events"].max()), int(table["n_controls"].max())
        figure.suptitle(
            f"One component removed at a time ({table['mode'].iloc[0]}); {events} onsets, {controls} controls"
            "; bars: 95% over problems; ringed: selected",
            x=0.01, ha="left", fontsize=9.5,
        )  # fmt: skip
    return figure


def _layer_dots(axes: Axes, rows: pd.DataFrame, column: str, color: str, label: str) -> None:
    data = look.estimates(rows, column)
    axes.errorbar(
        rows["layer"],
        data.value,
        yerr=data.errors,
        color=color,
        fmt="o",
        ms=5,
        capsize=2,
        label=label,
    )
