"""Commands that show what is measured, and how well: prompts, and the detector against hand labels."""

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backtracking.artifacts.labels import LABEL_KEY, LABEL_SAMPLE, QUALITY, SENTENCE_LABELS
from backtracking.artifacts.phase1 import GENERATIONS
from backtracking.cli.options import Config, Overrides, RunId, Variant
from backtracking.cli.say import say
from backtracking.cli.session import Request, asked_config, asked_run
from backtracking.errors import UserError
from backtracking.run.records import BASELINE_NAME

if TYPE_CHECKING:
    import pandas as pd

    from backtracking.config.schema import ExperimentConfig
    from backtracking.run.records import GenerationRecord, Problem
    from backtracking.stages.base import RunContext

PANEL = "Look closer"
_AROUND = 60
"""How many characters before and behind an answer are shown."""
_NAME_OF_FILE = re.compile(
    r"[^\s\\{}$]*\w\.[A-Za-z][A-Za-z0-9]{1,6}|(?:~|\.{0,2})/[^\s\\{}$]*[A-Za-z][^\s\\{}$]*"
)
"""A text that is more likely a path: one word with an ending, or from a folder on."""


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    for name, function in (
        ("prompts", prompts),
        ("grade", grade),
        ("label-sample", label_sample),
        ("detection-quality", quality),
    ):
        app.command(name, rich_help_panel=PANEL)(function)


def prompts(
    config: Config = None,
    run_id: RunId = None,
    overrides: Overrides = None,
    variant: Variant = None,
    example: Annotated[
        str, typer.Option("--example", help="The problem: its index, from 0, or its id.")
    ] = "0",
    ids: Annotated[bool, typer.Option("--ids", help="Also list every token with its id.")] = False,
) -> None:
    """Show exactly what the model sees, token by token; without --variant, in every format.

    Example: [cyan]backtracking prompts -c demo --variant no_think_tags --example 3[/cyan]
    """
    from backtracking.model.loading import load_tokenizer
    from backtracking.text.prompts import check_variants, render_prompt
    from backtracking.text.tokenization import token_pieces

    request = Request(config=config, run_id=run_id, overrides=overrides or ())
    settings = asked_config(request).config
    problem = _problem(_problems(request, settings), example)
    tokenizer = load_tokenizer(settings.model)
    check_variants(settings.prompting, tokenizer, problem.question)
    for name in [variant] if variant else settings.prompting.variant_names:
        _, tokens = render_prompt(problem.question, settings.prompting, name, tokenizer)
        pieces = token_pieces(tokenizer, tokens)
        say(f"{name}, problem {problem.id}: {len(tokens)} tokens")
        say("│".join(_visible(piece) for piece in pieces) + "\n")
        if ids:
            for place, (token, piece) in enumerate(zip(tokens, pieces, strict=True)):
                say(f"{place:>6}  {token:>7}  {piece!r}")


def _problems(request: Request, settings: "ExperimentConfig") -> "list[Problem]":
    """The run's problems, or those that the config would prepare."""
    from backtracking.sources.problems import load_problems
    from backtracking.stages.phase1.prepare_data import read_problems

    if request.config is None:
        return read_problems(asked_run(request))
    return load_problems(settings.dataset)


def _problem(problems: "list[Problem]", wanted: str) -> "Problem":
    for problem in problems:
        if problem.id == wanted:
            return problem
    if wanted.isdigit() and int(wanted) < len(problems):
        return problems[int(wanted)]
    raise UserError(
        f"--example: no problem {wanted!r}",
        f"there are {len(problems)}, from 0 to {len(problems) - 1}; the first is called {problems[0].id!r}",
    )


def _visible(piece: str) -> str:
    """Line breaks shown and kept."""
    return piece.replace("\n", "⏎\n")


