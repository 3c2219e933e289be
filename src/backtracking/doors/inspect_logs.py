"""A run as logs of Inspect: a task per prompt format and condition, reasoning apart, scores explained."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backtracking import __version__
from backtracking.claims.evidence import Evidence
from backtracking.doors.completions import MeasuredCompletion, OnCounted, completions
from backtracking.doors.extras import require_package
from backtracking.doors.folder import new_folder
from backtracking.explore.study import ArmFile, MeasuredRun
from backtracking.measurements.comparison import average
from backtracking.measurements.events import events_frame
from backtracking.measurements.metrics import BY_NAME
from backtracking.run.provenance import digest
from backtracking.run.records import GenerationRecord
from backtracking.sources.inspect_logs import ORIGINAL
from backtracking.text.onsets import DEFAULT_CLOSE, reasoning_end

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalSample, EvalScore, EvalSpec
    from inspect_ai.model import ModelOutput, ModelUsage
    from inspect_ai.scorer import Score

SCORERS = {"answer": "accuracy", "backtracking": "backtracking_rate"}
"""What each score adds up to."""
_STOPPED = {"stop": "stop", "length": "max_tokens"}
_COUNTED = ("n_onsets_strict", "n_onsets_relaxed", "steps_right", "steps_wrong", "finish_reason")


def export_inspect(study: MeasuredRun, arms: Sequence[ArmFile], out: Path, told: OnCounted) -> int:
    """Write a log for every arm; how many samples there are."""
    require_package("inspect_ai", "inspect")
    from inspect_ai.log import write_eval_log

    total = 0
    with new_folder(out) as folder:
        for arm in arms:
            log = eval_log(study, arm)
            write_eval_log(log, folder / _file(log), format="eval")
            samples = len(log.samples or ())
            told(arm, samples)
            total += samples
    return total


def eval_log(study: MeasuredRun, arm: ArmFile) -> "EvalLog":
    """The completions of an arm as the log of one task."""
    from inspect_ai.log import EvalLog, EvalPlan, EvalResults, EvalStats

    measured, spec = list(completions(study, arm)), _spec(study, arm)
    spec.dataset.samples = len({one.record.example_id for one in measured})
    spec.config.epochs = max((one.record.sample_id + 1 for one in measured), default=1)
    return EvalLog(
        status="success",
        eval=spec,
        plan=EvalPlan(name="backtracking"),
        results=EvalResults(
            total_samples=len(measured), completed_samples=len(measured), scores=_summaries(measured)
        ),
        stats=EvalStats(
            started_at=spec.created, completed_at=spec.created, model_usage={spec.model: _usage(measured)}
        ),
        samples=[_sample(one, spec.model) for one in measured],
    )


def _spec(study: MeasuredRun, arm: ArmFile) -> "EvalSpec":
    """Which task it is, of which run."""
    from inspect_ai.log import EvalConfig, EvalDataset, EvalSpec

    meta = Evidence(study.paths).meta
    identity = digest([study.name, arm.variant, arm.name])[:22]
    return EvalSpec(
        eval_id=identity,
        run_id=digest([study.name])[:22],
        created=str(meta.get("created") or "1970-01-01T00:00:00+00:00"),
        task=f"{arm.variant}.{arm.name}",
        task_id=identity,
        task_args={"run": study.name, "variant": arm.variant, "condition": arm.name},
        dataset=EvalDataset(name=study.config.dataset.name, shuffled=False),
        model=f"hf/{study.config.model.hf_id}",
        config=EvalConfig(),
        packages={"backtracking": __version__},
        metadata={"arm": arm.name, "code": meta.get("environment", {}).get("git")},
    )


def _file(log: "EvalLog") -> str:
    """The name that Inspect itself gives to logs, by which its viewer lists them."""
    moment, task = log.eval.created.replace(":", "-"), log.eval.task.replace("_", "-")
    return f"{moment}_{task}_{log.eval.task_id}.eval"


def _sample(one: MeasuredCompletion, model: str) -> "EvalSample":
    from inspect_ai.log import EvalSample
    from inspect_ai.model import ChatMessageUser

    record, event = one.record, one.measured.event
    output = _output(one, model)
    asked = ChatMessageUser(content=one.question, source="input")
    return EvalSample(
        id=record.example_id,
        epoch=record.sample_id + 1,
        input=one.question,
        target=one.gold,
        messages=[asked, output.choices[0].message],
        output=output,
        model_usage={model: _usage([one])},
        scores=_scores(one),
        metadata={
            "arm": record.condition,
            "draw": record.draw,
            "prompt": record.prompt,
            ORIGINAL: record.completion,
            **{name: event[name] for name in _COUNTED},
        },
        uuid=digest([one.study.name, record.variant, record.condition, *record.id])[:22],
    )


def _output(one: MeasuredCompletion, model: str) -> "ModelOutput":
    from inspect_ai.model import (
        ChatCompletionChoice,
        ChatMessageAssistant,
        ContentReasoning,
        ContentText,
        ModelOutput,
    )

    record = one.record
    thought, said = parts(one.study, record)
    reasoned = [] if thought is None else [ContentReasoning(reasoning=thought)]
    message = ChatMessageAssistant(
        content=[*reasoned, ContentText(text=said)], model=model, source="generate"
    )
    stopped: Any = _STOPPED.get(record.ending, "unknown")
    return ModelOutput(
        model=model,
        choices=[ChatCompletionChoice(message=message, stop_reason=stopped)],
        usage=_usage([one]),
    )


def _usage(measured: Sequence[MeasuredCompletion]) -> "ModelUsage":
    """How many tokens were read and written; texts from elsewhere may have none."""
    from inspect_ai.model import ModelUsage

    read = sum(max(one.record.prompt_tokens, 0) for one in measured)
    written = sum(max(one.record.completion_tokens, 0) for one in measured)
    return ModelUsage(input_tokens=read, output_tokens=written, total_tokens=read + written)


def parts(study: MeasuredRun, record: GenerationRecord) -> tuple[str | None, str]:
    """The reasoning and what was said after it; reasoning that was never closed is all there is."""
    mark = study.close_marks.get(record.variant, "")
    end = reasoning_end(record.completion, mark)
    if end is not None:
        return record.completion[:end], record.completion[end + len(mark or DEFAULT_CLOSE) :]
    return (record.completion, "") if mark else (None, record.completion)


def _scores(one: MeasuredCompletion) -> "dict[str, Score]":
    from inspect_ai.scorer import CORRECT, INCORRECT, NOANSWER, Score

    event = one.measured.event
    answer = one.study.answer(one.record)
    scores = {}  # the viewer shows the answer that the first score names
    if event["has_gold"]:
        value = {True: CORRECT, False: INCORRECT, None: NOANSWER}[event["is_correct"]]
        read = (
            f"{answer.text!r}, read by the rule {answer.rule!r}" if answer.text is not None else "no answer"
        )
        explanation = f"{read}; the gold answer is {one.gold!r}"
        scores["answer"] = Score(value=value, answer=answer.text, explanation=explanation)
    scores["backtracking"] = Score(
        value=int(event["has_backtracking_strict"]),
        answer=event["onset_phrase"],
        explanation=_onsets_in_words(one),
    )
    return scores


def _onsets_in_words(one: MeasuredCompletion) -> str:
    """Every onset with its kind and place."""
    said = [
        f"{onset['kind']} {onset['phrase']!r} at character {onset['char_start']} ({onset['region']})"
        for onset in one.onsets
    ]
    return "; ".join(said) or "no onset"


def _summaries(measured: Sequence[MeasuredCompletion]) -> "list[EvalScore]":
    """What the scores add up to, with intervals over problems."""
    from inspect_ai.log import EvalMetric, EvalScore

    frame = events_frame([one.measured for one in measured])
    scores = []
    for scorer, name in SCORERS.items():
        if scorer == "answer" and not frame["has_gold"].any():
            continue
        estimate = average(frame, BY_NAME[name])
        ends = {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
        metrics = {key: EvalMetric(name=key, value=value) for key, value in ends.items()}
        scores.append(EvalScore(name=scorer, scorer=scorer, metrics=metrics, scored_samples=len(measured)))
    return scores
