"""What would stop a pipeline later, told before it begins: from the configs and Phase 1's files alone."""

from collections.abc import Iterator

from backtracking.artifacts.readings import SELECTED
from backtracking.config.phase2 import Subset
from backtracking.errors import UserError
from backtracking.interventions import Intervention, Shape
from backtracking.model.source import check_source, known_shape
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
    complaints = {
        "correct phase2.subset_sweep.subsets": list(_beyond_the_model(ctx)),
        "finish the Phase 1 run": [] if phase1_comes_first else list(_lacking_from_phase1(ctx)),
    }
    if steps := [step for step, made in complaints.items() if made]:
        raise UserError(
            "this cannot run as it is",
            "\n        ".join(line for made in complaints.values() for line in made),
            f"{', and '.join(steps)} (nothing was generated)",
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
            f"{ctx.config.model.hf_id} has {shape}; "
            + "; ".join(f"subset {name} names {', '.join(parts)}" for name, parts in beyond.items())
        )


def _absent(subset: Subset, shape: Shape) -> Iterator[str]:
    for member in subset.components:
        head = member.head if isinstance(member, Intervention) else None
        if beyond := shape.lacks(member.component, member.layer, head):
            yield beyond


def _lacking_from_phase1(ctx: RunContext) -> Iterator[str]:
    """Phase 1's choice of layers, where a subset is made of it and the scan has not been run."""
    asking = [name for name, subset in ctx.phase2.subset_sweep.subsets.items() if subset.from_selected_layers]
    if not asking or ctx.phase1 is None or SELECTED.path(ctx.phase1).exists():
        return
    meta = RunMeta.load(ctx.phase1.meta) if ctx.phase1.meta.exists() else None
    scans = [record for key, record in meta.stages.items() if key.startswith(SCAN)] if meta else []
    if not any(record.outcome == "not testable" for record in scans):
        yield (
            f"subset {asking[0]} takes the layers that Phase 1 selected, and {SELECTED.path(ctx.phase1)} is "
            f"missing: run backtracking {SCAN} --run-id {ctx.phase1.run_id}"
        )
