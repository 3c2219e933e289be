"""Figures of direct effects, interactions, single heads and positions."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from backtracking.figures import style as look

_COLORS = {"attn": look.BLUE, "mlp": look.ORANGE}
_NAMES = {"attn": "attention", "mlp": "MLP"}
_CLEAR = 0.15
"""Share of the largest effect from which a component is named in the figure."""


def plot_direct_effects(table: pd.DataFrame) -> Figure:
    """Direct against total effect of every block; below the diagonal the rest makes up for a loss.

    `table`: `direct_effects.csv`.
    """
    if "total" not in table or table["total"].notna().sum() == 0:
        return look.empty_figure("no total effects to compare with")
    blocks = table[table["head"].isna() & table["total"].notna()]
    with look.style():
        figure, (axes,) = look.new_figure(6.6, 5.2)
        for component, rows in blocks.groupby("component"):
            direct, total = look.estimates(rows, "direct"), look.estimates(rows, "total")
            axes.errorbar(
                direct.value,
                total.value,
                xerr=direct.errors,
                yerr=total.errors,
                fmt="o",
                ms=5,
                color=_COLORS[str(component)],
                label=_NAMES[str(component)],
            )
        _label_strongest(axes, blocks)
        ends = [*axes.get_xlim(), *axes.get_ylim()]
        line = (min(ends), max(ends))
        axes.plot(line, line, color=look.GREY, lw=1, ls="--", zorder=0, label="total = direct (no repair)")
        axes.axhline(0, color=look.INK, lw=0.6)
        axes.axvline(0, color=look.INK, lw=0.6)
        axes.set_xlabel("direct effect: what it writes to onset − contrast (logits)")
        axes.set_ylabel("total effect: what its removal takes away (logits)")
        axes.set_title("Direct and total effects, 95% intervals over problems")
        axes.legend(fontsize=8.5)
    return figure


def _label_strongest(axes: Axes, blocks: pd.DataFrame) -> None:
    size = blocks[["direct", "total"]].abs().max(axis=1)
    clear = size[size > _CLEAR * float(size.max())]
    for row in blocks.loc[clear.index].to_dict("records"):
        axes.annotate(
            f"{row['component']} {row['layer']}",
            (row["direct"], row["total"]),
            xytext=(6, 4),
            textcoords="offset points",
            fontsize=8.5,
        )


_FAINT = 0.5
"""Interactions below this many nats never fill the colour scale."""


def plot_interactions(table: pd.DataFrame) -> Figure:
    """Interaction of every pair of selected components; a star marks those that are significant.

    `table`: `pair_interactions.csv`.
    """
    if table.empty:
        return look.empty_figure("fewer than two components were selected")
    first = [f"{c} {k}" for c, k in zip(table["component_a"], table["layer_a"], strict=True)]
    second = [f"{c} {k}" for c, k in zip(table["component_b"], table["layer_b"], strict=True)]
    names = list(dict.fromkeys([*first, *second]))
    grid = np.full((len(names), len(names)), np.nan)
    with look.style():
        figure, (axes,) = look.new_figure(max(1.8 + 0.62 * len(names), 4.4), 1.6 + 0.52 * len(names))
        largest = float(table["interaction"].abs().max())
        for one, other, row in zip(first, second, table.to_dict("records"), strict=True):
            i, j = names.index(one), names.index(other)
            grid[i, j] = grid[j, i] = row["interaction"]
            text = f"{row['interaction']:.2f}" + ("" if row["kind"] == "additive" else "*")
            color = "white" if abs(row["interaction"]) > 0.6 * max(largest, _FAINT) else look.INK
            for x, y in ((i, j), (j, i)):
                axes.text(x, y, text, ha="center", va="center", fontsize=7.5, color=color)
        _image(figure, axes, grid, "interaction (log-odds)", bound=max(largest, _FAINT))
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
        axes.set_yticks(range(len(names)), names)
        axes.set_title("Removed together − (one + other)")
        axes.set_xlabel("below 0: overlap, above 0: backup; * significant", fontsize=8)
    return figure


def plot_heads(table: pd.DataFrame) -> Figure:
    """Layer × head: log-odds of the triggers lost when one head is removed, and the damage elsewhere.

    `table`: `ablation_heads.csv`.
    """
    if table.empty:
        return look.empty_figure("no heads were scanned")
    with look.style():
        figure, (effect, damage) = look.new_figure(9.5, 1.4 + 0.28 * table["layer"].nunique(), 2)
        lost = table.assign(lost=-table["delta_trigger_log_odds"]).pivot(
            index="layer", columns="head", values="lost"
        )
        _image(figure, effect, lost.to_numpy(float), "log-odds lost")
        effect.set_title("Effect on the onset")
        kl = table.pivot(index="layer", columns="head", values="kl_control").to_numpy(float)
        image = damage.imshow(kl, origin="lower", aspect="auto", cmap="viridis")
        figure.colorbar(image, ax=damage, label="KL at controls (nats)")
        damage.set_title("Damage elsewhere")
        for axes in (effect, damage):
            axes.set_yticks(range(len(lost.index)), [str(layer) for layer in lost.index])
            axes.set_xlabel("head")
            axes.set_ylabel("layer")
            axes.grid(visible=False)
    return figure


def plot_positions(table: pd.DataFrame) -> Figure:
    """Layer × position: the triggers' log-odds lost when a block is removed there, one panel per kind.

    `table`: `ablation_positions.csv`.
    """
    if table.empty:
        return look.empty_figure("no positions were scanned")
    kinds = list(table["component"].unique())
    lost = table.assign(lost=-table["delta_trigger_log_odds"])
    with look.style():
        figure, panels = look.new_figure(
            4.2 * len(kinds) + 0.8, 1.6 + 0.26 * table["layer"].nunique(), len(kinds)
        )
        bound = float(lost["lost"].abs().max())
        for axes, kind in zip(panels, kinds, strict=True):
            rows = lost[lost["component"] == kind]
            grid = rows.pivot(index="layer", columns="position", values="lost")
            _image(figure, axes, grid.to_numpy(float), "log-odds lost", bound)
            axes.set_xticks(range(grid.shape[1]), [str(position) for position in grid.columns])
            axes.set_yticks(range(grid.shape[0]), [str(layer) for layer in grid.index])
            axes.set_xlabel("position (0: the next token is the onset)")
            axes.set_ylabel("layer")
            axes.set_title(_NAMES[str(kind)])
    return figure


def _image(
    figure: Figure, axes: Axes, grid: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]", label: str,
    bound: float | None = None,
) -> None:  # fmt: skip
    """A heatmap of signed values with zero at the middle of the scale."""
    if bound is None:
        bound = float(np.nanmax(np.abs(grid))) if np.isfinite(grid).any() else 1.0
    image = axes.imshow(grid, origin="lower", aspect="auto", cmap="RdBu_r", vmin=-bound, vmax=bound)
    axes.grid(visible=False)
    figure.colorbar(image, ax=axes, label=label)
