"""Sweeps: baseline and every arm in one run of the engine, kept on disk arm by arm, then measured."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from backtracking.artifacts.phase2 import ARM_CARD, ARM_ROWS
from backtracking.config.phase2 import Subset
from backtracking.engine.executor.work import HERE, Executor
from backtracking.engine.generate import Prompt, Row, SamplingParams, generate_rows
from backtracking.engine.rows import long_first
from backtracking.errors import UserError
from backtracking.interventions import BASELINE_ARM, Arm, Condition
from backtracking.measurements.degeneration import degeneration
from backtracking.measurements.events import EventReader
from backtracking.measurements.hook_debug import counts_of_start
from backtracking.measurements.looks import Looks
from backtracking.measurements.tradeoff import find_best_tradeoff, summarize_arms
from backtracking.model.arms import Resources, scale_arms, subset_arms
from backtracking.model.ledger import Ledger
from backtracking.model.loading import LoadedModel
from backtracking.run import io
from backtracking.run.progress import Bar, Quiet, Reporter
from backtracking.run.provenance import digest
from backtracking.run.records import BASELINE_NAME, GenerationRecord
from backtracking.run.rowfile import Found, RowFile, resume, say_failed, set_aside_and_say, sort_rows
from backtracking.sweeps.waves import Course, Leaving, run_waves, settled_at

if TYPE_CHECKING:
    from torch import Tensor

    from backtracking.text.onsets.triggers import Phrase

__all__ = [
    "SweepJob",
    "SweepResult",
    "evaluate_generations",
    "find_best_tradeoff",
    "generate_with_ablation",
    "run_arms",
    "run_scale_sweep",
    "run_subset_sweep",
]

ArmRowId = tuple[str, int, str]
"""Example, sample and arm."""


@dataclass(frozen=True)
class SweepJob:
    """What all arms of a sweep share; rows are kept in `folder`."""

    model: LoadedModel
    prompts: Sequence[Prompt]
    reader: EventReader
    sampling: SamplingParams
    samples: int
    seed: int
    folder: Path
    resources: Resources
    margin: float = 0.05
    slots: int | Literal["auto"] = "auto"
    engine: Literal["batched", "reference"] = "batched"
    shard_rows: int | None = None
    """How many rows of an arm one file takes; none: all."""
    vectors: "Mapping[str, Tensor]" = field(default_factory=dict)
    onset_phrases: "Collection[Phrase]" = ()
    looks: Looks | None = None
    """After how many problems arms may stop; none: every arm gets every problem."""
    order: Sequence[int] = ()
    """In which order waves take the prompts."""
    made_with: Mapping[str, Any] = field(default_factory=dict)
    """Settings outside this record that decide a row's text: rows made otherwise are not kept."""
    reporter: Reporter = field(default_factory=Quiet)
    executor: Executor = HERE
    note_hooks: Callable[[dict[str, Any]], None] = field(default=lambda _: None)
    """Called with what the hooks did in a start, also when the start is cut off."""
    rows_vouched: Callable[[Path], int] = field(default=lambda _: 0)
    """How many first rows of a file the record of a finished stage holds: they keep their places."""


@dataclass(frozen=True)
class SweepResult:
    """The table of arms, the measured rows behind it, and what the hooks did in this start."""

    table: pd.DataFrame
    events: pd.DataFrame
    generated: int
    hook_debug: dict[str, Any]
    course: Course
    waves: pd.DataFrame
    """What was seen after every wave, where arms stop."""


def run_subset_sweep(job: SweepJob, subsets: Mapping[str, Subset], scale: float = 0.0) -> SweepResult:
    """Baseline and every subset."""
    return run_arms(job, [BASELINE_ARM, *subset_arms(subsets, scale, job.resources)])


def run_scale_sweep(job: SweepJob, name: str, subset: Subset, scales: Sequence[float]) -> SweepResult:
    """Baseline and one subset at every scale."""
    return run_arms(job, [BASELINE_ARM, *scale_arms(name, subset, scales, job.resources)])


