"""The options that commands share."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from backtracking.cli import complete

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        autocompletion=complete.configs,
        help="A YAML file, or a name from `backtracking config list`. Default: the config of the run.",
    ),
]
RunId = Annotated[
    str | None,
    typer.Option(
        "--run-id",
        autocompletion=complete.run_ids,
        help="Which run. Default: run.run_id of the config, else the current run.",
    ),
]
RunArgument = Annotated[
    str | None,
    typer.Argument(
        autocompletion=complete.run_ids, help="Run id or folder. Default: the current run.", metavar="RUN"
    ),
]
Phase1RunId = Annotated[
    str | None,
    typer.Option(
        "--phase1-run-id",
        autocompletion=complete.run_ids,
        help="The Phase 1 run to build on. Default: phase2.phase1_run_id, else the one used last.",
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a config key, e.g. generation.temperature=0.7; repeatable.",
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        help="A Ray cluster that works on the model, e.g. auto; sets run.executor to ray.",
    ),
]
Variant = Annotated[
    str | None,
    typer.Option(
        "--variant",
        autocompletion=complete.variants,
        help="Prompt format. Default: all for `prompts` and the baseline of `generate`, else the first.",
    ),
]
Condition = Annotated[
    str,
    typer.Option(
        "--condition",
        autocompletion=complete.conditions,
        help="baseline, targeted_ablation, single_ablation or random_ablation.",
    ),
]
Heads = Annotated[bool, typer.Option("--heads", help="Also remove each attention head alone.")]
Positions = Annotated[
    bool, typer.Option("--positions", help="Also remove each block at the three positions before that.")
]
Force = Annotated[bool, typer.Option("--force", help="Run it even if the result is up to date.")]
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output, and nothing else there.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Also show the messages of the libraries underneath.")
]

DEFAULTS: dict[str, tuple[Any, Any]] = {
    "variant": (Variant, None),
    "condition": (Condition, "baseline"),
    "heads": (Heads, False),
    "positions": (Positions, False),
    "config": (Config, None),
    "run_id": (RunId, None),
    "phase1_run_id": (Phase1RunId, None),
    "overrides": (Overrides, None),
    "address": (Address, None),
    "force": (Force, False),
    "quiet": (Quiet, False),
    "verbose": (Verbose, False),
}
RUN = ("config", "run_id", "overrides", "address", "force", "quiet", "verbose")
"""What every command that works in a run takes."""


def with_options(function: Callable[..., None], names: tuple[str, ...]) -> Callable[..., None]:
    """Give a function that takes keywords the signature that the command line shows."""
    parameters = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=DEFAULTS[name][1], annotation=DEFAULTS[name][0]
        )
        for name in names
    ]
    vars(function)["__signature__"] = inspect.Signature(parameters)
    function.__annotations__ = {name: DEFAULTS[name][0] for name in names}
    return function
