"""A bench on a run's model that keeps what it reads, so that an interrupted analysis goes on."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from backtracking.mechanism.partial import Values, compute_resumably
from backtracking.mechanism.study import Bench, Item
from backtracking.run.provenance import digest
from backtracking.stages.base import RunContext, select_keys
from backtracking.text.onsets import onset_words

if TYPE_CHECKING:
    from backtracking.measurements.controls import Reading
    from backtracking.mechanism.grouped import Reads
    from backtracking.mechanism.readouts import Target


MODEL_KEYS = ("run.seed", "model")


@dataclass(frozen=True, kw_only=True)
class KeptBench(Bench):
    """A bench of a run: each value is kept as it comes, and an interrupted analysis goes on from there."""

    ctx: RunContext
    name: str
    """Begins the names of the files that values are kept in."""
    label: str
    """Begins what the progress lines say: the stage, as commands name it."""
    config_keys: Sequence[str]
    """All config that the values depend on."""

    def values(
        self, part: str, items: Sequence[Item], reads: "Reads[Item]", **depends_on: Any
    ) -> list[Values]:
        """The value of each item: kept ones from the file, the others computed and kept."""
        return compute_resumably(
            self.ctx.paths.work(work_name(self.name, part)),
            [reading_key(reading, target) for reading, target in items],
            partial(self._read, items, reads),
            settings=settings_digest(self.ctx, self.config_keys, **depends_on),
            reporter=self.reporter,
            label=f"{self.label} {part}".rstrip(),
            together=self._groups(items),
        )


def work_name(name: str, part: str) -> str:
    """The name of a file of partial results."""
    return f"{name}-{part}" if part else name


def open_bench(ctx: RunContext, name: str, label: str, config_keys: Sequence[str]) -> KeptBench:
    """A bench on the run's model, under the run's config."""
    return KeptBench(
        loaded=ctx.model(),
        config=ctx.config.analysis,
        triggers=onset_words(ctx.config.detection, ctx.config.analysis.onsets),
        seed=ctx.config.run.seed,
        reporter=ctx.reporter,
        executor=ctx.executor,
        ctx=ctx,
        name=name,
        label=label,
        config_keys=config_keys,
    )


def reading_key(reading: "Reading", target: "Target") -> str:
    """Names what was computed: the position and all that the readings depend on."""
    scored = [target.onset, target.family.phrases, target.triggers.phrases, dict(target.contrasts)]
    seen = digest([reading.ids[: reading.pos + 2], *scored])
    return "/".join([reading.example_id, str(reading.sample_id), str(reading.pos), seen[:16]])


def settings_digest(ctx: RunContext, keys: Sequence[str], **more: Any) -> str:
    """All that values depend on beside their position: the config, the weights as they are now, and more."""
    return digest([select_keys(ctx.config.model_dump(mode="json"), keys), ctx.model().fingerprint(), more])
