"""The commands that run one stage each, grouped by phase."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from backtracking.cli import options
from backtracking.cli.say import say
from backtracking.cli.session import Request, asked_run, run_stages
from backtracking.run.records import BASELINE_NAME

if TYPE_CHECKING:
    from backtracking.stages.base import RunContext

PHASE1 = "Phase 1: where does it come from?"
PHASE2 = "Phase 2: can it be turned down?"


@dataclass(frozen=True)
class StageCommand:
    """A command: its stage (`module:Class`), its help, and what it takes beside the usual options."""

    name: str
    stage: str
    help: str
    example: str
    takes: tuple[str, ...] = ()
    panel: str = PHASE1


COMMANDS = (
    StageCommand(
        "prepare-data",
        "phase1.prepare_data:PrepareData",
        "Fetch or make the problems, with gold answers and stable ids.",
        "backtracking prepare-data --run-id my-run --set dataset.path=gsm8k_test.jsonl",
    ),
    StageCommand(
        "generate",
        "phase1.generate:Generate",
        "Sample completions of every problem; resumes where it was stopped.",
        "backtracking generate --run-id demo --condition baseline",
        ("variant", "condition"),
    ),
    StageCommand(
        "detect-events",
        "phase1.detect_events:DetectEvents",
        "Find the onsets in all completions, grade the answers, and tabulate both.",
        "backtracking detect-events --run-id demo",
    ),
    StageCommand(
        "onset-stability",
        "phase1.onset_stability:OnsetStability",
        "Sample again from just before onsets, and see how often an onset recurs.",
        "backtracking onset-stability --run-id demo --variant baseline_think_newline",
        ("variant",),
    ),
    StageCommand(
        "logit-lens",
        "phase1.logit_lens:LogitLens",
        "Follow the onset token through the layers, against matched controls.",
        "backtracking logit-lens --run-id demo --variant baseline_think_newline",
        ("variant",),
    ),
    StageCommand(
        "ablation-scan",
        "phase1.ablation_scan:AblationScan",
        "Remove each attention and MLP block at the onset, see what that does, and select the strongest.",
        "backtracking ablation-scan --run-id demo --variant baseline_think_newline",
        ("variant", "heads", "positions"),
    ),
    StageCommand(
        "error-injection",
        "phase1.error_injection:ErrorInjection",
        "Make right steps wrong, see whether an onset follows, and trace which components carry the error.",
        "backtracking error-injection --run-id demo --variant baseline_think_newline",
        ("variant",),
    ),
    StageCommand(
        "direction",
        "phase1.direction:Direction",
        "Save the backtracking direction of every layer, and test it and a probe on held-out problems.",
        "backtracking direction --run-id demo --variant baseline_think_newline",
        ("variant",),
    ),
    StageCommand(
        "compare-conditions",
        "phase1.compare_conditions:CompareConditions",
        "Compare baseline, targeted and random ablation within one prompt format.",
        "backtracking compare-conditions --run-id demo",
        ("variant",),
    ),
    StageCommand(
        "fixed-prefixes",
        "phase1.fixed_prefixes:FixedPrefixes",
        "Continue the same prefixes, right and wrong, under the baseline, targeted and random ablation.",
        "backtracking fixed-prefixes --run-id demo --variant baseline_think_newline",
        ("variant",),
    ),
    StageCommand(
        "formatting-sweep",
        "phase1.formatting_sweep:FormattingSweep",
        "Compare the prompt formats, baseline only.",
        "backtracking formatting-sweep --run-id demo",
    ),
    StageCommand(
        "make-report",
        "phase1.make_report:MakeReport",
        "Write Phase 1's report from the tables.",
        "backtracking make-report --run-id demo",
    ),
    StageCommand(
        "metrics-v2",
        "phase2.metrics_v2:MetricsV2",
        "Deconfounded, baseline-only metrics of a Phase 1 run (its events table is enough).",
        "backtracking metrics-v2 -c demo_phase2 --phase1-run-id demo",
        ("phase1_run_id",),
        PHASE2,
    ),
    StageCommand(
        "phase2-subset-sweep",
        "phase2.subset_sweep:Phase2SubsetSweep",
        "Regenerate under each subset of components, all arms in one run.",
        "backtracking phase2-subset-sweep -c demo_phase2 --phase1-run-id demo",
        ("phase1_run_id",),
        PHASE2,
    ),
    StageCommand(
        "phase2-scale-sweep",
        "phase2.scale_sweep:Phase2ScaleSweep",
        "Turn one subset down step by step.",
        "backtracking phase2-scale-sweep -c demo_phase2 --phase1-run-id demo",
        ("phase1_run_id",),
        PHASE2,
    ),
    StageCommand(
        "phase2-continuation-ablation",
        "phase2.continuation_ablation:Phase2ContinuationAblation",
        "Intervene at the onset step alone and read the onset token's probability.",
        "backtracking phase2-continuation-ablation -c demo_phase2 --phase1-run-id demo",
        ("phase1_run_id",),
        PHASE2,
    ),
    StageCommand(
        "phase2-specificity",
        "phase2.specificity:Phase2Specificity",
        "Tabulate what each arm leaks: other triggers, unmarked checks, what its first change hits.",
        "backtracking phase2-specificity -c demo_phase2 --phase1-run-id demo",
        ("phase1_run_id",),
        PHASE2,
    ),
    StageCommand(
        "phase2-search",
        "phase2.search:Phase2Search",
        "Search component subsets and scales beyond the named ones, on half of the problems.",
        "backtracking phase2-search -c demo_phase2 --phase1-run-id demo",
        ("phase1_run_id",),
        PHASE2,
    ),
    StageCommand(
        "phase2-confirm",
        "phase2.confirm:Phase2Confirm",
        "Pick the best arm on one half of the problems and measure it on the other.",
        "backtracking phase2-confirm -c demo_phase2 --phase1-run-id demo",
        ("phase1_run_id",),
        PHASE2,
    ),
    StageCommand(
        "make-report-phase2",
        "phase2.make_report:MakeReportPhase2",
        "Write Phase 2's report from the tables of both phases.",
        "backtracking make-report-phase2 -c demo_phase2 --phase1-run-id demo",
        ("phase1_run_id",),
        PHASE2,
    ),
)


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    for command in COMMANDS:
        text = f"{command.help}\n\nExample: [cyan]{command.example}[/cyan]"
        app.command(command.name, help=text, rich_help_panel=command.panel)(_function(command))


def _function(command: StageCommand) -> Callable[..., None]:
    parameters = tuple(name for name in command.takes if name != "phase1_run_id")

    def run(**given: Any) -> None:
        values = {name: given.pop(name) for name in parameters}
        request = Request(**(given | {"overrides": given["overrides"] or ()}))
        ctx = asked_run(request)
        if command.panel == PHASE2:
            _ = ctx.phase2  # says what is wrong with a Phase 1 run
        module, _, name = command.stage.partition(":")
        kind = getattr(importlib.import_module(f"backtracking.stages.{module}"), name)
        stages = [kind(**asked) for asked in _for_variants(values, ctx)]
        run_stages(ctx, stages, request)
        if not request.quiet:
            for stage in stages:
                for path in stage.outputs(ctx):
                    if path.exists():
                        say(path)

    run.__name__ = command.name.replace("-", "_")
    return options.with_options(run, (*command.takes, *options.RUN))


def _for_variants(values: dict[str, Any], ctx: "RunContext") -> list[dict[str, Any]]:
    """A stage's parameters per prompt format: the one typed, all for the baseline, else the main one."""
    if "variant" not in values:
        return [values]
    names = ctx.config.prompting.variant_names
    if values["variant"] is not None:
        names = (ctx.check_variant(values["variant"]),)
    elif values.get("condition") != BASELINE_NAME:
        names = names[:1]
    return [values | {"variant": name} for name in names]
