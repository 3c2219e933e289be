"""direction: the backtracking direction of every layer, saved by name for interventions, and its probes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from backtracking import io
from backtracking.errors import UserError
from backtracking.stages.base import Input, Result, RunContext, Stage
from backtracking.stages.mechanism import STUDY_KEYS, Study, open_study, study_inputs

if TYPE_CHECKING:
    from backtracking.analysis.direction import Directions

FIGURE = "backtracking_direction"
FEWEST_PROBLEMS = 4


@dataclass(frozen=True)
class Direction(Stage):
    variant: str

    name: ClassVar[str] = "direction"
    phase: ClassVar[Literal[1, 2]] = 1
    config_keys: ClassVar[tuple[str, ...]] = STUDY_KEYS

    def inputs(self, ctx: RunContext) -> Sequence[Input]:
        return study_inputs(ctx, self.variant)

    def outputs(self, ctx: RunContext) -> Sequence[Path]:
        names = ("direction.csv", "directions.safetensors", "directions.json")
        return [*map(ctx.paths.table, names), ctx.paths.figure(FIGURE)]

    def run(self, ctx: RunContext) -> Result:
        from safetensors.torch import save_file

        from backtracking.analysis import figures, plots_causes

        study = open_study(ctx, self.variant)
        directions = self._read(ctx, study)
        vectors = directions.vectors()
        table = directions.table()
        io.write_csv(ctx.paths.table("direction.csv"), table)
        with io.atomic_path(ctx.paths.table("directions.safetensors")) as temporary:
            save_file({name: vector.contiguous() for name, vector in vectors.items()}, temporary)
        io.write_json(ctx.paths.table("directions.json"), self._card(ctx, directions, sorted(vectors)))
        figures.save(plots_causes.plot_direction(table), ctx.paths, FIGURE)
        return Result(rows=len(vectors), notes=study.notes())

    def _read(self, ctx: RunContext, study: Study) -> "Directions":
        import numpy as np

        from backtracking.analysis.direction import Directions, read_states, samples_of, split_problems

        samples = samples_of(study.events)
        problems = {sample.problem for sample in samples}
        if len(problems) < FEWEST_PROBLEMS:
            raise UserError(
                f"a direction needs onsets with controls in at least {FEWEST_PROBLEMS} problems",
                f"there are {len(problems)}: half of them fit it and half test it",
                "generate more problems, or raise analysis.max_events and analysis.control_samples",
            )
        loaded = ctx.model()
        states: dict[int, Any] = {}
        with ctx.reporter.bar(self.key, len(samples), "positions") as bar:
            readings = [sample.at for sample in samples]
            for index, state in read_states(loaded, readings, ctx.config.analysis.batch_tokens):
                states[index] = state.numpy()
                bar.advance()
        seed = ctx.config.run.seed
        stacked = np.stack([states[k] for k in range(len(samples))])
        return Directions(samples, stacked, split_problems(sorted(problems), seed), seed)

    def _card(self, ctx: RunContext, directions: "Directions", names: list[str]) -> dict[str, Any]:
        problems = sorted({sample.problem for sample in directions.samples})
        return {
            "what": "mean residual stream at onsets minus mean at controls, after each layer",
            "places": {
                "deciding": "the position whose next token is the onset",
                "window": "the mean over the positions before it (12 at most)",
            },
            "use": "an intervention with component resid, mode add or project, and vector set to a name",
            "names": names,
            "model": ctx.config.model.hf_id,
            "revision": ctx.config.model.revision,
            "variant": self.variant,
            "seed": directions.seed,
            "fit_problems": sorted(directions.fit_problems),
            "test_problems": [name for name in problems if name not in directions.fit_problems],
            "samples": len(directions.samples),
        }
