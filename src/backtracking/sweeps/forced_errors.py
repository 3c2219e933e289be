"""Are errors still caught? Right baseline rows get a wrong result, and every arm writes on from there."""

from collections.abc import Iterable, Sequence

import pandas as pd

from backtracking.engine.generate import Prompt, Row, generate_rows
from backtracking.interventions import Arm
from backtracking.measurements.comparison import average, flag
from backtracking.measurements.injections import Pair, Rewriter
from backtracking.measurements.metrics import OUTCOMES
from backtracking.measurements.statistics import spread
from backtracking.run.records import GenerationRecord
from backtracking.sweeps.sweep import SweepJob
from backtracking.text.steps import read_steps
from backtracking.text.tokenization import TokenMap


def wrong_prefixes(records: Iterable[GenerationRecord], job: SweepJob) -> list[Pair]:
    """One rewrite per row: its first right step ahead of any onset, made wrong."""
    tokenizer = job.model.tokenizer
    rewriter = Rewriter(tokenizer, TokenMap(tokenizer), job.reader.detector)
    prefixes = []
    for record in records:
        pairs, _ = rewriter.pairs(record)
        wrong = next((pair for pair in pairs if pair.is_wrong), None)
        if wrong is not None:
            prefixes.append(wrong)
    return prefixes


def run_forced_errors(job: SweepJob, arms: Sequence[Arm], prefixes: Sequence[Pair]) -> pd.DataFrame:
    """One row per prefix and arm, written on from the end of the wrong statement's sentence."""
    variant = job.prompts[0].variant
    # Every prefix is a prompt of its own, and so an example of its own.
    examples = {f"{prefix.example_id}/{prefix.sample_id}": prefix for prefix in prefixes}
    rows = (
        Row(
            Prompt(name, variant, "", prefix.corrupted[: prefix.decision + 1]),
            prefix.sample_id,
            arm.for_row(number, 0),
        )
        for number, (name, prefix) in enumerate(examples.items())
        for arm in arms
    )
    records = generate_rows(
        job.model,
        rows,
        job.sampling,
        seed=job.seed,
        slots=job.slots,
        engine=job.engine,
        vectors=job.vectors,
        onset_phrases=job.onset_phrases,
    )
    lines = [
        _line(record.model_copy(update={"example_id": examples[record.example_id].example_id}), job)
        for record in records
        if record.finish_reason != "error"
    ]
    return pd.DataFrame(lines).rename(columns={"condition": "arm"})


def _line(record: GenerationRecord, job: SweepJob) -> dict[str, object]:
    """An onset marks the forced error only if no further statement comes first."""
    event = job.reader(record).event
    onset = int(event["onset_char"])
    next_step = next((step.start for step in read_steps(record.completion)), len(record.completion))
    return event | {"is_marked": 0 <= onset < next_step}


def caught_by_arm(rows: pd.DataFrame) -> pd.DataFrame:
    """Per arm the share of forced errors that an onset follows, and of rows that still end right."""
    lines = []
    for arm, part in rows.groupby("arm", sort=False):
        line: dict[str, object] = {"arm": arm, "forced_errors": len(part)}
        line |= spread("marked_rate", average(part, flag("is_marked")))
        line |= spread("caught_rate", average(part, OUTCOMES["accuracy"]))
        lines.append(line)
    return pd.DataFrame(lines)
