"""Figures show the tables' numbers: what is drawn is read back and compared."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from backtracking.artifacts.kinds import Figure
from backtracking.artifacts.phase2 import SUBSETS_FIGURE
from backtracking.figures import leaks as plots_leaks
from backtracking.figures import phase1 as plots
from backtracking.figures import phase2 as plots_phase2
from backtracking.figures import style as figures
from backtracking.run.meta import RunMeta
from backtracking.run.paths import RunPaths
from tests.report.tables import sweep_table

FIGURE = Figure("figures/b.png", "test", "any figure")


def _dots(axes):
    """Where the markers stand, in drawing order."""
    return [
        (float(line.get_xdata()[0]), float(line.get_ydata()[0]))
        for line in axes.lines
        if line.get_marker() not in ("None", None, "", "|", "_") and len(line.get_xdata()) == 1
    ]


def _spans(axes):
    """Horizontal intervals that are drawn, as (low, high)."""
    found = []
    for collection in axes.collections:
        for path in collection.get_paths():
            ends = path.vertices[:, 0]
            if len(ends) == 2:
                found.append((float(ends.min()), float(ends.max())))
    return found


@pytest.fixture(scope="module")
def sweep():
    return sweep_table({"baseline": (0.6, 0.85), "strong": (0.1, 0.2), "mild": (0.4, 0.85)}, margin=0.1)


def test_subset_sweep_draws_every_arm_with_its_interval(sweep):
    figure = plots_phase2.plot_subset_sweep_comparison(sweep, margin=0.1)
    order = sweep.set_index("subset_name").loc[["baseline", "strong", "mild"]]
    for axes, column in zip(figure.axes, ("backtracking_rate", "accuracy", "truncation_rate"), strict=True):
        shown = _dots(axes)[: len(order)]
        assert [x for x, _ in shown] == pytest.approx(order[column].tolist())
        assert [y for _, y in shown] == [2, 1, 0]
        spans = _spans(axes)
        for low, high in zip(order[f"{column}_low"], order[f"{column}_high"], strict=True):
            assert any(np.allclose(span, (low, high)) for span in spans)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["baseline", "strong  (2)", "mild  (2)"]


def test_scale_tradeoff_orders_scales_and_ends_at_the_untouched_model(sweep):
    table = sweep.assign(subset_name=["baseline", "late", "late"], scale=[np.nan, 0.0, 0.5])
    figure = plots_phase2.plot_scale_tradeoff_curve(table, margin=0.1)
    line = next(line for line in figure.axes[0].lines if line.get_label() == "backtracking")
    assert line.get_xdata().tolist() == [0.0, 0.5, 1.0]
    assert line.get_ydata().tolist() == pytest.approx(table["backtracking_rate"].iloc[[1, 2, 0]].tolist())
    texts = {text.get_text() for text in figure.axes[1].texts}
    assert texts == {"baseline", "×0", "×0.5"}


def test_rates_without_intervals_are_drawn_without_them():
    table = pd.DataFrame(
        {"variant": ["a", "b"], "total": [10, 20], "backtracking_rate": [0.5, 0.25], "accuracy": [0.9, 0.8]}
    )
    figure = plots.plot_backtracking_rate_by_variant(table)
    assert len(figure.axes) == 2, "no truncation in the table, no truncation in the figure"
    assert [x for x, _ in _dots(figure.axes[0])] == [0.5, 0.25]
    assert all(low == high for low, high in _spans(figure.axes[0]))


def test_formatting_states_changes_in_points():
    table = pd.DataFrame({"variant": ["a", "b"], "total": [10, 10], "backtracking_rate": [0.6, 0.25]})
    texts = [text.get_text() for text in plots.plot_formatting_effect_on_backtracking(table).axes[0].texts]
    assert texts == ["60%", "25%  (-35 points)"]


def test_continuation_effect_has_both_kinds_of_positions():
    summary = pd.DataFrame(
        {
            "position_kind": ["onset", "onset", "control", "control"],
            "scale": [1.0, 0.0, 1.0, 0.0],
            "n": [7, 7, 5, 5],
            "onset_prob": [0.8, 0.1, 0.05, 0.01],
            "family_prob": [0.9, 0.2, 0.06, 0.02],
        }
    )
    figure = plots_phase2.plot_continuation_ablation_effect(summary)
    assert len(figure.axes) == 2
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["at the onset (n=7)", "matched control position (n=5)"]


def test_model_text_in_figures_is_plain(tmp_path):
    summary = pd.DataFrame({"arm": ["x"], "specificity_index": [2.0]})
    replaced = pd.DataFrame(
        {"arm": ["x"], "baseline_text": ["$\\frac{"], "new_text": ["\x00\n"], "count": [1], "share": [1.0]}
    )
    figure = plots_leaks.plot_first_divergences(summary, replaced)
    figures.save(figure, RunPaths(tmp_path / "runs", "r"), FIGURE)


def test_correction_flow_bands_start_and_end_where_their_rows_do():
    """Both columns are filled once; each band leaves its baseline fate and reaches its own fate."""
    flow = pd.DataFrame(
        {
            "arm": ["baseline"] + ["a"] * 4,
            "baseline_fate": ["marked", "marked", "marked", "silent", "silent"],
            "fate": ["marked", "marked", "wrong", "wrong", "silent"],
            "count": [4, 2, 1, 1, 0],
            "total": [4] * 5,
            "share": [1.0, 0.5, 0.25, 0.25, 0.0],
        }
    )
    axes = plots_leaks.plot_correction_flow(flow).axes[0]
    assert axes.get_title(loc="left") == "a"
    ends = []
    for band in axes.collections:
        points = band.get_paths()[0].vertices
        for x in (0.0, 1.0):
            heights = points[np.isclose(points[:, 0], x), 1]
            ends.append((x, round(float(heights.min()), 3), round(float(heights.max()), 3)))
    assert sorted(ends) == [
        (0.0, 0.0, 0.25), (0.0, 0.25, 0.5), (0.0, 0.5, 1.0),
        (1.0, 0.0, 0.25), (1.0, 0.25, 0.5), (1.0, 0.5, 1.0),
    ]  # fmt: skip
    filled = {0: 0.0, 1: 0.0}
    for bar in axes.patches:
        filled[int(bar.get_x() > 0)] += abs(bar.get_height())
    assert filled == {0: pytest.approx(1.0), 1: pytest.approx(1.0)}


@pytest.mark.parametrize(
    "draw",
    [
        plots.plot_backtracking_rate_by_variant,
        plots.plot_backtracking_rate_by_condition,
        plots.plot_backtracking_vs_accuracy,
        plots_phase2.plot_continuation_ablation_effect,
        lambda empty: plots_phase2.plot_baseline_only_summary({}),
    ],
)
def test_nothing_to_show_is_said(draw):
    (text,) = draw(pd.DataFrame()).axes[0].texts
    assert text.get_text()


def test_save_writes_the_run_and_the_copy_with_equal_bytes(tmp_path, sweep):
    paths = RunPaths(tmp_path / "runs", "r")
    for _ in range(2):
        figures.save(plots_phase2.plot_subset_sweep_comparison(sweep), paths, SUBSETS_FIGURE)
    copy = paths.proposal_figure("phase2_subset_sweep")
    assert copy.read_bytes() == paths.figure("phase2_subset_sweep").read_bytes()
    assert copy.parent == tmp_path / "figures/r"
    assert not list(copy.parent.glob(".*"))


def test_the_index_says_which_run_each_folder_belongs_to(tmp_path, sweep):
    for name in ("first", "second", "damaged", "gone"):
        paths = RunPaths(tmp_path / "runs", name)
        paths.root.mkdir(parents=True)
        meta = RunMeta(name, f"study of | {name}", "2031-01-02T03:04:05+00:00", "", name * 4, {}, {})
        meta.save(paths.meta)
        figures.save(plots_phase2.plot_subset_sweep_comparison(sweep), paths, SUBSETS_FIGURE)
    RunPaths(tmp_path / "runs", "damaged").meta.write_text("{")
    RunPaths(tmp_path / "runs", "gone").meta.unlink()
    first = RunPaths(tmp_path / "runs", "first")
    figures.save(plots_phase2.plot_subset_sweep_comparison(sweep), first, FIGURE)
    lines = (tmp_path / "figures/index.md").read_text().splitlines()[-4:]
    link = "[phase2_subset_sweep]({}/phase2_subset_sweep.png)"
    assert lines == [
        f"| damaged | (its meta.json cannot be read) |  |  | {link.format('damaged')} |",
        f"| first | study of \\| first | firstfirstfi | 2031-01-02 03:04 | [b](first/b.png), "
        f"{link.format('first')} |",
        f"| gone | (the run is gone) |  |  | {link.format('gone')} |",
        f"| second | study of \\| second | secondsecond | 2031-01-02 03:04 | {link.format('second')} |",
    ]


def test_figures_and_reports_need_no_torch_and_leave_matplotlib_alone():
    code = (
        "import matplotlib, sys\n"
        "settings = lambda: {k: matplotlib.rcParams[k] for k in matplotlib.rcParams if k != 'backend'}\n"
        "before = settings()\n"
        "import backtracking.reports.write, backtracking.figures.leaks, backtracking.figures.phase2\n"
        "import backtracking.figures.phase1, pandas\n"
        "backtracking.figures.phase1.plot_backtracking_rate_by_variant(pandas.DataFrame())\n"
        "assert 'torch' not in sys.modules and 'matplotlib.pyplot' not in sys.modules\n"
        "assert settings() == before\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=_env()
    )
    assert done.returncode == 0, done.stderr


def _env():
    import os
    from pathlib import Path

    return os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
