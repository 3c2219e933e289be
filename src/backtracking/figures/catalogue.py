"""Every figure of a run, drawn from the run's files: stages make them so, and so they are drawn again."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any

import pandas as pd
import yaml

from backtracking.artifacts import phase1 as files
from backtracking.artifacts import phase2 as later
from backtracking.artifacts.kinds import ConfigKey, Data, Figure, Shown, Table
from backtracking.artifacts.registry import figures_of
from backtracking.claims.evidence import Evidence
from backtracking.errors import UserError
from backtracking.figures import phase1
from backtracking.figures.caption import NotMade
from backtracking.figures.save import save
from backtracking.figures.style import Drawing
from backtracking.measurements.metrics_v2 import accuracy_by_backtracking, formatting_table
from backtracking.measurements.tallies import tally_file
from backtracking.run.inputs import watching, yaml_data
from backtracking.run.paths import RunPaths
from backtracking.run.records import BASELINE_NAME


def publish(paths: RunPaths, made: Table | Data, result: Any) -> None:
    """Write a table or data into the run, and the figures that show it."""
    made.write(paths, result)
    draw_all(paths, made)


def withdraw(paths: RunPaths, made: Table) -> None:
    """Take a table out of the run, and the figures that show it."""
    made.path(paths).unlink(missing_ok=True)
    for figure in figures_of(made):
        for folder in (paths.figures, paths.proposal_figures):
            for path in folder.glob(f"{figure.stem}.*"):
                path.unlink()


def draw_all(paths: RunPaths, made: Shown) -> None:
    """Write the figures into the run that show what was just written."""
    for figure in figures_of(made):
        write(paths, figure)


def write(paths: RunPaths, figure: Figure) -> None:
    """Draw a figure from the run's files and write it into the run."""
    with watching():  # the tables are the result; what a caption says beside them is no input of it
        evidence = Evidence(paths)
        save(paths, figure, lambda width: draw(figure, evidence, width))


def draw(figure: Figure, evidence: Evidence, width: float) -> Drawing:
    """A figure of a run at a width in inches; raises `NothingToShow` where it would be empty."""
    drawing = _OF_MORE.get(figure.stem, _of_tables(figure))(evidence, width)
    if "cut: " not in drawing.caption.counts and (cut := _share_cut(evidence, figure)):
        drawing.caption = replace(drawing.caption, counts=f"{drawing.caption.counts} {cut}".strip())
    return drawing


_Draw = Callable[[Evidence, float], Drawing]


def _of_tables(figure: Figure) -> _Draw:
    """Draws a figure that needs nothing but what it shows."""
    file, _, name = figure.drawn_by.partition(":")

    def drawn(evidence: Evidence, width: float) -> Drawing:
        assert figure.shows, f"{figure.stem}: nothing says how it is drawn"
        plot = getattr(import_module(f"backtracking.figures.{file}"), name)
        first, *_ = figure.files
        _require(evidence, first)
        return plot(*(_value(evidence, one) for one in figure.shows), width=width)  # type: ignore[no-any-return]

    return drawn


def _require(evidence: Evidence, file: Shown) -> None:
    """Where a file is absent, that is the reason why there is nothing to show."""
    if not file.exists(evidence.paths):
        raise NotMade(evidence.absence(file).rstrip("."))


def _value(evidence: Evidence, shown: Shown | ConfigKey) -> Any:
    """What a figure is drawn from, as its function takes it; empty where the run lacks it."""
    if isinstance(shown, ConfigKey):
        return _asked(evidence, shown)
    if isinstance(shown, Data):
        return evidence.data(shown)
    assert isinstance(shown, Table)
    rows = evidence.table(shown)
    return pd.DataFrame() if rows is None else rows


def _by_variant(evidence: Evidence, width: float) -> Drawing:
    _require(evidence, files.EVENTS)
    order = tuple(_config(evidence).get("prompting", {}).get("formatting_variants", {}))
    table = formatting_table(tally_file(files.EVENTS.path(evidence.paths)), order)
    return phase1.plot_backtracking_rate_by_variant(table, width=width)


def _by_onset(evidence: Evidence, width: float) -> Drawing:
    _require(evidence, files.EVENTS)
    table = accuracy_by_backtracking(tally_file(files.EVENTS.path(evidence.paths)))
    return phase1.plot_backtracking_vs_accuracy(table, width=width)


_OF_MORE: Mapping[str, _Draw] = {
    files.RATE_BY_VARIANT.stem: _by_variant,
    files.RATE_VS_ACCURACY.stem: _by_onset,
}
"""How figures are drawn that need a run's rows."""


def _config(evidence: Evidence) -> dict[str, Any]:
    """The run's config as it was written; empty where it cannot be read."""
    try:
        written = yaml_data(evidence.paths.config.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return {}
    return written if isinstance(written, dict) else {}


def _asked(evidence: Evidence, wanted: ConfigKey) -> float:
    """A key of the run's config, or what it is taken for."""
    value: Any = _config(evidence)
    for key in wanted.key.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return wanted.default if value is None else float(value)


def _share_cut(evidence: Evidence, figure: Figure) -> str:
    """How many baseline rows were cut, from what the figure's stage reads, or it grows old unseen."""
    rates = _rates_cut(evidence) or ([] if figure is later.STEP_FIGURE else _rates_cut_in_sweep(evidence))
    return f"Baseline completions that were cut: {100 * rates[0]:.1f}%." if rates else ""


def _rates_cut(evidence: Evidence) -> list[float]:
    """Of each prompt format's baseline, by Phase 1's completions."""
    if not files.EVENTS.exists(evidence.paths):
        return []
    try:
        sums = tally_file(files.EVENTS.path(evidence.paths))
    except UserError:  # a table of another program that says less
        return []
    if "truncated" not in sums or BASELINE_NAME not in sums.index.unique("condition"):
        return []
    baseline = sums.xs(BASELINE_NAME, level="condition").groupby(level="variant", sort=False).sum()
    return list(baseline["truncated"] / baseline["total"])


def _rates_cut_in_sweep(evidence: Evidence) -> list[float]:
    """Of the sweep's baseline, whose prompt format is one."""
    sweep = evidence.table(later.SUBSETS)
    if sweep is None or "truncation_rate" not in sweep:
        return []
    return list(sweep.loc[sweep["subset_name"] == BASELINE_NAME, "truncation_rate"].dropna().astype(float))
