"""Fixed prefixes as stages use them: which right baseline rows give them, and completions that are kept."""

from collections.abc import Iterator, Sequence, Sized
from itertools import chain
from typing import TYPE_CHECKING, Any

import pandas as pd

from backtracking.errors import NotTestable
from backtracking.measurements.controls import FEWEST_PROBLEMS, spread_order
from backtracking.run.records import RowId
from backtracking.run.rowfile import say_failed
from backtracking.run.seed import derive_seed
from backtracking.stages.base import RunContext
from backtracking.stages.phase1.bench import settings_digest

if TYPE_CHECKING:
    from backtracking.interventions import Arm
    from backtracking.measurements.injections import Pair
    from backtracking.sweeps.fixed_prefixes import Read, Writer


def choose_prefixes(
    ctx: RunContext, writer: "Writer", right: Sequence[RowId], read: "Read", count: int
) -> "list[Pair]":
    """So many prefixes of right baseline rows, spread over problems, as far as the rows give them."""
    from backtracking.measurements.injections import Rewriter
    from backtracking.sweeps.fixed_prefixes import draw_prefixes
    from backtracking.text.tokenization import TokenMap

    order = spread_order([row[0] for row in right], derive_seed(ctx.config.run.seed, "forced errors"))
    tokenizer = writer.model.tokenizer
    rewriter = Rewriter(tokenizer, TokenMap(tokenizer), writer.reader.detector)
    pairs = draw_prefixes(rewriter, [right[k] for k in order], read, count)
    if len(pairs) < count:
        made = (
            f"only {len(pairs):,} of {count:,} prefixes"
            if pairs
            else f"no prefix could be made ({count:,} wanted)"
        )
        ctx.reporter.say(
            f"  note: {made}: {'too few right completions have' if pairs else 'no right completion has'} "
            "a step that can be made wrong"
        )
    return pairs


def check_problems(prefixes: "Sequence[Pair]", right: Sized) -> None:
    """Refuse prefixes of too few problems."""
    if (problems := len({prefix.example_id for prefix in prefixes})) < FEWEST_PROBLEMS:
        raise NotTestable.too_few_problems(
            f"with a step like 12 + 5 = 17 to make wrong (in {len(right):,} right baseline completions)",
            problems,
            FEWEST_PROBLEMS,
            "an interval is taken over problems",
        )


def write_kept(
    ctx: RunContext,
    name: str,
    label: str,
    writer: "Writer",
    prefixes: "Sequence[Pair]",
    arms: "Sequence[Arm]",
) -> pd.DataFrame:
    """Every arm's completions behind every prefix, kept as they come, so that a stopped run goes on."""
    from backtracking.mechanism.partial import compute_resumably
    from backtracking.run.provenance import digest
    from backtracking.sweeps.fixed_prefixes import as_table, tasks_of

    tasks = tasks_of(prefixes, arms)

    def of_pending(groups: Sequence[Sequence[int]]) -> Iterator[tuple[int, dict[str, Any]]]:
        pending = list(chain.from_iterable(groups))
        for place, shown in writer.write_on([tasks[k] for k in pending]):
            yield pending[place], shown

    values = compute_resumably(
        ctx.paths.work(name),
        [task.key for task in tasks],
        of_pending,
        settings=settings_digest(
            ctx,
            ("run.seed", "model", "generation", "-generation.shard_rows", "detection", "prompting"),
            vectors={vector: digest(tensor.tolist()) for vector, tensor in writer.vectors.items()},
        ),
        reporter=ctx.reporter,
        label=label,
        unit="completions",
    )
    failed = [
        f"{task.example_id} under {task.arm}"
        for task, shown in zip(tasks, values, strict=True)
        if shown["finish_reason"] == "error"
    ]
    say_failed(failed, len(tasks), ctx.reporter)
    return as_table(tasks, values)


def right_rows(events: pd.DataFrame) -> list[RowId]:
    """The rows of an events table that ended right."""
    right = events[events["is_correct"].astype(str) == "True"]
    return list(zip(right["example_id"].astype(str), right["sample_id"].astype(int), strict=True))