def grade(
    text: Annotated[str, typer.Argument(help="What was written; - reads it from standard input.")],
    gold: Annotated[str, typer.Option("--gold", help="The right answer; a negative one as --gold=-5.")],
    truncated: Annotated[bool, typer.Option("--cut", help="The text was cut before its end.")] = False,
) -> None:
    """Grade a text of your own: the verdict, the rule, and the characters that were read.

    Example: [cyan]backtracking grade 'She makes $18 a day.' --gold 18[/cyan]
    """
    from backtracking.text.answers import judge_answer

    completion = sys.stdin.read() if text == "-" else text
    if _NAME_OF_FILE.fullmatch(text):
        say(
            f"note: {text!r} is graded as a text; to grade what a file holds: "
            f"backtracking grade - --gold {gold} < {text}",
            err=True,
        )
    found = judge_answer(completion, gold, truncated=truncated)
    answer = found.answer
    say(f"{found.verdict}: {'no answer' if answer.text is None else answer.text}, by rule {answer.rule}")
    if answer.start >= 0:
        before, read, after = (
            _visible_line(part)
            for part in (
                completion[max(0, answer.start - _AROUND) : answer.start],
                completion[answer.start : answer.end],
                completion[answer.end : answer.end + _AROUND],
            )
        )
        say(f"characters {answer.start} to {answer.end}: {before}»{read}«{after}")


def _visible_line(text: str) -> str:
    """Line breaks shown, and not kept."""
    return text.replace("\n", "⏎")


def label_sample(
    config: Config = None,
    run_id: RunId = None,
    overrides: Overrides = None,
    count: Annotated[int, typer.Option("--count", "-n", min=10, help="How many sentences.")] = 100,
    force: Annotated[bool, typer.Option("--force", help="Replace a sheet that has labels in it.")] = False,
) -> None:
    """Draw sentences for hand labels: a blinded sheet and, apart from it, its key.

    Example: [cyan]backtracking label-sample --run-id demo -n 100[/cyan]
    """
    from backtracking.claims.wording import counted
    from backtracking.measurements.labels import draw_sample
    from backtracking.reports.quality import scored_again
    from backtracking.run import io

    ctx = asked_run(Request(config=config, run_id=run_id, overrides=overrides or ()))
    path = LABEL_SAMPLE.path(ctx.paths)
    if path.exists() and not force and _has_labels(path):
        raise UserError(
            f"{path} has labels in it", "a new draw would lose them", "copy it elsewhere, or use --force"
        )
    sheet, key = draw_sample(_baseline(ctx), ctx.config.detection, count=count, seed=ctx.config.run.seed)
    io.write_csv(path, sheet)
    io.write_csv(LABEL_KEY.path(ctx.paths), key)
    say(f"{path}: {counted(len(sheet), 'sentence')}" + (", all there are" if len(sheet) < count else ""))
    say("Write y into `label` where the writer turns back (doubts, re-checks or redoes what came before),")
    say(f"n where not, without looking at the key; then run: {scored_again(ctx.paths, QUALITY)}")


def _has_labels(path: Path) -> bool:
    import pandas as pd

    table = pd.read_csv(path, dtype=str)
    return "label" in table and bool(table["label"].notna().any())


def _baseline(ctx: "RunContext") -> "Iterator[GenerationRecord]":
    """Finished baseline completions of all variants."""
    from backtracking.run import io
    from backtracking.run.records import GenerationRecord

    variants = ctx.config.prompting.variant_names
    paths = [GENERATIONS.path(ctx.paths, variant=name, condition=BASELINE_NAME) for name in variants]
    present = [path for path in paths if path.exists()]
    if not present:
        raise UserError(
            f"there are no baseline completions in {ctx.paths.generations}",
            next_step="run: backtracking generate --condition baseline",
        )
    for path in present:
        rows = io.read_jsonl(path, GenerationRecord, made_by=GENERATIONS.made_by)
        yield from (row for row in rows if row.finish_reason != "error")


