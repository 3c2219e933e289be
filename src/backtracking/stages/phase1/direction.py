"""direction: the backtracking direction of every layer, saved by name for interventions, and its probes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from backtracking.artifacts import readings
from backtracking.artifacts.kinds import paths
from backtracking.artifacts.registry import with_figures
from backtracking.run.inputs import Input
from backtracking.stages.base import Result, RunContext, Stage
from backtracking.stages.phase1.bench import open_bench
from backtracking.stages.phase1.onset_study import STUDY_KEYS, open_study, study_inputs

if TYPE_CHECKING:
    from backtracking.mechanism.direction import SampledStates


@dataclass(frozen=True)
class Direction(Stage):
    """A direction for every layer of one variant."""

    variant: str

    name: ClassVar[str] = "direction"
    phase: ClassVar[Literal[1, 2]] = 1
    config_keys: ClassVar[tuple[str, ...]] = STUDY_KEYS

    def inputs(self, ctx: RunContext) -> Sequence[Input]:
        """The events and completions that the study is drawn from."""
        return study_inputs(ctx, self.variant)

    def outputs(self, ctx: RunContext) -> Sequence[Path]:
        """How well each direction tells onsets from controls, and the vectors themselves."""
        return paths(
            ctx.paths, with_figures([readings.DIRECTION, readings.DIRECTIONS, readings.DIRECTIONS_CARD])
        )

    def run(self, ctx: RunContext) -> Result:
        """Fits a direction per layer on some problems and tests it on the others."""
        from backtracking.figures import catalogue as figures
        from backtracking.mechanism.analyses import find_directions

        bench = open_bench(ctx, self._work, self.key, STUDY_KEYS)
        study = open_study(ctx, self.variant, bench)
        directions = find_directions(bench, study)
        vectors = directions.vectors()
        table = directions.table()
        figures.publish(ctx.paths, readings.DIRECTION, table)
        readings.DIRECTIONS.write(ctx.paths, vectors)
        readings.DIRECTIONS_CARD.write(ctx.paths, self._card(ctx, directions, sorted(vectors)))
        ctx.paths.work(self._work).unlink()  # whole states are large, and quick to read again
        notes = {"dropped_across_the_split": directions.split.dropped}
        return Result(rows=len(vectors), notes=study.notes() | notes)

    def work_files(self, ctx: RunContext) -> Sequence[Path]:
        """The states read so far."""
        return [ctx.paths.work(self._work)]

    @property
    def _work(self) -> str:
        return f"{self.name}-{self.variant}"

    def _card(self, ctx: RunContext, directions: "SampledStates", names: list[str]) -> dict[str, Any]:
        split = directions.split
        return {
            "what": "mean residual stream at onsets minus mean at matched_row controls, after each layer",
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
            "fit_problems": sorted(split.fit_problems),
            "test_problems": sorted(split.test_problems),
            "samples": dict(Counter(sample.kind for sample in split.samples)),
            "dropped_across_the_split": split.dropped,
        }
