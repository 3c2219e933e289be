"""ablation-scan: which components write the onset, at what cost elsewhere, and which are selected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from backtracking.run import io
from backtracking.stages.base import Input, Result, RunContext, Stage
from backtracking.stages.phase1.mechanism import (
    STUDY_KEYS,
    Study,
    compute_items,
    controls_path,
    open_study,
    settings_digest,
    study_inputs,
    write_controls,
)

if TYPE_CHECKING:
    import pandas as pd

    from backtracking.mechanism.ablation_scan import Mode, Removal, ScanResult
    from backtracking.mechanism.passes import Site
    from backtracking.mechanism.selection import Rule

FIGURE = "ablation_importance_by_layer"
DIRECT_FIGURE = "direct_vs_total_effect"
PAIRS_FIGURE = "component_interactions"
POSITIONS_BACK = 3
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
        from backtracking.figures import mechanism as plots_mechanism
        from backtracking.figures import style as figures
        from backtracking.mechanism.selection import selected

        config = ctx.config.analysis
        study = open_study(ctx, self.variant)
        modes = self._modes(ctx, study)
        result = self._scan_blocks(ctx, study, modes)
        tables = {mode: _scored(ctx, result.of_mode(mode)) for mode in modes}
        table = tables[modes[0]]
        rule = self._rule(ctx, table)
        selection = selected(table, rule, config.topk_layers_for_generation)
        io.write_csv(ctx.paths.table("ablation_importance.csv"), table)
        _write_modes(ctx, tables)
        io.write_json(ctx.paths.selected_layers, selection)
        io.write_json(ctx.paths.table("ablation_selection.json"), _summary(ctx, self, study, tables, rule))
        write_controls(ctx, study)
        figures.save(plots_mechanism.plot_ablation_importance(table, selection), ctx.paths, FIGURE)
        self._pairs(ctx, study, selection, modes[0])
        extras = self._extras(ctx)
        total = self._removed_whole(ctx, study, result)
        if "heads" in extras:
            total += self._heads(ctx, study)
        self._direct(ctx, study, total)
        if "positions" in extras:
            self._positions(ctx, study)
        notes = {"selected_by": rule, "problems_with_controls": self._controlled(ctx, study)}
        return Result(rows=len(table), notes=study.notes() | notes)

    def resumes_from(self, ctx: RunContext) -> Sequence[Path]:
        return [ctx.paths.work(self._work(part)) for part in PARTS]

    def _extras(self, ctx: RunContext) -> list[str]:
        """The extra scans that are asked for, or that the run has already and so keeps up to date."""
        asked = {"heads": self.heads, "positions": self.positions}
        return [part for part in asked if asked[part] or ctx.paths.table(f"ablation_{part}.csv").exists()]

    def _controlled(self, ctx: RunContext, study: Study) -> int:
        """How many problems have a control; said where there are too few to tell how sure selectivity is."""
        found = len({event.at.example_id for event in study.events if "matched_row" in event.controls})
        if 0 < found < FEWEST_CONTROLLED:
            ctx.reporter.say(
                f"  note: only {found} of {study.notes()['problems']} problems have a control of kind "
                "matched_row: selectivity has rough intervals and tests, or none (analysis.control_samples)"
            )
        return found

    def _modes(self, ctx: RunContext, study: Study) -> "tuple[Mode, ...]":
        """The ways of removal asked for, without those that lack the control positions they draw on."""
        asked = ctx.config.analysis.ablation_modes
        if any("matched_row" in event.controls for event in study.events):
            return asked
        possible = tuple(mode for mode in asked if mode in ("zero", "scale"))
        if dropped := sorted(set(asked) - set(possible)):
            ctx.reporter.say(f"  note: no onset has a control, so mode {' and '.join(dropped)} is left out")
        return possible or ("zero",)

    def _scan_blocks(self, ctx: RunContext, study: Study, modes: "Sequence[Mode]") -> "ScanResult":
        from backtracking.mechanism.ablation_scan import Removal, scanned_sites

        sites = scanned_sites(ctx.model(), ctx.config.analysis)
        return scan_study(
            ctx, study, self._work("blocks"), [Removal(s, mode) for mode in modes for s in sites]
        )

    def _removed_whole(self, ctx: RunContext, study: Study, result: "ScanResult") -> "ScanResult":
        """What every block's removal takes in any mode: a direct effect is all that it writes."""
        from backtracking.mechanism.ablation_scan import Removal, scanned_sites

        if (whole := result.of_mode("zero")).removals:
            return whole
        removals = [Removal(site) for site in scanned_sites(ctx.model(), ctx.config.analysis)]
        return scan_study(ctx, study, self._work("whole"), removals)

    def _work(self, part: str) -> str:
        return f"{self.name}-{self.variant}-{part}"

    def _rule(self, ctx: RunContext, table: "pd.DataFrame") -> "Rule":
        """Selectivity compares with controls; without any, the effect alone must do, and that is said."""
        if ctx.config.analysis.selection == "selectivity" and not table["n_controls"].any():
            ctx.reporter.say("  note: no onset has a control, so components are ranked by effect alone")
            return "effect"
        return ctx.config.analysis.selection

    def _direct(self, ctx: RunContext, study: Study, total: "ScanResult") -> None:
        from backtracking.figures import circuit as plots_circuit
        from backtracking.figures import style as figures
        from backtracking.mechanism.attribution import attribute, direct_table, stack_direct

        loaded, budget = ctx.model(), ctx.config.analysis.batch_tokens
        items = [(event.at, target) for event, target in zip(study.events, study.targets, strict=True)]
        found = compute_items(
            ctx,
            self._work("direct"),
            items,
            lambda some: attribute(loaded, some, budget),
            settings_digest(ctx, STUDY_KEYS),
        )
        sites, direct = stack_direct(found, loaded)
        table = direct_table(total.problems, sites, direct, total)
        io.write_csv(ctx.paths.table("direct_effects.csv"), table)
        figures.save(plots_circuit.plot_direct_effects(table), ctx.paths, DIRECT_FIGURE)

    def _pairs(self, ctx: RunContext, study: Study, selection: dict[str, list[int]], mode: "Mode") -> None:
        from backtracking.figures import circuit as plots_circuit
        from backtracking.figures import style as figures
        from backtracking.mechanism.interactions import interaction_table, pair_removals

        result = scan_study(ctx, study, self._work("pairs"), pair_removals(_sites(selection), mode))
        table = interaction_table(result)
        io.write_csv(ctx.paths.table("pair_interactions.csv"), table)
        figures.save(plots_circuit.plot_interactions(table), ctx.paths, PAIRS_FIGURE)

    def _heads(self, ctx: RunContext, study: Study) -> "ScanResult":
        from backtracking.figures import circuit as plots_circuit
        from backtracking.figures import style as figures
        from backtracking.mechanism.ablation_scan import Removal, head_sites

        removals = [Removal(site) for site in head_sites(ctx.model(), ctx.config.analysis)]
        result = scan_study(ctx, study, self._work("heads"), removals)
        table = _scored(ctx, result)
        io.write_csv(ctx.paths.table("ablation_heads.csv"), table)
        figures.save(plots_circuit.plot_heads(table), ctx.paths, "ablation_heads")
        return result

    def _positions(self, ctx: RunContext, study: Study) -> None:
        from backtracking.figures import circuit as plots_circuit
        from backtracking.figures import style as figures
        from backtracking.mechanism.ablation_scan import Removal, importance_table, scanned_sites

        removals = [
            Removal(site, "zero", back)
            for back in range(POSITIONS_BACK, -1, -1)
            for site in scanned_sites(ctx.model(), ctx.config.analysis)
        ]
        table = importance_table(scan_study(ctx, study, self._work("positions"), removals))
        io.write_csv(ctx.paths.table("ablation_positions.csv"), table)
        figures.save(plots_circuit.plot_positions(table), ctx.paths, "ablation_positions")
        for position, rows in table.groupby("position"):
            strongest = rows.sort_values("delta_log_odds").iloc[0]
            ctx.reporter.say(
                f"  at {position}: {strongest['component']} {strongest['layer']} takes most, "
                f"{-strongest['delta_log_odds']:.2f} of log-odds"
            )


