"""How much there can be at most of what stages go on from, told before anything is loaded."""

from typing import TYPE_CHECKING

from backtracking.artifacts import phase1 as files
from backtracking.artifacts import readings
from backtracking.artifacts.kinds import Table
from backtracking.config.onsets import MEMBERS
from backtracking.run.paths import RunPaths
from backtracking.run.records import BASELINE_NAME
from backtracking.stages.base import RunContext

if TYPE_CHECKING:
    import pandas as pd


def baseline_completions(ctx: RunContext) -> int:
    """The completions of a prompt format."""
    return ctx.problem_count() * ctx.config.generation.num_samples_per_prompt


def most_onsets(ctx: RunContext, variant: str) -> int:
    """Completions with an onset of the kind under study: of each, the first is looked into."""
    onsets = _baseline(ctx, ctx.paths, files.ONSETS, variant, "kind")
    return baseline_completions(ctx) if onsets is None else _with_studied_onset(ctx, onsets)


def most_onsets_of_phase1(ctx: RunContext, variant: str) -> int | None:
    """The same of the Phase 1 run; none where it has no table of onsets yet."""
    onsets = _baseline(ctx, ctx.phase1, files.ONSETS, variant, "kind") if ctx.phase1 else None
    return None if onsets is None else _with_studied_onset(ctx, onsets)


def most_prefixes(ctx: RunContext, variant: str) -> int:
    """Right completions: of each, one step at most is made wrong."""
    events = _baseline(ctx, ctx.paths, files.EVENTS, variant, "is_correct")
    return (
        baseline_completions(ctx)
        if events is None
        else int((events["is_correct"].astype(str) == "True").sum())
    )


def most_components(ctx: RunContext) -> int:
    """Components that stand out of the scan, or that may."""
    if ctx.stands(readings.SELECTED.path(ctx.paths)):
        selected = readings.SELECTED.read(ctx.paths)
        return sum(len(selected.get(component, ())) for component in ("attn", "mlp"))
    asked = ctx.config.analysis
    return len(asked.ablation_components) * asked.topk_layers_for_generation


def most_random_sets(ctx: RunContext) -> int:
    """Random sets that are drawn; a small model may have fewer of them than are asked for."""
    asked = ctx.config.ablation_generation.random_draws
    if not ctx.stands(files.RANDOM_SETS.path(ctx.paths)):
        return asked
    sets = files.RANDOM_SETS.read(ctx.paths)
    return min(asked, int(sets["draw"].notna().sum())) if "draw" in sets else asked


def _with_studied_onset(ctx: RunContext, onsets: "pd.DataFrame") -> int:
    studied = onsets[onsets["kind"].isin(MEMBERS[ctx.config.analysis.onsets])]
    return len(studied.drop_duplicates(["example_id", "sample_id"]))


def _baseline(
    ctx: RunContext, run: RunPaths, table: Table, variant: str, column: str
) -> "pd.DataFrame | None":
    """A table's rows of a variant's baseline; none where it is yet to be made, or lacks the column."""
    if not ctx.stands(table.path(run)):
        return None
    rows = table.read(run)
    if not {"variant", "condition", "example_id", "sample_id", column} <= set(rows.columns):
        return None
    return rows[(rows["variant"] == variant) & (rows["condition"] == BASELINE_NAME)]
