"""ablation-scan: which components write the onset, at what cost elsewhere, and which are selected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from backtracking.run import io
from backtracking.stages.base import Input, Result, RunContext, Stage
from backtracking.stages.phase1.mechanism import (
    STUDY_KEYS,
    controls_path,
    open_bench,
    open_study,
    study_inputs,
    work_name,
    write_controls,
)

if TYPE_CHECKING:
    import pandas as pd

    from backtracking.mechanism.ablation_scan import Mode, ScanResult
    from backtracking.mechanism.analyses import BlockScan
    from backtracking.mechanism.study import Bench, Study

FIGURE = "ablation_importance_by_layer"
DIRECT_FIGURE = "direct_vs_total_effect"
PAIRS_FIGURE = "component_interactions"
FEWEST_CONTROLLED = 10
PARTS = ("blocks", "whole", "heads", "direct", "pairs", "positions")
SCAN_KEYS = (
    *STUDY_KEYS,
    "analysis.ablation_components",
    "analysis.ablation_layers",
    "analysis.ablation_modes",
    "analysis.ablation_scale",
)
SELECTION_KEYS = (
    "analysis.topk_layers_for_generation",
    "analysis.selection",
    "analysis.collateral_floor",
    "analysis.max_collateral",
)


@dataclass(frozen=True)
class AblationScan(Stage):
    variant: str
    heads: bool = False
    """Also remove every attention head alone."""
    positions: bool = False
    """Also remove every block at the three positions before the deciding one."""

    name: ClassVar[str] = "ablation-scan"
    phase: ClassVar[Literal[1, 2]] = 1
    config_keys: ClassVar[tuple[str, ...]] = (*SCAN_KEYS, *SELECTION_KEYS)

    @property
    def key(self) -> str:
        """The extra scans add tables to the same result, so they share its place in the run's record."""
        return f"{self.name}[{self.variant}]"

    def inputs(self, ctx: RunContext) -> Sequence[Input]:
        return study_inputs(ctx, self.variant)

    def outputs(self, ctx: RunContext) -> Sequence[Path]:
        tables = ["ablation_importance.csv", "ablation_modes.csv", "ablation_selection.json"]
        tables += ["direct_effects.csv", "pair_interactions.csv"]
        names = [FIGURE, DIRECT_FIGURE, PAIRS_FIGURE]
        for part in self._extras(ctx):
            tables.append(f"ablation_{part}.csv")
            names.append(f"ablation_{part}")
        paths = [ctx.paths.selected_layers, controls_path(ctx)]
        return [*map(ctx.paths.table, tables), *paths, *map(ctx.paths.figure, names)]

    def run(self, ctx: RunContext) -> Result:
        from backtracking.mechanism.analyses import direct_effects, removed_whole, scan_blocks

        bench = open_bench(ctx, self._work, SCAN_KEYS)
        study = open_study(ctx, self.variant, bench)
        found = scan_blocks(bench, study)
        self._write_blocks(ctx, found)
        write_controls(ctx, study)
        self._pairs(ctx, bench, found)
        extras = self._extras(ctx)
        total = removed_whole(bench, study, found.result)
        if "heads" in extras:
            total += self._heads(ctx, bench, study)
        self._direct(ctx, direct_effects(bench, study, total))
        if "positions" in extras:
            self._positions(ctx, bench, study)
        notes = {"selected_by": found.rule, "problems_with_controls": self._controlled(ctx, study)}
        return Result(rows=len(found.table), notes=study.notes() | notes)

    def resumes_from(self, ctx: RunContext) -> Sequence[Path]:
        return [ctx.paths.work(work_name(self._work, part)) for part in PARTS]

    def _extras(self, ctx: RunContext) -> list[str]:
        """The extra scans that are asked for, or that the run has already and so keeps up to date."""
        asked = {"heads": self.heads, "positions": self.positions}
        return [part for part in asked if asked[part] or ctx.paths.table(f"ablation_{part}.csv").exists()]

    @property
    def _work(self) -> str:
        return f"{self.name}-{self.variant}"

    def _controlled(self, ctx: RunContext, study: "Study") -> int:
        """How many problems have a control; said where there are too few to tell how sure selectivity is."""
        found = len({study.events[number].at.example_id for number in study.matched})
        if 0 < found < FEWEST_CONTROLLED:
            ctx.reporter.say(
                f"  note: only {found} of {study.notes()['problems']} problems have a control of kind "
                "matched_row: selectivity has rough intervals and tests, or none (analysis.control_samples)"
            )
        return found

    def _write_blocks(self, ctx: RunContext, found: "BlockScan") -> None:
        from backtracking.figures import mechanism as plots_mechanism
        from backtracking.figures import style as figures

        io.write_csv(ctx.paths.table("ablation_importance.csv"), found.table)
        _write_modes(ctx, found.by_mode)
        io.write_json(ctx.paths.selected_layers, found.selected)
        summary = {"variant": self.variant, **found.summary()}
        io.write_json(ctx.paths.table("ablation_selection.json"), summary)
        figures.save(plots_mechanism.plot_ablation_importance(found.table, found.selected), ctx.paths, FIGURE)

    def _direct(self, ctx: RunContext, table: "pd.DataFrame") -> None:
        from backtracking.figures import circuit as plots_circuit
        from backtracking.figures import style as figures

        io.write_csv(ctx.paths.table("direct_effects.csv"), table)
        figures.save(plots_circuit.plot_direct_effects(table), ctx.paths, DIRECT_FIGURE)

    def _pairs(self, ctx: RunContext, bench: "Bench", found: "BlockScan") -> None:
        from backtracking.figures import circuit as plots_circuit
        from backtracking.figures import style as figures
        from backtracking.mechanism.analyses import scan_pairs

        table = scan_pairs(bench, found.study, found.selected, found.mode)
        io.write_csv(ctx.paths.table("pair_interactions.csv"), table)
        figures.save(plots_circuit.plot_interactions(table), ctx.paths, PAIRS_FIGURE)

    def _heads(self, ctx: RunContext, bench: "Bench", study: "Study") -> "ScanResult":
        from backtracking.figures import circuit as plots_circuit
        from backtracking.figures import style as figures
        from backtracking.mechanism.analyses import scan_heads, scored

        result = scan_heads(bench, study)
        table = scored(bench, result)
        io.write_csv(ctx.paths.table("ablation_heads.csv"), table)
        figures.save(plots_circuit.plot_heads(table), ctx.paths, "ablation_heads")
        return result

    def _positions(self, ctx: RunContext, bench: "Bench", study: "Study") -> None:
        from backtracking.figures import circuit as plots_circuit
        from backtracking.figures import style as figures
        from backtracking.mechanism.analyses import scan_positions

        table = scan_positions(bench, study)
        io.write_csv(ctx.paths.table("ablation_positions.csv"), table)
        figures.save(plots_circuit.plot_positions(table), ctx.paths, "ablation_positions")
        for position, rows in table.groupby("position"):
            strongest = rows.sort_values("delta_log_odds").iloc[0]
            ctx.reporter.say(
                f"  at {position}: {strongest['component']} {strongest['layer']} takes most, "
                f"{-strongest['delta_log_odds']:.2f} of log-odds"
            )


def _write_modes(ctx: RunContext, tables: "Mapping[Mode, pd.DataFrame]") -> None:
    import pandas as pd

    io.write_csv(ctx.paths.table("ablation_modes.csv"), pd.concat(list(tables.values()), ignore_index=True))
