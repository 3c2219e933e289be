"""What a run would do and cost, told before anything is loaded: stages, rows, tokens, disk."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Literal

from backtracking.artifacts.phase1 import EVENTS, GENERATIONS
from backtracking.model.source import Footprint, known_footprint
from backtracking.run import io
from backtracking.run.paths import RunPaths
from backtracking.run.records import BASELINE_NAME, GenerationRecord
from backtracking.stages import digests
from backtracking.stages.base import RunContext, Stage
from backtracking.stages.execute import Status, status_of

GUESSED_SHARE = 0.25
"""Without any rows to go by, a completion is taken to be this share of the cap."""
BYTES_PER_TOKEN, BYTES_PER_READING, BYTES_PER_ROW = 8, 20, 1000
"""A row's size on disk where there are no rows to weigh: ids and text, what is kept of a token, the prompt.

R1's, DeepSeek-V3's and Yi's tokenizers write 6.2, 7.2 and 6.6 bytes per token of GSM8K's solutions.
"""
ROWS_WEIGHED = 400
GROWS_BY = {
    "dataset.max_examples",
    "generation.num_samples_per_prompt",
    "phase2.max_examples",
    "phase2.num_samples_per_prompt",
}
"""What may change without a row that is there being made again."""


@dataclass(frozen=True)
class StageForecast:
    """What would become of a stage."""

    stage: Stage
    action: Literal["run", "check", "skip"]
    status: Status
    is_forced: bool
    rows: int = 0
    """Completions still to be generated."""
    kept: int = 0
    """Those of them that are written into `generations/`."""
    cap: int = 0
    """Tokens of each of them, at most."""
    at_most: bool = False
    """Whether there may turn out to be fewer rows."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Arms that would be left out, each with the reason."""

    @property
    def tokens_at_cap(self) -> int:
        """The tokens if every row ran to the cap."""
        return self.rows * self.cap


@dataclass(frozen=True)
class Length:
    """How long and how large completions are, and where that is known from."""

    tokens: float | None
    """None when nothing was generated yet."""
    bytes: float
    source: str
    bytes_per_token: float = BYTES_PER_TOKEN
    """What a token is taken to be where no row was weighed."""

    def within(self, cap: int) -> float:
        """Tokens of a row under this cap."""
        return min(self.tokens if self.tokens is not None else GUESSED_SHARE * cap, cap)


@dataclass(frozen=True)
class Forecast:
    """The steps of a run and the length of its completions."""

    steps: Sequence[StageForecast]
    length: Length
    footprint: Footprint | None = None
    """The model's memory, where its files say."""

    @property
    def rows(self) -> int:
        """Completions to generate in all."""
        return sum(step.rows for step in self.steps)

    @property
    def longest(self) -> int:
        """The tokens of the longest completion that there may be."""
        return max((step.cap for step in self.steps if step.rows), default=0)

    @property
    def tokens_at_cap(self) -> int:
        """The tokens if every row of every step ran to its cap."""
        return sum(step.tokens_at_cap for step in self.steps)

    @property
    def tokens_expected(self) -> float:
        """The tokens to expect, by the lengths seen so far."""
        return sum(step.rows * self.length.within(step.cap) for step in self.steps)

    @property
    def at_most(self) -> bool:
        """Whether some step may need fewer rows than are counted."""
        return any(step.at_most and step.rows for step in self.steps)

    def with_measured_length(self, tokens: float | None) -> "Forecast":
        """Where there were no rows to go by, those of a measurement are better than a guess."""
        if self.length.tokens is not None or tokens is None:
            return self
        size = BYTES_PER_ROW + tokens * self.length.bytes_per_token
        source = "the mean of the completions that ended in the measurement"
        return replace(self, length=Length(tokens, size, source))

    @property
    def bytes_expected(self) -> float:
        """What is kept; rows that are only measured take no room."""
        if self.length.tokens is not None:
            return sum(step.kept for step in self.steps) * self.length.bytes
        return sum(
            step.kept * (BYTES_PER_ROW + self.length.within(step.cap) * self.length.bytes_per_token)
            for step in self.steps
        )