def run_arms(job: SweepJob, arms: Sequence[Arm], leaving: Leaving | None = None) -> SweepResult:
    """Generate what is not there yet, then measure all arms from their files.

    `leaving`: which arms stop after a wave; those whose verdict is settled, if it is not given.
    """
    on_disk = {arm.name: _resume(job, arm) for arm in arms}
    done = {(*row, arm) for arm, rows in on_disk.items() for row in rows.asked}
    ledger, generated = Ledger(), Counter({arm.name: 0 for arm in arms})
    read, order = _Read(job), job.order or range(len(job.prompts))

    def grow(some: Sequence[Arm], problems: int) -> pd.DataFrame:
        places = sorted(order[:problems])
        _generate_missing(job, some, places, done, ledger, generated)
        return read.events(dict.fromkeys(some, places))

    try:
        if job.looks is None:
            _generate_missing(job, arms, range(len(order)), done, ledger, generated)
            course = Course({arm.name: len(order) for arm in arms}, {})
        else:
            course = run_waves(job.looks, arms, grow, leaving or settled_at(job.margin), job.reporter)
    finally:
        debug = counts_of_start(ledger, generated, {arm: len(rows) for arm, rows in on_disk.items()})
        job.note_hooks(debug)
    _put_in_order(job, arms)
    events = read.events({arm: sorted(order[: course.problems[arm.name]]) for arm in arms})
    table = summarize_arms(events, job.margin, job.looks)
    waves = course.table(job.looks, job.samples, table) if job.looks else pd.DataFrame()
    return SweepResult(table, events, generated.total(), debug, course, waves)


def generate_with_ablation(
    job: SweepJob,
    arms: Sequence[Arm],
    *,
    places: Sequence[int] | None = None,
    done: Collection[ArmRowId] = (),
    ledger: Ledger | None = None,
    progress: Bar | None = None,
) -> Iterator[GenerationRecord]:
    """Rows of all arms as they finish; one engine run, arms mixed in every batch, `done` rows left out.

    Problems whose baseline is known to be long come first.

    `places`: of the prompts that are asked for; all of them, if it is not given.
    """
    rows = _rows(job, arms, range(len(job.prompts)) if places is None else places, done)
    baseline = arm_path(job.folder, BASELINE_ARM.name)
    known = {r.id: r.completion_tokens for r in asked_rows(job, BASELINE_ARM)} if baseline.exists() else {}
    return generate_rows(
        job.model,
        long_first(rows, known),
        job.sampling,
        seed=job.seed,
        slots=job.slots,
        engine=job.engine,
        ledger=ledger,
        vectors=job.vectors,
        onset_phrases=job.onset_phrases,
        progress=progress,
        executor=job.executor,
        unfinished={arm.name: _file(job, arm).unfinished for arm in arms},
    )


def evaluate_generations(records: Iterable[GenerationRecord], reader: EventReader) -> pd.DataFrame:
    """One row per completion: onsets, answer graded by problem id, length, signs of degeneration."""
    return pd.DataFrame(_measured(records, reader))


def _measured(records: Iterable[GenerationRecord], reader: EventReader) -> list[dict[str, Any]]:
    return [
        reader(record).event | degeneration(record) for record in records if record.finish_reason != "error"
    ]


def _rows(
    job: SweepJob, arms: Sequence[Arm], places: Iterable[int], done: Collection[ArmRowId]
) -> Iterator[Row]:
    """Arms vary fastest, so that the rows which share a prompt's cache stand together."""
    for index in places:
        prompt = job.prompts[index]
        for sample in range(job.samples):
            for arm in arms:
                if (prompt.example_id, sample, arm.name) not in done:
                    yield Row(prompt=prompt, sample_id=sample, condition=arm.for_row(index, sample))


def arm_path(folder: Path, name: str) -> Path:
    """Where an arm's rows lie."""
    return folder / ARM_ROWS.file.format(arm=name)


def card_path(folder: Path, name: str) -> Path:
    """What an arm's rows were made with, beside them."""
    return folder / ARM_CARD.file.format(arm=name)


