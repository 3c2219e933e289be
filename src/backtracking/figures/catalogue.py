"""Every figure of a run, drawn from the run's files: stages make them so, and so they are drawn again."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any

import pandas as pd
import yaml

from backtracking.artifacts import phase1 as files
from backtracking.artifacts import phase2 as later
from backtracking.artifacts import readings
from backtracking.artifacts.kinds import Figure, Table
from backtracking.artifacts.registry import figures_of
from backtracking.claims.evidence import Evidence
from backtracking.config.phase2 import Phase2Config
from backtracking.errors import UserError
from backtracking.figures import leaks, mechanism, phase1, phase2
from backtracking.figures.caption import NotMade
from backtracking.figures.save import save
from backtracking.figures.style import Drawing
from backtracking.measurements.metrics_v2 import accuracy_by_backtracking, formatting_table
from backtracking.measurements.tallies import tally_file
from backtracking.run.inputs import watching, yaml_data
from backtracking.run.paths import RunPaths
from backtracking.run.records import BASELINE_NAME


def publish(paths: RunPaths, made: Table, table: pd.DataFrame) -> None:
    """Write a table into the run, and the figures that show it."""
    made.write(paths, table)
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
    if "cut at the cap" not in drawing.caption.counts and (cut := _share_cut(evidence, figure)):
        drawing.caption = replace(drawing.caption, counts=f"{drawing.caption.counts} {cut}".strip())
    return drawing


_Draw = Callable[[Evidence, float], Drawing]


def _of_tables(figure: Figure) -> _Draw:
    """Draws a figure that needs nothing but the tables that it shows."""
    file, _, name = figure.drawn_by.partition(":")

    def drawn(evidence: Evidence, width: float) -> Drawing:
        assert figure.shows, f"{figure.stem}: nothing says how it is drawn"
        plot = getattr(import_module(f"backtracking.figures.{file}"), name)
        first, *others = figure.shows
        tables = [_table(evidence, first), *(_optional(evidence, table) for table in others)]
        return plot(*tables, width=width)  # type: ignore[no-any-return]

    return drawn


def _table(evidence: Evidence, table: Table) -> pd.DataFrame:
    """A table of the run; where it is absent, that is the reason why there is nothing to show."""
    rows = evidence.table(table)
    if rows is None and not table.exists(evidence.paths):
        raise NotMade(evidence.absence(table).rstrip("."))
    return pd.DataFrame() if rows is None else rows


def _optional(evidence: Evidence, table: Table) -> pd.DataFrame:
    rows = evidence.table(table)
    return pd.DataFrame() if rows is None else rows


def _by_variant(evidence: Evidence, width: float) -> Drawing:
    _table(evidence, files.EVENTS)
    order = tuple(_config(evidence).get("prompting", {}).get("formatting_variants", {}))
    table = formatting_table(tally_file(files.EVENTS.path(evidence.paths)), order)
    return phase1.plot_backtracking_rate_by_variant(table, width=width)


def _by_onset(evidence: Evidence, width: float) -> Drawing:
    _table(evidence, files.EVENTS)
    table = accuracy_by_backtracking(tally_file(files.EVENTS.path(evidence.paths)))
    return phase1.plot_backtracking_vs_accuracy(table, width=width)


def _importance(evidence: Evidence, width: float) -> Drawing:
    table, selected = _table(evidence, readings.IMPORTANCE), evidence.data(readings.SELECTED)
    return mechanism.plot_ablation_importance(table, selected, width=width)


def _baseline(evidence: Evidence, width: float) -> Drawing:
    if not later.METRICS.exists(evidence.paths):
        raise NotMade(evidence.absence(later.METRICS).rstrip("."))
    summary = evidence.data(later.METRICS).get("baseline_only_summary", {})
    return phase2.plot_baseline_only_summary(summary, width=width)


def _subsets(evidence: Evidence, width: float) -> Drawing:
    return phase2.plot_subset_sweep_comparison(
        _table(evidence, later.SUBSETS), _margin(evidence), width=width
    )


def _scales(evidence: Evidence, width: float) -> Drawing:
    return phase2.plot_scale_tradeoff_curve(_table(evidence, later.SCALES), _margin(evidence), width=width)


def _choice(evidence: Evidence, width: float) -> Drawing:
    search, confirm = _table(evidence, later.CHOICE), _optional(evidence, later.CONFIRMED)
    return leaks.plot_choice(search, confirm, _margin(evidence), width=width)


_OF_MORE: Mapping[str, _Draw] = {
    files.RATE_BY_VARIANT.stem: _by_variant,
    files.RATE_VS_ACCURACY.stem: _by_onset,
    readings.IMPORTANCE_FIGURE.stem: _importance,
    later.METRICS_FIGURE.stem: _baseline,
    later.SUBSETS_FIGURE.stem: _subsets,
    later.SCALES_FIGURE.stem: _scales,
    later.CHOICE_FIGURE.stem: _choice,
}
"""How figures are drawn that need more than tables: the config, a summary, rows."""


def _config(evidence: Evidence) -> dict[str, Any]:
    """The run's config as it was written; empty where it cannot be read."""
    try:
        written = yaml_data(evidence.paths.config.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return {}
    return written if isinstance(written, dict) else {}


def _margin(evidence: Evidence) -> float:
    """How much accuracy may be lost and still counts as held."""
    asked = _config(evidence).get("phase2") or {}
    margin = asked.get("accuracy_margin", Phase2Config().accuracy_margin)
    return float(margin)


def _share_cut(evidence: Evidence, figure: Figure) -> str:
    """How many baseline rows were cut, from what the figure's stage reads, or it grows old unseen."""
    rates = _rates_cut(evidence) or ([] if figure is later.STEP_FIGURE else _rates_cut_in_sweep(evidence))
    return f"Baseline rows cut at the cap: {100 * rates[0]:.1f}%." if rates else ""


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