def forecast(ctx: RunContext, stages: Sequence[Stage], forced: Iterable[str] = ()) -> Forecast:
    """Every stage with what would become of it, and how many completions it still asks for."""
    names, upstream, other_problems = set(forced), False, False
    counted: dict[Path, int] = {}
    steps = []
    for stage in stages:
        status, is_forced = status_of(stage, ctx), bool(names & {stage.name, stage.key})
        outputs = stage.outputs(ctx)
        makes_problems = ctx.own_dataset_path in outputs
        action: Literal["run", "check", "skip"] = "check" if upstream else "skip"
        if is_forced or not status.is_settled:
            action, upstream = "run", True
        # Rows of other settings are made again; which of them still fit is seen only when the stage runs.
        is_afresh = is_forced or other_problems or (status.state == "stale" and not _only_grows(stage, ctx))
        left_out = {} if action == "skip" else stage.left_out(ctx)
        step = StageForecast(stage, action, status, is_forced, left_out=left_out)
        steps.append(step if action == "skip" else _with_rows(step, ctx, counted, is_afresh))
        if action != "skip" and not (makes_problems and status.is_settled):
            ctx = replace(ctx, to_be_made=ctx.to_be_made.union(outputs))
        other_problems |= makes_problems and status.state == "stale" and is_afresh
    return Forecast(steps, _length(ctx), known_footprint(ctx.config.model))


def _only_grows(stage: Stage, ctx: RunContext) -> bool:
    """Whether a stage was last asked for the same from the same, but for how much of it."""
    record, now = ctx.meta.stages[stage.key], stage.config_values(ctx)
    changed = {key for key in {*record.config, *now} if record.config.get(key) != now.get(key)}
    return changed <= GROWS_BY and digests.of_needs(stage, ctx).items() <= record.inputs.items()


def _with_rows(step: StageForecast, ctx: RunContext, counted: dict[Path, int], afresh: bool) -> StageForecast:
    """A step with its rows that neither lie on disk nor are made by a stage before."""
    asked = step.stage.completions(ctx)
    if asked is None:
        return step
    kept = asked.others
    for path, wanted in asked.files.items():
        there = counted.get(path, 0 if afresh else io.count_lines(path))
        kept += max(wanted - there, 0)
        counted[path] = max(wanted, there)
    at_most = asked.at_most or (afresh and any(map(Path.exists, asked.files)))
    return replace(step, rows=kept + asked.unkept, kept=kept, cap=asked.cap, at_most=at_most)


def _length(ctx: RunContext) -> Length:
    """The mean of the baseline rows of this run, else of its Phase 1 run."""
    for run, words in ((ctx.paths, "this run"), (ctx.phase1, "the Phase 1 run")):
        weighed = _weigh(run) if run is not None else None
        if weighed is not None:
            rows, tokens, size = weighed
            return Length(tokens / rows, size / rows, f"the mean of {rows:,} completions of {words}")
    readings = {False: 0, True: 1, "with_entropy": 2}[ctx.config.generation.logprobs]
    return Length(
        None,
        0.0,
        f"a guess, {GUESSED_SHARE:.0%} of the cap: there are no completions to go by yet",
        BYTES_PER_TOKEN + BYTES_PER_READING * readings,
    )


def _weigh(run: RunPaths) -> tuple[int, int, int] | None:
    """Rows, tokens and bytes of a run's first baseline completions."""
    rows = tokens = size = 0
    for path in sorted(run.generations.glob(f"*/*{BASELINE_NAME}.jsonl")):
        for record in islice(
            io.read_jsonl(path, GenerationRecord, made_by=GENERATIONS.made_by), ROWS_WEIGHED
        ):
            rows, tokens = rows + 1, tokens + record.completion_tokens
            size += len(record.model_dump_json(exclude_none=True)) + 1
    if rows:
        return rows, tokens, size
    return _weigh_events(EVENTS.path(run))


def _weigh_events(path: Path) -> tuple[int, int, int] | None:
    """The same of a run that kept only its events table."""
    if not path.exists():
        return None
    table = io.read_csv(path)
    if not {"completion_tokens", "condition"} <= set(table.columns):
        return None
    lengths = table.loc[table["condition"] == BASELINE_NAME, "completion_tokens"]
    tokens = int(lengths.sum())
    return (len(lengths), tokens, len(lengths) * BYTES_PER_ROW + tokens * BYTES_PER_TOKEN) if tokens else None