def quality(
    config: Config = None,
    run_id: RunId = None,
    overrides: Overrides = None,
    labels: Annotated[
        Path | None, typer.Option("--labels", help="The labelled sheet. Default: the run's own.")
    ] = None,
    scorer: Annotated[
        Path | None, typer.Option("--scorer", help="The sentence scorer. Default: the bundled one.")
    ] = None,
) -> None:
    """Score the detectors against hand labels: precision, recall, intervals.

    Labels that came with traces, or by import-labels, are read first; else those of label-sample.

    Example: [cyan]backtracking detection-quality --run-id demo[/cyan]
    """
    import pandas as pd

    from backtracking.claims.wording import lines_of
    from backtracking.measurements.labels import score_detectors
    from backtracking.reports.quality import digest_of_sheet, how_drawn
    from backtracking.run import io
    from backtracking.run.cells import original

    ctx = asked_run(Request(config=config, run_id=run_id, overrides=overrides or ()))
    if labels is None and SENTENCE_LABELS.exists(ctx.paths):
        _quality_of_sentences(ctx, scorer)
        return
    if labels is None and not LABEL_SAMPLE.exists(ctx.paths):
        run = ctx.paths.run_id
        raise UserError(
            f"run {run} has no labels",
            "detectors are scored against sentences that a person labelled",
            "for labels that you have, a file with columns of ids (or prompts), sentences and labels, run: "
            f"backtracking import-labels LABELS.jsonl --run-id {run}; "
            f"to label a draw of this run's sentences, run: {LABEL_SAMPLE.made_in(ctx.paths)}",
        )
    sheet = io.require_file(labels or LABEL_SAMPLE.path(ctx.paths), made_by=LABEL_SAMPLE.made_by)
    key = io.require_file(LABEL_KEY.path(ctx.paths), made_by=LABEL_KEY.made_by)
    table = score_detectors(
        original(pd.read_csv(sheet, dtype={"label": str})),
        original(pd.read_csv(key, dtype={"example_id": str})),
    )
    QUALITY.write(ctx.paths, table.assign(labels_digest=digest_of_sheet(ctx.paths, sheet)))
    say(how_drawn(lines_of(table)[0]))
    _tell(table, lambda row: f"{row['detector']:<17}")
    say(f"{QUALITY.path(ctx.paths)}")
    _tell_report(ctx)


def _tell(table: "pd.DataFrame", opening: "Callable[[Mapping[Any, Any]], str]") -> None:
    """A line of shares per detector, and in words which of them can carry no claim."""
    from backtracking.claims.wording import lines_of
    from backtracking.measurements.quality import SHARES
    from backtracking.reports.quality import MARK, what_the_mark_says, with_mark

    few = False
    for row in lines_of(table):
        shares = [with_mark(row, name) for name in SHARES]
        few |= any(share.endswith(MARK) for share in shares)
        told = (f"{name} {share}" for name, share in zip(SHARES, shares, strict=True))
        say(f"{opening(row)} {'  '.join(told)}")
    if few:
        say(what_the_mark_says())


def _quality_of_sentences(ctx: "RunContext", scorer: Path | None) -> None:
    """Every detector for every target, confusion by phrase, and the worst sentences to read."""
    from backtracking.artifacts import labels as files
    from backtracking.claims.wording import counted
    from backtracking.measurements.quality import confusion_table, quality_table, worst_table
    from backtracking.reports.quality import AS_LABELLED
    from backtracking.stages.judge_labels import judged_labels
    from backtracking.text.onsets.scorer import Scorer, bundled_scorer

    rows = judged_labels(ctx, Scorer.load(scorer) if scorer else bundled_scorer())
    table = quality_table(rows)
    digest = files.labels_digest(ctx.paths, (SENTENCE_LABELS,))
    files.SENTENCE_QUALITY.write(ctx.paths, table.assign(labels_digest=digest))
    files.CONFUSION.write(ctx.paths, confusion_table(rows))
    files.WORST.write(ctx.paths, worst_table(rows))
    kinds = ", ".join(f"{count:,} {label}" for label, count in rows["label"].value_counts().items())
    sentences = counted(len(rows), "labelled sentence")
    say(f"{sentences} of {counted(rows['question'].nunique(), 'problem')}: {kinds}")
    _tell(table, lambda row: f"{row['target']:<14} found by {row['detector']:<14}")
    say(AS_LABELLED)
    for artifact in (files.SENTENCE_QUALITY, files.CONFUSION, files.WORST):
        say(artifact.path(ctx.paths))
    _tell_report(ctx)


def _tell_report(ctx: "RunContext") -> None:
    """How the result comes into the run's report."""
    from backtracking.artifacts.phase1 import CLAIMS

    say(f"for the report of the run to show it, run: {CLAIMS.made_in(ctx.paths)}")