def _generate_missing(
    job: SweepJob,
    arms: Sequence[Arm],
    places: Sequence[int],
    done: set[ArmRowId],
    ledger: Ledger,
    generated: Counter[str],
) -> None:
    """Append the rows that are not on disk yet to their arms' files, counting them by arm."""
    pending = sum(1 for _ in _rows(job, arms, places, done))
    if not pending:
        return
    if not generated.total():
        _say_what_is_there(job, arms, Counter(arm for *_, arm in done))
    files = {arm.name: _file(job, arm) for arm in arms}
    failed: list[str] = []
    with ExitStack() as stack:
        append = {name: stack.enter_context(file.appending()) for name, file in files.items()}
        bar = stack.enter_context(job.reporter.bar(f"{len(arms)} arms", pending))
        made = generate_with_ablation(job, arms, places=places, done=done, ledger=ledger, progress=bar)
        for record in made:
            append[record.condition](record)
            done.add((record.example_id, record.sample_id, record.condition))
            generated[record.condition] += 1
            failed += [record.error] if record.error else []
    say_failed(failed, pending, job.reporter)


def _put_in_order(job: SweepJob, arms: Sequence[Arm]) -> None:
    """Leave the rows of every arm as if no start had been stopped: wave by wave, each in the plan's order."""
    order = job.order or range(len(job.prompts))
    ends = (0, *(job.looks.ends if job.looks else (len(order),)))
    planned = (place for start, end in pairwise(ends) for place in sorted(order[start:end]))
    rows = ((job.prompts[place].example_id, sample) for place in planned for sample in range(job.samples))
    places = {row: number for number, row in enumerate(rows)}
    for file in (_file(job, arm) for arm in arms):
        sort_rows(file, places.get, first=job.rows_vouched(file.path))
        file.unfinished.clear()


def _say_what_is_there(job: SweepJob, arms: Sequence[Arm], done: Mapping[str, int]) -> None:
    """Arms that another sweep has run whole are shared; only those that were begun are resumed."""
    rows = len(job.prompts) * job.samples
    if whole := [arm.name for arm in arms if done.get(arm.name) == rows]:
        job.reporter.say(f"  on disk already: {', '.join(whole)}")
    if begun := [done[arm.name] for arm in arms if 0 < done.get(arm.name, 0) < rows]:
        job.reporter.say(f"  resuming: {sum(begun):,} of {rows * len(begun):,} completions done")


def _file(job: SweepJob, arm: Arm) -> RowFile[GenerationRecord]:
    made_with = digest(_identity(job, arm))
    path = arm_path(job.folder, arm.name)
    return RowFile(path, GenerationRecord, made_with, made_by=ARM_ROWS.made_by, shard_rows=job.shard_rows)


def _resume(job: SweepJob, arm: Arm) -> Found:
    """Rows of an earlier start that this sweep would write again to the letter.

    Rows of other problems stay in the file, failed ones leave it; rows made otherwise are set aside.
    """
    path = arm_path(job.folder, arm.name)
    if not is_current(job, arm):
        if path.exists():
            job.reporter.say(f"  {arm.name} was made with other settings")
        set_aside_and_say(path, job.reporter)
        _write_card(job, arm)
    prompts = {str(prompt.example_id): list(prompt.ids) for prompt in job.prompts}
    variant, draws = job.prompts[0].variant, {member.draw for member in arm.members}

    def asked(old: GenerationRecord) -> bool | None:
        if (old.variant, old.condition) != (variant, arm.name) or old.draw not in draws:
            return False
        if prompts.get(old.example_id, old.prompt_ids) != old.prompt_ids:
            return False
        return True if old.example_id in prompts and old.sample_id < job.samples else None

    return resume(_file(job, arm), asked, job.reporter, keep_others=True)


def is_current(job: SweepJob, arm: Arm) -> bool:
    """Whether the rows on disk are those that this sweep would generate for the arm."""
    path = card_path(job.folder, arm.name)
    if not path.exists():
        return False
    card = io.read_json(path, made_by=ARM_CARD.made_by, sealed=True)
    if not _is_intact(card) or card.get("made_with") != _identity(job, arm)["made_with"]:
        return False
    return _arm_on(card, path) == arm


def _write_card(job: SweepJob, arm: Arm) -> None:
    identity = _identity(job, arm)
    io.write_json(card_path(job.folder, arm.name), identity | {"digest": digest(identity)})


