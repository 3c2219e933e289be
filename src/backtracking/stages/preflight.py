"""What would stop a pipeline later, told before it begins: from the configs and Phase 1's files alone."""

from collections.abc import Iterator

from backtracking.config.phase2 import Subset
from backtracking.errors import UserError
from backtracking.interventions import Intervention
from backtracking.model.source import Shape, check_source, known_shape
from backtracking.run.meta import RunMeta
from backtracking.stages.base import RunContext

SWEEP, SCAN = "phase2-subset-sweep", "ablation-scan"


def check_can_run(ctx: RunContext, *, phase1_comes_first: bool = False) -> None:
    """Refuse a pipeline that cannot get to its end, with everything that stands in its way."""
    if not ctx.paths.meta.exists():
        check_source(ctx.config.model)
    record = ctx.meta.stages.get(SWEEP)
    if ctx.config.phase2 is None or (record is not None and record.outcome == "done"):
        return
    complaints = list(_beyond_the_model(ctx))
    if not phase1_comes_first:
        complaints += _lacking_from_phase1(ctx)
    if complaints:
        raise UserError(
            "this cannot run as it is",
            "\n        ".join(complaints),
            "correct phase2.subset_sweep.subsets, or finish the Phase 1 run (nothing was generated)",
        )


def _beyond_the_model(ctx: RunContext) -> Iterator[str]:
    """Components that the subsets name and the model does not have."""
    shape = known_shape(ctx.config.model)
    if shape is None:
        return
    subsets = ctx.phase2.subset_sweep.subsets
    beyond = {name: parts for name, subset in subsets.items() if (parts := [*_absent(subset, shape)])}
    if beyond:
        yield (
            f"{ctx.config.model.hf_id} has layers 0 to {shape.layers - 1} and heads 0 to {shape.heads - 1}; "
            + "; ".join(f"subset {name} names {', '.join(parts)}" for name, parts in beyond.items())
        )


def _absent(subset: Subset, shape: Shape) -> Iterator[str]:
    for member in subset.components:
        if member.layer >= shape.layers:
            yield f"{member.component} {member.layer}"
        elif isinstance(member, Intervention) and (member.head or 0) >= shape.heads:
            yield f"head {member.head} of {member.component} {member.layer}"


def _lacking_from_phase1(ctx: RunContext) -> Iterator[str]:
    """Phase 1's choice of layers, where a subset is made of it and the scan has not been run."""
    asking = [name for name, subset in ctx.phase2.subset_sweep.subsets.items() if subset.from_selected_layers]
    if not asking or ctx.phase1 is None or ctx.phase1.selected_layers.exists():
        return
    meta = RunMeta.load(ctx.phase1.meta) if ctx.phase1.meta.exists() else None
    scans = [record for key, record in meta.stages.items() if key.startswith(SCAN)] if meta else []
    if not any(record.outcome == "not testable" for record in scans):
        yield (
            f"subset {asking[0]} takes the layers that Phase 1 selected, and {ctx.phase1.selected_layers} is "
            f"missing: run backtracking {SCAN} --run-id {ctx.phase1.run_id}"
        )
