"""ablation-scan: which components write the onset, at what cost elsewhere, and which are selected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from backtracking import io
from backtracking.stages.base import Input, Result, RunContext, Stage
from backtracking.stages.mechanism import (
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

    from backtracking.analysis.ablation_scan import Mode, Removal, ScanResult
    from backtracking.analysis.selection import Rule

FIGURE = "ablation_importance_by_layer"
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

    name: ClassVar[str] = "ablation-scan"
    phase: ClassVar[Literal[1, 2]] = 1
    config_keys: ClassVar[tuple[str, ...]] = (*SCAN_KEYS, *SELECTION_KEYS)

    def inputs(self, ctx: RunContext) -> Sequence[Input]:
        return study_inputs(ctx, self.variant)

    def outputs(self, ctx: RunContext) -> Sequence[Path]:
        tables = ("ablation_importance.csv", "ablation_modes.csv", "ablation_selection.json")
        paths = [ctx.paths.table(name) for name in tables]
        return [*paths, ctx.paths.selected_layers, controls_path(ctx), ctx.paths.figure(FIGURE)]

    def run(self, ctx: RunContext) -> Result:
        from backtracking.analysis import figures, plots_mechanism
        from backtracking.analysis.ablation_scan import Removal, importance_table, scanned_sites
        from backtracking.analysis.selection import add_scores, selected

        config = ctx.config.analysis
        study = open_study(ctx, self.variant)
        sites = scanned_sites(ctx.model(), config)
        result = scan_study(
            ctx, self, study, [Removal(site, mode) for mode in config.ablation_modes for site in sites]
        )
        modes = {
            mode: add_scores(importance_table(result.of_mode(mode)), result.of_mode(mode), config)
            for mode in config.ablation_modes
        }
        table = modes[config.ablation_modes[0]]
        rule = self._rule(ctx, table)
        io.write_csv(ctx.paths.table("ablation_importance.csv"), table)
        _write_modes(ctx, modes)
        selection = selected(table, rule, config.topk_layers_for_generation)
        io.write_json(ctx.paths.selected_layers, selection)
        io.write_json(ctx.paths.table("ablation_selection.json"), self._summary(ctx, study, modes, rule))
        write_controls(ctx, study)
        figures.save(plots_mechanism.plot_ablation_importance(table, selection), ctx.paths, FIGURE)
        return Result(rows=len(table), notes=study.notes() | {"selected_by": rule})

    def _rule(self, ctx: RunContext, table: "pd.DataFrame") -> "Rule":
        """Selectivity compares with controls; without any, the effect alone must do, and that is said."""
        if ctx.config.analysis.selection == "selectivity" and not table["n_controls"].any():
            ctx.reporter.say("  note: no onset has a control, so components are ranked by effect alone")
            return "effect"
        return ctx.config.analysis.selection

    def _summary(
        self, ctx: RunContext, study: Study, modes: "Mapping[Mode, pd.DataFrame]", rule: "Rule"
    ) -> dict[str, Any]:
        from backtracking.analysis.selection import RULES, localisation, selected

        config = ctx.config.analysis
        table = modes[config.ablation_modes[0]]
        return {
            "variant": self.variant,
            "mode": config.ablation_modes[0],
            "rule": rule,
            **study.notes(),
            "selected": {rule_: selected(table, rule_, config.topk_layers_for_generation) for rule_ in RULES},
            "localisation": {
                mode: {rule_: localisation(rows, rule_) for rule_ in RULES} for mode, rows in modes.items()
            },
        }


def scan_study(ctx: RunContext, stage: Stage, study: Study, removals: "Sequence[Removal]") -> "ScanResult":
    """Scan all onsets and their matched controls, resuming where an interrupted scan stopped."""
    from backtracking.analysis.ablation_scan import Donors, Scan, ScanResult

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
    scan = Scan(loaded, removals, config, donors)
    items = [(event.at, target) for event, target in zip(study.events, study.targets, strict=True)]
    items += [(control, study.targets[number]) for number, control in controls]
    # Donor values depend on which rows are studied; the other settings are the config's.
    rows = [[item.seen for item, _ in items] if donors else None]
    settings = settings_digest(ctx, SCAN_KEYS, removals=[str(removal) for removal in removals], rows=rows)
    values = compute_items(ctx, stage.key.translate(_FILE_NAME), items, scan, settings)
    at_onset = values[: len(study.events)]
    at_control = {
        number: found for (number, _), found in zip(controls, values[len(study.events) :], strict=True)
    }
    return ScanResult.of(removals, study.events, at_onset, at_control)


_FILE_NAME = str.maketrans({"[": "-", "/": "-", "]": None})


def _write_modes(ctx: RunContext, modes: "Mapping[Mode, pd.DataFrame]") -> None:
    import pandas as pd

    io.write_csv(ctx.paths.table("ablation_modes.csv"), pd.concat(list(modes.values()), ignore_index=True))
