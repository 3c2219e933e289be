"""Commands about how far verdicts can be trusted: calibration, and what a planned study would see."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backtracking.cli.say import say
from backtracking.cli.session import DEFAULT_OUTPUT_DIR, prepare_libraries
from backtracking.errors import UserError

if TYPE_CHECKING:
    from backtracking.calibration.power import Plan

PANEL = "Look closer"


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.command("power", rich_help_panel=PANEL)(power)
    app.command("calibrate", rich_help_panel=PANEL)(calibrate)


def calibrate(
    out: Annotated[Path, typer.Option("--out", help="Folder of the studies; what is there is kept.")] = Path(
        "runs/calibration"
    ),
    seeds: Annotated[
        int, typer.Option("--seeds", min=0, help="Planted models per truth and architecture.")
    ] = 1,
    nulls: Annotated[
        int, typer.Option("--nulls", min=0, help="Null models through the whole first phase.")
    ] = 60,
    relabelled: Annotated[
        int, typer.Option("--relabelled", min=0, help="Null studies made of each template's rows.")
    ] = 200,
    analysts: Annotated[
        int, typer.Option("--analysts", min=0, help="How many are also analysed in every way.")
    ] = 10,
    reasoner_seeds: Annotated[
        int, typer.Option("--reasoner-seeds", min=0, help="Studies of either phase per reasoner that ships.")
    ] = 3,
    second_problems: Annotated[
        int | None,
        typer.Option(
            "--second-problems", min=12, help="Problems of each in Phase 2; as many as decide if left out."
        ),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes side by side.")] = 2,
    page: Annotated[
        Path | None, typer.Option("--page", help="A page whose `Calibration` section is rewritten.")
    ] = None,
    small: Annotated[
        bool, typer.Option("--small", help="A few tiny studies, to see that all of it works.")
    ] = False,
) -> None:
    """Plant known truths, study them to the verdicts, and count how often the verdicts are wrong.

    Example: [cyan]backtracking calibrate --page docs/claims.md[/cyan]
    """
    prepare_libraries()
    from backtracking.calibration.calibrate import SMALL_SCOPE, Scope, write_results
    from backtracking.calibration.calibrate import calibrate as run
    from backtracking.calibration.table import tables_as_markdown, write_section

    scope = (
        SMALL_SCOPE
        if small
        else Scope(
            seeds=seeds,
            nulls=nulls,
            relabelled=relabelled,
            analysts=analysts,
            reasoner_seeds=reasoner_seeds,
            second_problems=second_problems,
        )
    )
    results = run(out, scope, workers, say)
    table = tables_as_markdown(results)
    write_results(out, results, table)
    if page is not None:
        write_section(page, table)
    say(table)


def power(
    effect: Annotated[
        float, typer.Option("--effect", min=0.001, max=1, help="Fall of the rate (0.1: 10 points).")
    ],
    problems: Annotated[int, typer.Option("--problems", min=2, help="Problems of the study.")] = 200,
    samples: Annotated[int, typer.Option("--samples", min=1, help="Completions per problem.")] = 6,
    rate: Annotated[
        float, typer.Option("--rate", min=0.001, max=0.999, help="The baseline's rate of backtracking.")
    ] = 0.65,
    accuracy: Annotated[
        float, typer.Option("--accuracy", min=0.001, max=0.999, help="The baseline's accuracy.")
    ] = 0.9,
    likeness: Annotated[
        float,
        typer.Option("--likeness", min=0, max=0.99, help="Correlation of two completions of one problem."),
    ] = 0.2,
    margin: Annotated[
        float, typer.Option("--margin", min=0.001, max=1, help="Loss of accuracy that still counts as held.")
    ] = 0.05,
    like: Annotated[
        str | None,
        typer.Option("--like", metavar="RUN_ID", help="Take rates and likeness from a run's baseline."),
    ] = None,
) -> None:
    """Plan a study: the power to see a fall in backtracking, and to show that accuracy is held.

    Example: [cyan]backtracking power --effect 0.1 --problems 200 --samples 6[/cyan]
    """
    from backtracking.calibration.power import Plan

    if like is None:
        onsets = Plan(problems, samples, rate, likeness)
        answers = Plan(problems, samples, accuracy, likeness)
    else:
        onsets, answers = _plans_like(like, problems, samples)
    if effect > onsets.rate:
        raise UserError(
            f"--effect: a rate of {onsets.rate:.1%} cannot fall by {effect:.1%}",
            next_step="give a smaller --effect, or a larger --rate",
        )
    for line in _in_words(onsets, answers, effect, margin):
        say(line)


def _in_words(onsets: "Plan", answers: "Plan", effect: float, margin: float) -> list[str]:
    """What a study of so many problems would see of its onsets, and of its answers."""
    from backtracking.calibration import power as plans
    from backtracking.claims.wording import roughly

    smallest, needed = plans.smallest_effect(onsets), plans.problems_for_power(onsets, effect)
    seen = "no fall" if math.isnan(smallest) else f"a fall of {_points(smallest)}"
    wanted = (
        f"about {roughly(needed)} problems give"
        if needed
        else f"more than {plans.MOST_PROBLEMS:,} problems would be needed for"
    )
    held = _chance(plans.power_to_hold(answers, margin))
    return [
        f"{onsets.problems:,} problems x {onsets.samples} completions; baseline backtracking "
        f"{onsets.rate:.1%} (likeness {onsets.likeness:.2f}), accuracy {answers.rate:.1%} (likeness "
        f"{answers.likeness:.2f})",
        f"a fall of {_points(effect)} is seen with a power of {_chance(plans.power(onsets, effect))}",
        f"the smallest that is seen with {plans.ENOUGH:.0%}: {seen}",
        f"{wanted} {plans.ENOUGH:.0%} power for a fall of {_points(effect)}",
        f"an accuracy that does not change is called held within {_points(margin)} "
        f"with a probability of {held}",
    ]


def _chance(share: float) -> str:
    return "above 99%" if share > 0.99 else f"{share:.0%}"


def _points(share: float) -> str:
    return f"{100 * share:.1f} points"


def _plans_like(run_id: str, problems: int, samples: int) -> "tuple[Plan, Plan]":
    """Plans with the rates and the likeness that a finished run's main baseline shows."""
    from backtracking.artifacts.phase1 import EVENTS
    from backtracking.calibration.power import Plan, likeness_of
    from backtracking.measurements.tallies import names, select, tally_file
    from backtracking.run.paths import RunPaths, check_id
    from backtracking.run.records import BASELINE_NAME

    paths = RunPaths(Path(DEFAULT_OUTPUT_DIR), check_id("--like", run_id))
    sums = tally_file(EVENTS.path(paths), condition=BASELINE_NAME)
    main = select(sums, variant=names(sums, "variant")[0])

    def plan(top: str, bottom: str) -> "Plan":
        hits, cases = (main[name].to_numpy(dtype=float) for name in (top, bottom))
        rate = hits.sum() / max(cases.sum(), 1)
        if not 0 < rate < 1:
            raise UserError(
                f"--like: in the baseline of {run_id} {top} is {rate:.0%}, which shows no variation",
                next_step="give --rate, --accuracy and --likeness yourself",
            )
        return Plan(problems, samples, rate, min(likeness_of(hits, cases), 0.99))

    return plan("strict", "total"), plan("correct", "with_gold")
