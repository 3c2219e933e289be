"""Commands for traces and labels from elsewhere."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backtracking.cli import options as opt
from backtracking.cli.say import say
from backtracking.cli.session import Request, asked_run, prepare_libraries, run_stages

if TYPE_CHECKING:
    from backtracking.config.load import LoadedConfig
    from backtracking.sources.labels import LabelCounts
    from backtracking.stages.import_traces import Imported

PANEL = "Traces from elsewhere"
MOST_NAMED = 10

Map = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="LABEL=KIND",
        help="The kind of onset that a label means, or none; repeatable. `backtracking` and "
        "`uncertainty-estimation` are known, any other label means none.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    for name, function in (("import-traces", import_traces), ("import-labels", import_labels)):
        app.command(name, rich_help_panel=PANEL)(function)


Source = Annotated[
    str, typer.Argument(help="A JSONL, JSON, CSV or Parquet file, an Inspect log, a folder, or a hub id.")
]
NewRun = Annotated[str | None, typer.Option("--run-id", help="The new run. Default: named by the source.")]
Text = Annotated[str | None, typer.Option("--text", help="Column of the traces.")]
Prompt = Annotated[str | None, typer.Option("--prompt", help="Column of the problems.")]
IdColumn = Annotated[
    str | None, typer.Option("--id", help="Column of problem ids. Default: equal prompts are one problem.")
]
Gold = Annotated[str | None, typer.Option("--gold", help="Column of gold answers.")]
Labels = Annotated[str | None, typer.Option("--labels", help="Column of sentence labels.")]
Split = Annotated[str | None, typer.Option("--split", help="Split of a hub dataset. Default: train.")]
TokenizerId = Annotated[
    str | None, typer.Option("--tokenizer", help="Hub id or folder; without one, no token positions.")
]


def import_traces(
    source: Source,
    run_id: NewRun = None,
    text: Text = None,
    prompt: Prompt = None,
    id_column: IdColumn = None,
    gold: Gold = None,
    labels: Labels = None,
    mapping: Map = None,
    split: Split = None,
    tokenizer: TokenizerId = None,
    config: opt.Config = None,
    quiet: opt.Quiet = False,
) -> None:
    """Make a run of traces that were written elsewhere: onsets, doubt and redo rates, metrics, a report.

    Example: [cyan]backtracking import-traces traces.jsonl[/cyan]
    """
    from backtracking.sources.labels import label_map
    from backtracking.sources.trace import Columns
    from backtracking.stages.import_traces import Import
    from backtracking.stages.import_traces import import_traces as bring_in

    prepare_libraries()
    given = {"text": text, "prompt": prompt, "id": id_column, "gold": gold, "labels": labels}
    asked = Import(
        source=source,
        columns=Columns({role: name for role, name in given.items() if name is not None}),
        mapping=label_map(mapping or ()),
        split=split,
        tokenizer=_tokenizer(tokenizer),
    )
    loaded = _config(source, config, tokenizer)
    paths, done = bring_in(asked, loaded, run_id or loaded.config.run.name)
    if not quiet:
        _tell(done)
        _tell_labels(done.labels, mapping or ())
    _measure(paths.run_id, quiet)
    if not quiet:
        say(f"report: {paths.root / loaded.config.report.report_path}")


def _config(source: str, config: Path | None, tokenizer: str | None) -> "LoadedConfig":
    from backtracking.config.load import LoadedConfig, load_config
    from backtracking.config.schema import ExperimentConfig
    from backtracking.stages.import_traces import import_config

    base = load_config(config).config if config else ExperimentConfig()
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(source.rstrip("/")).stem).strip("-._") or "traces"
    return LoadedConfig(import_config(base, name[:80], tokenizer), f"import-traces {name}")


def _tokenizer(name: str | None) -> object:
    if name is None:
        return None
    from backtracking.config.schema import ModelConfig
    from backtracking.model.loading import load_tokenizer

    return load_tokenizer(ModelConfig(hf_id=name))


def _tell(done: "Imported") -> None:
    from backtracking.claims.wording import counted
    from backtracking.text.answers.grading import why_unreadable

    columns = ", ".join(f"{role} from {name!r}" for role, name in done.columns.items())
    how_many = f"{counted(done.traces, 'trace')} of {counted(done.problems, 'problem')}"
    say(f"{how_many} ({columns or 'from conversations'})")
    if done.prompts_of:
        key, (one, other) = next(iter(done.prompts_of.items()))
        several = counted(len(done.prompts_of), "problem")
        say(
            f"  WARNING: {several} of {done.problems:,} with different prompts under one id, such as"
            f" {key[:40]!r}: {one!r} and {other!r}; each counts as one problem, and intervals are wrong where"
            " it is several: name the column of the problems' ids with --id"
        )
    if done.without_text:
        rows = counted(done.without_text, "row")
        say(f"  {rows} without text {'was' if done.without_text == 1 else 'were'} left out")
    of_all = f"of {counted(done.traces, 'trace')}"
    if done.with_unreadable_gold:
        say(
            f"  WARNING: {done.with_unreadable_gold:,} {of_all}: no answer can be graded by their gold answer"
            f" (such as {done.unreadable_gold[:40]!r}: {why_unreadable(done.unreadable_gold)}), so it counts"
            " as none"
        )
    if ungraded := done.traces - done.with_gold - done.with_unreadable_gold:
        say(f"  {ungraded:,} {of_all}: no gold answer, so no accuracy")
    if odd := +done.odd_endings:
        word, _ = odd.most_common(1)[0]
        say(
            f"  WARNING: {odd.total():,} {of_all}: what is said of how they ended is not known here (such as"
            f" {word[:40]!r}), so it counts as unsaid"
        )
    if done.without_ending:
        say(
            f"  {done.without_ending:,} {of_all}: not known how they ended (finish_reason or stop_reason), so"
            " the share of those cut off is unknown"
        )


def _tell_labels(labels: "LabelCounts", mapping: Sequence[str]) -> None:
    """What the labels mean here, which sentences were not found, and what became of earlier labels."""
    from backtracking.claims.wording import counted

    if labels.lost:
        few = counted(len(labels.lost), "labelled sentence")
        say(f"  WARNING: {few} of {labels.total:,} not found in their completion:")
        for problem, text in labels.lost[:MOST_NAMED]:
            say(f"    {problem}: {text[:60]!r}{'…' if len(text) > 60 else ''}")
        if len(labels.lost) > MOST_NAMED:
            say(f"    and {len(labels.lost) - MOST_NAMED:,} more")
    if labels.repeated:
        problem, text = labels.repeated[0]
        few = counted(len(labels.repeated), "label")
        say(
            f"  WARNING: {few} of {labels.total:,} left out: the sentence is"
            f" labelled more often than it stands in its completion, such as {text[:60]!r} in {problem}; the"
            " first label counts"
        )
    if labels.without_label:
        say(f"  WARNING: {counted(labels.without_label, 'row')} without a label or a sentence left out")
    named = {given.lower() for given, _ in labels.meanings}
    for theirs in (pair.rpartition("=")[0].strip() for pair in mapping):
        if theirs.lower() not in named:
            say(f"  WARNING: --map {theirs}: no label that was found is called so")
    if labels.foreign:
        first, *_ = labels.foreign
        say(
            f"  WARNING: {counted(labels.foreign.total(), 'labelled sentence')} of {labels.total:,} of"
            f" completions that the run does not have, such as one of problem {first!r}"
        )
    for (given, label), count in labels.meanings.most_common(MOST_NAMED):
        say(f"  label {given!r} is taken for {label}: {counted(count, 'sentence')}")
    for done, earlier in (("replaced", labels.replaced), ("kept", labels.kept)):
        if count := earlier.total():
            traces = counted(sum(map(bool, earlier.values())), "completion")
            say(f"  {done}: {counted(count, 'earlier label')} of {traces}")


def import_labels(
    source: Annotated[str, typer.Argument(help="A JSONL, JSON, CSV or Parquet file of labels.")],
    run_id: opt.RunId = None,
    id_column: Annotated[str | None, typer.Option("--id", help="Column of the problems' ids.")] = None,
    sentences: Annotated[
        str | None, typer.Option("--sentences", help="Column with all labelled sentences of a completion.")
    ] = None,
    text: Annotated[str | None, typer.Option("--text", help="Column of single sentences.")] = None,
    label: Annotated[str | None, typer.Option("--label", help="Column of their labels.")] = None,
    sample: Annotated[
        str | None, typer.Option("--sample", help="Column that counts a problem's completions, from 0.")
    ] = None,
    mapping: Map = None,
    variant: opt.Variant = None,
) -> None:
    """Find labelled sentences in a run's completions, for detection-quality and for training a scorer.

    A line of labels.jsonl: {"id": "p0", "sentence": "Wait, that is wrong.", "label": "redo"}

    Labels of completions that an earlier import labelled take the place of those; all others stay.

    Example: [cyan]backtracking import-labels labels.jsonl --run-id traces --map backtracking=redo[/cyan]
    """
    from backtracking.artifacts.labels import SENTENCE_LABELS, SENTENCE_QUALITY
    from backtracking.claims.wording import counted
    from backtracking.sources.labels import label_map
    from backtracking.stages.import_labels import import_labels as bring_in

    ctx = asked_run(Request(run_id=run_id))
    chosen = ctx.check_variant(variant or ctx.config.prompting.variant_names[0])
    given = {"id": id_column, "sentences": sentences, "text": text, "label": label, "sample": sample}
    columns = {role: name for role, name in given.items() if name is not None}
    counts = bring_in(ctx, source, chosen, label_map(mapping or ()), columns)
    say(f"{SENTENCE_LABELS.path(ctx.paths)}: {counted(counts.placed, 'labelled sentence')}")
    _tell_labels(counts, mapping or ())
    if SENTENCE_QUALITY.exists(ctx.paths):
        say(f"  {SENTENCE_QUALITY.file} is of the labels before; run: {SENTENCE_QUALITY.made_in(ctx.paths)}")


def _measure(run_id: str, quiet: bool) -> None:
    """Everything that needs no model."""
    from backtracking.stages.phase1.detect_events import DetectEvents
    from backtracking.stages.phase1.formatting_sweep import FormattingSweep
    from backtracking.stages.phase1.make_report import MakeReport
    from backtracking.stages.phase2.metrics_v2 import MetricsV2

    request = Request(run_id=run_id, quiet=quiet)
    ctx = asked_run(request)
    ctx.phase1 = ctx.paths
    run_stages(ctx, [DetectEvents(), FormattingSweep(), MetricsV2(), MakeReport()], request)
