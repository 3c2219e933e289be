"""Figures of direct effects, interactions, single heads and positions."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh

from backtracking.claims.wording import lines_of, plainly
from backtracking.figures import marks
from backtracking.figures.caption import Caption, NothingToShow, of_positions, what_bars_mean, with_minus
from backtracking.figures.colours import INK, colour
from backtracking.figures.mechanism import COMPONENTS
from backtracking.figures.style import PAGE, Drawing, canvas, drawn, panels

_CLEAR = 0.15
"""Share of the largest effect from which a component is named in the figure."""
_MOST_NAMED = 8
_MARKERS = {"attn": "o", "mlp": "s"}
_LOST = "log-odds lost"


@drawn
def plot_direct_effects(table: pd.DataFrame, *, width: float = PAGE) -> Drawing:
    """Direct against total effect of every block; below the diagonal the rest makes up for a loss.

    `table`: `direct_effects.csv`.
    """
    if "total" not in table or table["total"].notna().sum() == 0:
        raise NothingToShow("no total effects to compare with")
    blocks = table[table["head"].isna() & table["total"].notna()].reset_index(drop=True)
    figure, axes = canvas(width, min(3.2, 0.85 * width))
    direct, total = marks.estimates(blocks, "direct"), marks.estimates(blocks, "total")
    for component, rows in blocks.groupby("component"):
        x, y = marks.estimates(rows, "direct"), marks.estimates(rows, "total")
        axes.errorbar(
            x.value, y.value, xerr=x.errors, yerr=y.errors, fmt=_MARKERS[str(component)],
            color=colour(str(component)), ms=3.8, elinewidth=0.9,
        )  # fmt: skip
    across, up = axes.get_xlim(), axes.get_ylim()
    axes.axline((0.0, 0.0), slope=1.0, color=colour("random"), lw=1.0, ls="--", zorder=0)
    axes.set_xlim(across)
    axes.set_ylim(up)
    axes.axhline(0, color=INK.light, lw=0.6)
    axes.axvline(0, color=INK.light, lw=0.6)
    axes.set_xlabel("direct effect (logits)")
    axes.set_ylabel("total effect (logits)")
    marks.key(
        figure,
        {
            **{
                COMPONENTS[name]: {"color": colour(name), "marker": marker}
                for name, marker in _MARKERS.items()
            },
            "total = direct": {"color": colour("random"), "ls": "--"},
        },
    )
    at = list(zip(direct.value.tolist(), total.value.tolist(), strict=True))
    marks.point_labels(figure, axes, at, _strongest(blocks), bars=marks.bars_of(direct, total))
    most = lines_of(blocks.loc[[blocks["total"].abs().idxmax()]])[0]
    figure.caption = Caption(
        "Direct and total effects",
        f"{most['component']} {int(most['layer'])} has the largest total effect: "
        f"{plainly(most, 'total', '.2f')} logits; it writes {plainly(most, 'direct', '.2f')} itself.",
        "Direct: what a component writes towards onset − contrast; total: what its removal takes away. "
        f"Below the diagonal the rest makes up for the loss. {what_bars_mean(blocks)}",
        f"{len(blocks)} components.",
    )  # fmt: skip
    return figure


def _strongest(blocks: pd.DataFrame) -> list[str]:
    """Names for the components with a clear effect, the strongest of them only."""
    size = blocks[["direct", "total"]].abs().max(axis=1)
    clear = size[size > _CLEAR * float(size.max())].nlargest(_MOST_NAMED).index
    return [
        f"{row['component']} {int(row['layer'])}" if index in clear else ""
        for index, row in zip(blocks.index, lines_of(blocks), strict=True)
    ]


_FAINT = 0.5
"""Interactions below this many nats never fill the colour scale."""
_FEWEST_PAIRS = 3
"""So many components make a grid; the one pair of two is a sentence."""


@drawn
def plot_interactions(table: pd.DataFrame, *, width: float = PAGE) -> Drawing:
    """Interaction of every pair of selected components; a dot marks those whose interval excludes 0.

    `table`: `pair_interactions.csv`.
    """
    if table.empty:
        raise NothingToShow("fewer than two components were selected")
    first = [f"{c} {k}" for c, k in zip(table["component_a"], table["layer_a"], strict=True)]
    second = [f"{c} {k}" for c, k in zip(table["component_b"], table["layer_b"], strict=True)]
    names = list(dict.fromkeys([*first, *second]))
    strongest = lines_of(table.loc[[table["interaction"].abs().idxmax()]])[0]
    if len(names) < _FEWEST_PAIRS:
        raise NothingToShow(with_minus(_pair_says(strongest)).rstrip("."))
    grid = pd.DataFrame(float("nan"), names, names)
    clear = pd.DataFrame(data=False, index=names, columns=names)
    for one, other, row in zip(first, second, lines_of(table), strict=True):
        grid.loc[one, other] = grid.loc[other, one] = row["interaction"]
        clear.loc[one, other] = clear.loc[other, one] = str(row["kind"]).endswith("-additive")
    side = min(0.3 * len(names) + 0.4, 0.62 * width)
    figure, axes = canvas(width, side)
    bound = max(float(table["interaction"].abs().max()), _FAINT)
    marks.colour_scale(figure, [axes], marks.heat(axes, grid, bound=bound, clear=clear), "log-odds")
    axes.set_aspect("equal")
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    figure.caption = Caption(
        "Components removed in pairs", _pair_says(strongest),
        "What both together take, less what each takes alone: below 0 they overlap, above 0 one stands in "
        "for the other; a dot where it is significant (Holm).", f"{len(table)} pairs.",
    )  # fmt: skip
    return figure


def _pair_says(row: dict[str, object]) -> str:
    """One pair as a sentence."""
    both = f"{row['component_a']} {row['layer_a']} and {row['component_b']} {row['layer_b']}"
    return (
        f"Removed together, {both} take {plainly(row, 'lost_together', '.2f')} of log-odds; alone "
        f"{plainly(row, 'lost_a', '.2f')} and {plainly(row, 'lost_b', '.2f')}. The interaction is "
        f"{plainly(row, 'interaction', '.2f')}: {row['kind']}."
    )


@drawn
def plot_heads(table: pd.DataFrame, *, width: float = PAGE) -> Drawing:
    """Layer × head: log-odds of the triggers lost when one head is removed, and the damage elsewhere.

    `table`: `ablation_heads.csv`.
    """
    if table.empty:
        raise NothingToShow("no heads were scanned")
    lost, clear = _lost(table)
    height = max(1.2, 0.085 * table["layer"].nunique())
    figure, (effect, damage) = panels(width, 2, height, narrowest=3.0, margin=1.0, share="y")
    grid = _by(lost, "head", "lost")
    mesh = marks.heat(effect, grid, clear=_by(clear, "head", "clear"))
    marks.colour_scale(figure, [effect], mesh, _LOST)
    mesh = marks.heat(damage, _by(table, "head", "kl_control"), signed=False)
    marks.colour_scale(figure, [damage], mesh, "KL (nats)")
    effect.set_title("Effect on the onset")
    damage.set_title("Damage elsewhere")
    for axes in (effect, damage):
        marks.ticks(axes.xaxis, list(grid.columns), most=12)
        marks.layers_of(axes, grid)
        axes.set_xlabel("head")
    most = lines_of(lost.loc[[lost["lost"].idxmax()]])[0]
    figure.caption = Caption(
        "One head removed at a time",
        f"Most is lost without head {int(most['head'])} of layer {int(most['layer'])}: "
        f"{float(most['lost']):.2f} of the triggers' log-odds.",
        "First: what the triggers lose, with a dot where the 95% interval excludes 0. Second: KL at matched "
        "controls.",
        of_positions(table, ("n_events", "onsets"), ("n_controls", "matched controls")),
    )  # fmt: skip
    return figure


def _lost(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The table with the log-odds that the triggers lose, and with where their interval excludes 0."""
    delta = "delta_trigger_log_odds"
    lost = table.assign(lost=-table[delta])
    clear = pd.Series(data=False, index=table.index)
    if f"{delta}_low" in table:
        clear = (table[f"{delta}_low"] > 0) | (table[f"{delta}_high"] < 0)
    return lost, table.assign(clear=clear)


