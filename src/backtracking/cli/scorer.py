"""Commands of the sentence scorer: training one from a run's labels, and scoring a run's sentences."""

from pathlib import Path
from typing import Annotated

import typer

from backtracking.cli import options as opt
from backtracking.cli.say import say
from backtracking.cli.session import Request, asked_run

app = typer.Typer(help="A second detector: a linear scorer of sentences with a calibrated probability.")
PANEL = "Traces from elsewhere"


def register(parent: typer.Typer) -> None:
    """Add these commands to the application."""
    parent.add_typer(app, name="onset-scorer", rich_help_panel=PANEL)


@app.command()
def train(
    labels: Annotated[str, typer.Argument(help="Labelled traces, as import-traces reads them.")],
    out: Annotated[Path, typer.Option("--out", help="The file to write.")] = Path("scorer.safetensors"),
    mapping: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="LABEL=KIND", help="A kind of onset, or none; repeatable."),
    ] = None,
) -> None:
    """Train a scorer; probabilities and thresholds come from questions left out in turn.

    Example: [cyan]backtracking onset-scorer train labelled.jsonl --map backtracking=redo[/cyan]
    """
    from backtracking.measurements.scorer_training import labelled, train_scorer
    from backtracking.run.io import atomic_path
    from backtracking.sources.labelled import read_labelled_traces
    from backtracking.sources.labels import label_map

    traces = read_labelled_traces(labels, label_map(mapping or ()))
    scorer = train_scorer(
        [one for trace in traces for one in labelled(trace.question, trace.text, trace.spans)]
    )
    with atomic_path(out) as temporary:
        scorer.save(temporary)
    about = scorer.about
    say(f"{out}: {about['sentences']:,} sentences of {about['questions']:,} questions")
    for name, threshold in scorer.thresholds.items():
        say(f"  {name}: a probability of {threshold} and more")


@app.command()
def score(
    run_id: opt.RunId = None,
    scorer: Annotated[Path | None, typer.Option("--scorer", help="Default: the bundled one.")] = None,
    variant: opt.Variant = None,
) -> None:
    """Give every sentence of a run's baseline its probabilities of doubt and of redo.

    Example: [cyan]backtracking onset-scorer score --run-id traces[/cyan]
    """
    from backtracking.artifacts.labels import SCORED
    from backtracking.stages.score_sentences import score_sentences
    from backtracking.text.onsets.scorer import Scorer, bundled_scorer

    ctx = asked_run(Request(run_id=run_id))
    chosen = ctx.check_variant(variant or ctx.config.prompting.variant_names[0])
    counts = score_sentences(ctx, chosen, Scorer.load(scorer) if scorer else bundled_scorer())
    say(f"{SCORED.path(ctx.paths)}: {counts.sentences:,} sentences")
    say(f"  doubt or redo: {counts.turns:,}, of them redo: {counts.redos:,}")