def scan_study(ctx: RunContext, study: Study, work: str, removals: "Sequence[Removal]") -> "ScanResult":
    """Scan all onsets and their matched controls, resuming where an interrupted scan stopped."""
    from backtracking.mechanism.ablation_scan import Donors, Scan, ScanResult

    loaded, config = ctx.model(), ctx.config.analysis
    controls = [
        (number, event.controls["matched_row"])
        for number, event in enumerate(study.events)
        if "matched_row" in event.controls
    ]
    donors = None
    if any(removal.mode in ("mean", "resample") for removal in removals):
        positions = [control for _, control in controls]
        donors = Donors(loaded, positions, budget=config.batch_tokens, seed=ctx.config.run.seed)
    items = [(event.at, target) for event, target in zip(study.events, study.targets, strict=True)]
    items += [(control, study.targets[number]) for number, control in controls]
    # Donor values depend on which rows are studied; the other settings are the config's.
    rows = [[item.seen for item, _ in items] if donors else None]
    settings = settings_digest(ctx, SCAN_KEYS, removals=[str(removal) for removal in removals], rows=rows)
    values = compute_items(ctx, work, items, Scan(loaded, removals, config, donors), settings)
    at_onset = values[: len(study.events)]
    at_control = {
        number: found for (number, _), found in zip(controls, values[len(study.events) :], strict=True)
    }
    return ScanResult.of(removals, study.events, at_onset, at_control)


def _scored(ctx: RunContext, result: "ScanResult") -> "pd.DataFrame":
    from backtracking.mechanism.ablation_scan import importance_table
    from backtracking.mechanism.selection import add_scores

    return add_scores(importance_table(result), result, ctx.config.analysis)


def _sites(selection: dict[str, list[int]]) -> "list[Site]":
    from backtracking.mechanism.passes import KINDS, Site

    return sorted(Site(kind, layer) for kind in KINDS for layer in selection[kind])


def _summary(
    ctx: RunContext, stage: AblationScan, study: Study, tables: "Mapping[Mode, pd.DataFrame]", rule: "Rule"
) -> dict[str, Any]:
    from backtracking.mechanism.selection import RULES, localisation, selected

    count = ctx.config.analysis.topk_layers_for_generation
    first, table = next(iter(tables.items()))
    return {
        "variant": stage.variant,
        "mode": first,
        "rule": rule,
        **study.notes(),
        "selected": {name: selected(table, name, count) for name in RULES},
        "localisation": {
            mode: {name: localisation(rows, name) for name in RULES} for mode, rows in tables.items()
        },
    }


def _write_modes(ctx: RunContext, tables: "Mapping[Mode, pd.DataFrame]") -> None:
    import pandas as pd

    io.write_csv(ctx.paths.table("ablation_modes.csv"), pd.concat(list(tables.values()), ignore_index=True))