def _by(table: pd.DataFrame, columns: str, values: str) -> pd.DataFrame:
    return table.pivot(index="layer", columns=columns, values=values)


@drawn
def plot_positions(table: pd.DataFrame, *, width: float = PAGE) -> Drawing:
    """Layer × position: the triggers' log-odds lost when a block is removed there, one panel per kind.

    `table`: `ablation_positions.csv`.
    """
    if table.empty:
        raise NothingToShow("no positions were scanned")
    kinds = [str(kind) for kind in table["component"].unique()]
    lost, clear = _lost(table)
    height = max(1.2, 0.085 * table["layer"].nunique())
    figure, panes = panels(
        width, len(kinds), height, narrowest=min(3.0, width / (len(kinds) + 0.1)), share="both"
    )
    bound = float(lost["lost"].abs().max())
    for axes, kind in zip(panes, kinds, strict=True):
        mesh = _position_pane(axes, lost[lost["component"] == kind], clear[clear["component"] == kind], bound)
        axes.set_title(COMPONENTS[kind])
    marks.colour_scale(figure, panes, mesh, _LOST)
    most = lines_of(lost.loc[[lost["lost"].idxmax()]])[0]
    figure.caption = Caption(
        "Blocks removed at one position",
        f"Most is lost without {most['component']} {int(most['layer'])} at {most['position']}: "
        f"{float(most['lost']):.2f} of the triggers' log-odds.",
        "Position 0 is the one after which the onset comes; a dot where the 95% interval excludes 0.",
        of_positions(table, ("n_events", "onsets"), ("n_controls", "matched controls")),
    )  # fmt: skip
    return figure


def _position_pane(axes: Axes, lost: pd.DataFrame, clear: pd.DataFrame, bound: float) -> QuadMesh:
    grid = _by(lost, "position", "lost")
    mesh = marks.heat(axes, grid, bound=bound, clear=_by(clear, "position", "clear"))
    marks.ticks(axes.xaxis, list(grid.columns))
    marks.layers_of(axes, grid)
    axes.set_xlabel("position")
    return mesh
