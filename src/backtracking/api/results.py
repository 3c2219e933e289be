"""What the analyses hand out: tables to compute with, figures to look at, and arms to try next."""

from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

from backtracking.api.arms import ArmRecipe, scale
from backtracking.api.display import table_html
from backtracking.claims.wording import counted
from backtracking.errors import UserError
from backtracking.interventions import direction_vector

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from torch import Tensor

    from backtracking.mechanism import direction
    from backtracking.mechanism.analyses import BlockScan, LensTables


class Scan:
    """The blocks by what their removal takes from the onset."""

    def __init__(self, scan: "BlockScan") -> None:
        self._scan = scan

    @property
    def table(self) -> "pd.DataFrame":
        """One line per block, with the columns of a run's `ablation_importance.csv`."""
        return self._scan.table

    @property
    def selected(self) -> dict[str, list[int]]:
        """The strongest layers of each kind that may be selected, strongest first."""
        return self._scan.selected

    @property
    def summary(self) -> dict[str, Any]:
        """What was selected under either rule, and whether the onset is localised."""
        return self._scan.summary()

    def arm(self, factor: float, count: int = 1) -> ArmRecipe:
        """The `count` strongest blocks, scaled: an arm to generate under, whether or not they stand out."""
        ranked = self.table.sort_values(self._scan.rule, ascending=False, kind="stable")
        blocks = zip(ranked["component"], ranked["layer"], strict=True)
        chosen = [(kind, layer) for kind, layer in blocks if layer in self._scan.strongest[kind]][:count]
        if not chosen:
            raise UserError("the scan ranks no block", "none takes more from the onset than elsewhere")
        return reduce(add, (scale(kind, int(layer), factor) for kind, layer in chosen))

    def plot(self) -> "Figure":
        """Effect on the onset, damage elsewhere, and their ratio, by layer."""
        from backtracking.figures.mechanism import plot_ablation_importance

        return plot_ablation_importance(self.table, self.selected)

    def __repr__(self) -> str:
        notes = self._scan.study.notes()
        onsets, problems = counted(notes["events"], "onset"), counted(notes["problems"], "problem")
        chosen = [f"{kind} {', '.join(map(str, layers))}" for kind, layers in self.selected.items() if layers]
        return f"Scan({onsets} of {problems}, selected: {'; '.join(chosen) or 'nothing'})"

    def _repr_html_(self) -> str:
        return table_html(repr(self), self.table.sort_values("delta_trigger_log_odds"))


class Lens:
    """What each layer would say at the onsets, and at their controls, if it were the last."""

    def __init__(self, tables: "LensTables") -> None:
        self._tables = tables

    @property
    def table(self) -> "pd.DataFrame":
        """One line per layer and kind of control, with the columns of a run's `logit_lens.csv`."""
        return self._tables.table

    @property
    def window(self) -> "pd.DataFrame":
        """The same at the positions around the onset: a run's `logit_lens_window.csv`."""
        return self._tables.window

    @property
    def first_separations(self) -> dict[str, int | None]:
        """Per kind of control the first layer at which onsets clearly lie above."""
        return self._tables.first_separations()

    def plot(self) -> "Figure":
        """Onsets and controls through the layers."""
        from backtracking.figures.mechanism import plot_logit_lens

        return plot_logit_lens(self.table)

    def __repr__(self) -> str:
        layers = ", ".join(f"{kind} at layer {layer}" for kind, layer in self.first_separations.items())
        return f"Lens({counted(int(self.table['n_bt'].max()), 'onset')}, apart from {layers})"

    def _repr_html_(self) -> str:
        return table_html(repr(self), self.table)


class Directions:
    """The backtracking direction after every layer, and how well it tells held-out onsets apart."""

    def __init__(self, directions: "direction.SampledStates") -> None:
        self._directions = directions
        self._vectors = directions.vectors()
        self._table = directions.table()

    @property
    def table(self) -> "pd.DataFrame":
        """AUROC by layer, place, method and kind of control: a run's `direction.csv`."""
        return self._table

    @property
    def best_layer(self) -> int:
        """The layer whose direction tells held-out onsets best from matched controls."""
        rows = self._table
        wanted = {"method": "difference of means", "place": "deciding", "control_kind": "matched_row"}
        for column, value in wanted.items():
            rows = rows[rows[column] == value]
        return int(rows.sort_values("auroc", ascending=False, kind="stable")["layer"].iloc[0])

    def vector(self, layer: int) -> "Tensor":
        """The direction after a layer, from matched controls to onsets, as long as they lie apart."""
        name = direction_vector("deciding", layer)
        if name not in self._vectors:
            raise UserError(f"there is no direction of layer {layer}")
        return self._vectors[name]

    def plot(self) -> "Figure":
        """AUROC by layer beside its baselines."""
        from backtracking.figures.causes import plot_direction

        return plot_direction(self._table)

    def __repr__(self) -> str:
        split = self._directions.split
        sides = (
            f"fitted on {counted(len(split.fit_problems), 'problem')}, tested on {len(split.test_problems)}"
        )
        layers = counted(len(self._vectors) // 2, "layer")
        return f"Directions({layers}, {sides}, best layer {self.best_layer})"

    def _repr_html_(self) -> str:
        return table_html(repr(self), self._table)
