"""ablation-scan: which components write the onset, at what cost elsewhere, and which are selected."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from backtracking.artifacts import readings
from backtracking.artifacts.kinds import paths
from backtracking.artifacts.registry import with_figures
from backtracking.run.inputs import Input
from backtracking.stages.base import Result, RunContext, Stage
from backtracking.stages.phase1.bench import open_bench, work_name
from backtracking.stages.phase1.onset_study import (
    STUDY_KEYS,
    open_study,
    study_inputs,
    write_controls,
)

if TYPE_CHECKING:
    import pandas as pd

    from backtracking.mechanism.ablation_scan import ScanResult
    from backtracking.mechanism.analyses import BlockScan
    from backtracking.mechanism.study import Bench, Study

FEWEST_CONTROLLED = 10
MADE = (
    readings.IMPORTANCE,
    readings.IMPORTANCE_BY_MODE,
    readings.SCAN_ONSETS,
    readings.SELECTION,
    readings.DIRECT,
    readings.PAIRS,
    readings.SELECTED,
    readings.CONTROLS,
    readings.BALANCE,
)
EXTRAS = {"heads": readings.HEADS, "positions": readings.POSITIONS}
"""Scans that are made when asked for."""
PARTS = ("phrases", "blocks", "whole", "heads", "direct", "pairs", "positions")
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
    """Every component of one variant removed alone."""

    variant: str
    heads: bool = False
    """Also remove every attention head alone."""
    positions: bool = False
    """Also remove every block at the three positions before the deciding one."""

    name: ClassVar[str] = "ablation-scan"
    phase: ClassVar[Literal[1, 2]] = 1
    unit: ClassVar[str] = "component"
    config_keys: ClassVar[tuple[str, ...]] = (*SCAN_KEYS, *SELECTION_KEYS)

    @property
    def key(self) -> str:
        """The extra scans add tables to the same result, so they share its place in the run's record."""
        return f"{self.name}[{self.variant}]"

    def inputs(self, ctx: RunContext) -> Sequence[Input]:
        """The events and completions that the study is drawn from."""
        return study_inputs(ctx, self.variant)

    def outputs(self, ctx: RunContext) -> Sequence[Path]:
        """The tables of the scan and of the readings that the config asks for beside it."""
        extras = [EXTRAS[part] for part in self._extras(ctx)]
        return paths(ctx.paths, with_figures([*MADE, *extras]))

    def run(self, ctx: RunContext) -> Result:
        """Removes each component at the onsets and at their controls, and ranks what that did."""
        from backtracking.mechanism.analyses import direct_effects, removed_whole, scan_blocks

        bench = open_bench(ctx, self._work, self.key, SCAN_KEYS)
        study = open_study(ctx, self.variant, bench).weighed(bench)
        scanned = scan_blocks(bench, study)
        self._write_blocks(ctx, scanned)
        write_controls(ctx, study)
        self._pairs(ctx, bench, scanned)
        extras = self._extras(ctx)
        total = removed_whole(bench, study, scanned.result)
        if "heads" in extras:
            total += self._heads(ctx, bench, study)
        self._direct(ctx, direct_effects(bench, study, total))
        if "positions" in extras:
            self._positions(ctx, bench, study)
        notes = {"selected_by": scanned.rule, "problems_with_controls": self._controlled(ctx, study)}
        return Result(rows=len(scanned.table), notes=study.notes() | notes)

    def work_files(self, ctx: RunContext) -> Sequence[Path]:
        """The values of each reading so far, event by event."""
        return [ctx.paths.work(work_name(self._work, part)) for part in PARTS]

    def _extras(self, ctx: RunContext) -> list[str]:
        """The extra scans that are asked for, or that the run has already and so keeps up to date."""
        asked = {"heads": self.heads, "positions": self.positions}
        return [part for part in asked if asked[part] or EXTRAS[part].path(ctx.paths).exists()]

    @property
    def _work(self) -> str:
        return f"{self.name}-{self.variant}"

    def _controlled(self, ctx: RunContext, study: "Study") -> int:
        """How many problems have a control; said where there are too few to tell how sure selectivity is."""
        problems = len({study.events[number].at.example_id for number in study.matched})
        if 0 < problems < FEWEST_CONTROLLED:
            ctx.reporter.say(
                f"  note: problems with a matched_row control: only {problems}, so selectivity's intervals "
                "and tests are rough or missing (analysis.control_samples)"
            )
        return problems

    def _write_blocks(self, ctx: RunContext, scanned: "BlockScan") -> None:
        import pandas as pd

        from backtracking.figures import catalogue as figures
        from backtracking.mechanism.by_onset import scan_by_onset

        figures.publish(ctx.paths, readings.IMPORTANCE, scanned.table)
        by_mode = pd.concat(list(scanned.by_mode.values()), ignore_index=True)
        figures.publish(ctx.paths, readings.IMPORTANCE_BY_MODE, by_mode)
        figures.publish(ctx.paths, readings.SCAN_ONSETS, scan_by_onset(scanned.result, scanned.study))
        figures.publish(ctx.paths, readings.SELECTED, scanned.selected)
        readings.SELECTION.write(ctx.paths, {"variant": self.variant, **scanned.summary()})

    def _direct(self, ctx: RunContext, table: "pd.DataFrame") -> None:
        from backtracking.figures import catalogue as figures

        figures.publish(ctx.paths, readings.DIRECT, table)

    def _pairs(self, ctx: RunContext, bench: "Bench", scanned: "BlockScan") -> None:
        from backtracking.figures import catalogue as figures
        from backtracking.mechanism.analyses import scan_pairs

        table = scan_pairs(bench, scanned.study, scanned.strongest, scanned.mode)
        figures.publish(ctx.paths, readings.PAIRS, table)

    def _heads(self, ctx: RunContext, bench: "Bench", study: "Study") -> "ScanResult":
        from backtracking.figures import catalogue as figures
        from backtracking.mechanism.analyses import scan_heads, scored

        result = scan_heads(bench, study)
        table = scored(bench, result)
        figures.publish(ctx.paths, readings.HEADS, table)
        return result

    def _positions(self, ctx: RunContext, bench: "Bench", study: "Study") -> None:
        from backtracking.figures import catalogue as figures
        from backtracking.mechanism.analyses import scan_positions

        table = scan_positions(bench, study)
        figures.publish(ctx.paths, readings.POSITIONS, table)
        for position, rows in table.groupby("position"):
            strongest = rows.sort_values("delta_trigger_log_odds").iloc[0]
            ctx.reporter.say(
                f"  at {position}: {strongest['component']} {strongest['layer']} takes most, "
                f"{-strongest['delta_trigger_log_odds']:.2f} of log-odds"
            )