def _is_intact(card: Any) -> bool:
    """Whether a card says what it was written to say; cards written before there were digests do."""
    if not isinstance(card, dict):
        return False
    content = {name: value for name, value in card.items() if name != "digest"}
    return bool(card.get("digest", digest(content)) == digest(content))


def _identity(job: SweepJob, arm: Arm) -> dict[str, Any]:
    """What decides the text of an arm's rows; problems and samples may be added without a new start."""
    members = [member.model_dump(mode="json") for member in arm.members]
    used = {i.vector for member in arm.members for i in member.interventions if i.vector is not None}
    vectors = {name: digest(job.vectors[name].tolist()) for name in sorted(used) if name in job.vectors}
    shared = {"seed": job.seed, "sampling": job.sampling, "model": job.made_with, "vectors": vectors}
    return {
        "arm": arm.name,
        "subset_name": arm.subset_name,
        "scale": arm.scale,
        "members": members,
        "made_with": digest(shared),
    }


def load_arm(folder: Path, name: str) -> Arm:
    """An arm as it was run, from the card beside its rows."""
    path = card_path(folder, name)
    card = io.read_json(path, made_by=ARM_CARD.made_by, sealed=True)
    if not _is_intact(card):
        raise UserError(
            f"{path} was changed after it was written",
            "it says what the rows beside it were made with",
            f"run: {ARM_CARD.made_by}, which makes the arm again, or restore the file from a copy",
        )
    return _arm_on(card, path)


def _arm_on(card: Any, path: Path) -> Arm:
    try:
        members = tuple(Condition.model_validate(member) for member in card["members"])
        return Arm(card["arm"], card["subset_name"], card["scale"], members)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path} does not describe an arm",
            f"{type(error).__name__}: {error}",
            "delete it and run the sweep again",
        ) from error


def read_arm(folder: Path, name: str) -> Iterator[GenerationRecord]:
    """The rows of an arm."""
    return io.read_jsonl(arm_path(folder, name), GenerationRecord, made_by=ARM_ROWS.made_by, grows=True)


def asked_rows(job: SweepJob, arm: Arm) -> list[GenerationRecord]:
    """The rows of an arm that belong to the job's problems and samples, in their order."""
    order = {str(prompt.example_id): place for place, prompt in enumerate(job.prompts)}
    rows = [
        record
        for record in read_arm(job.folder, arm.name)
        if record.example_id in order and record.sample_id < job.samples
    ]
    return sorted(rows, key=lambda record: (order[record.example_id], record.sample_id))


@dataclass
class _Read:
    """The measured rows of arms; a row is measured once, however often it is asked for."""

    job: SweepJob
    rows: dict[str, dict[str, list[dict[str, Any]]]] = field(default_factory=dict)
    """By arm and problem."""

    def events(self, places: Mapping[Arm, Sequence[int]]) -> pd.DataFrame:
        """The rows of arms at some places of the prompts each."""
        events = pd.concat([self._of(arm, asked) for arm, asked in places.items()], ignore_index=True)
        made = set(events["arm"]) if "arm" in events else set()
        if BASELINE_NAME not in made or (len(places) > 1 and made == {BASELINE_NAME}):
            who = "no arm has a" if BASELINE_NAME in made else "the baseline has no"
            raise UserError(
                f"{who} completion, so nothing can be compared with the baseline",
                "every one failed; the first reason is noted above and in the completions' file",
                "fix that and run the same command again: failed completions are made again",
            )
        return events

    def _of(self, arm: Arm, places: Sequence[int]) -> pd.DataFrame:
        """The measured rows of one arm in the order of the job's problems and samples."""
        asked = [str(self.job.prompts[place].example_id) for place in places]
        known = self.rows.setdefault(arm.name, {})
        if new := set(asked) - set(known):
            records = [record for record in asked_rows(self.job, arm) if record.example_id in new]
            known |= {problem: [] for problem in new}
            for row in _measured(records, self.job.reader):
                known[str(row["example_id"])].append(row)
        events = pd.DataFrame([row for problem in asked for row in known[problem]])
        return events.assign(
            arm=arm.name,
            subset_name=arm.subset_name,
            scale=arm.scale,
            num_components=arm.num_components,
            kind=arm.kind,
        )
