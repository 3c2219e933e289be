"""Figures show the tables' numbers: what is drawn is read back and compared; captions are computed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from backtracking.artifacts.kinds import Figure
from backtracking.artifacts.phase2 import SUBSETS_FIGURE
from backtracking.figures import circuit, save
from backtracking.figures import leaks as plots_leaks
from backtracking.figures import phase1 as plots
from backtracking.figures import phase2 as plots_phase2
from backtracking.figures.caption import NothingToShow
from backtracking.figures.style import COLUMN
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
    assert names == ["baseline", "strong", "mild"]


def test_one_problem_has_no_intervals_to_speak_of(sweep):
    ends = [name for name in sweep if name.endswith(("_low", "_high"))]
    one = sweep.assign(problems=1, **dict.fromkeys(ends, np.nan))
    for table, said in ((sweep, True), (one, False)):
        scales = table.assign(subset_name=["baseline", "late", "late"], scale=[np.nan, 0.0, 0.5])
        for figure in (
            plots_phase2.plot_subset_sweep_comparison(table, margin=0.1),
            plots_phase2.plot_scale_tradeoff_curve(scales.drop(columns="arm"), margin=0.1),
            plots_leaks.plot_choice(table.assign(kind="intervention"), table.iloc[:0], 0.1),
        ):
            assert ("95% intervals" in figure.caption.shows) == said
            assert figure.caption.shows == figure.caption.shows.strip()


def test_the_caption_of_a_sweep_is_computed(sweep):
    caption = plots_phase2.plot_subset_sweep_comparison(sweep, margin=0.1).caption
    strong = sweep.set_index("subset_name").loc["strong"]
    assert caption.sees.startswith("`strong` takes backtracking furthest down")
    assert (
        f"{strong['backtracking_rate']:.1%}" in caption.sees and f"{strong['accuracy']:.1%}" in caption.sees
    )
    assert caption.counts == "n = 600 completions of 100 problems each; cut: 0.0%."
    cut = sweep.assign(truncation_rate=[0.0, 0.25, 0.5])
    said = plots_phase2.plot_subset_sweep_comparison(cut, margin=0.1).caption.counts
    assert said.endswith("cut: 0.0–50.0%.")


def test_scale_tradeoff_orders_scales_and_ends_at_the_untouched_model(sweep):
    table = sweep.assign(subset_name=["baseline", "late", "late"], scale=[np.nan, 0.0, 0.5])
    figure = plots_phase2.plot_scale_tradeoff_curve(table.drop(columns="arm"), margin=0.1)
    line = figure.axes[0].lines[0]
    assert line.get_xdata().tolist() == [0.0, 0.5, 1.0]
    left, right = figure.axes[0].get_xlim()
    assert left > right, "as in the figure of the onset step, the dose grows to the right"
    heights = {text.get_text(): text.xy[1] for text in figure.axes[0].texts}
    assert heights["backtracking"] == line.get_ydata()[0], "a name stands at the end that it is beside"
    assert line.get_ydata().tolist() == pytest.approx(table["backtracking_rate"].iloc[[1, 2, 0]].tolist())
    assert {text.get_text() for text in figure.axes[1].texts} == {"baseline", "×0", "×0.5"}
    assert {text.get_text() for text in figure.axes[0].texts} == {
        "backtracking",
        "accuracy",
        "cut",
    }


def test_rates_without_intervals_are_drawn_without_them():
    table = pd.DataFrame(
        {"variant": ["a", "b"], "total": [10, 20], "backtracking_rate": [0.5, 0.25], "accuracy": [0.9, 0.8]}
    )
    figure = plots.plot_backtracking_rate_by_variant(table)
    assert len(figure.axes) == 2, "no truncation in the table, no truncation in the figure"
    assert [x for x, _ in _dots(figure.axes[0])] == [0.5, 0.25]
    assert all(low == high for low, high in _spans(figure.axes[0]))
    assert figure.caption.counts == "n = 10–20 completions each."


def test_formatting_states_changes_in_points():
    table = pd.DataFrame({"variant": ["a", "b"], "total": [10, 10], "backtracking_rate": [0.6, 0.25]})
    axes = plots.plot_formatting_effect_on_backtracking(table, width=3.25).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a\n60%", "b\n25% (−35 points)"]
    assert not axes.texts, "nothing is written where the first format's line passes"


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
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["at the onset (n = 7)", "at a matched control (n = 5)"]
    assert "from 0.80 to 0.10 at scale 0." in figure.caption.sees


def test_model_text_in_figures_is_plain(tmp_path):
    summary = pd.DataFrame({"arm": ["x"], "specificity_index": [2.0]})
    replaced = pd.DataFrame(
        {"arm": ["x"], "baseline_text": ["$\\frac{"], "new_text": ["\x00\n"], "count": [1], "share": [1.0]}
    )
    paths = RunPaths(tmp_path / "runs", "r")
    save.save(paths, FIGURE, lambda width: plots_leaks.plot_first_divergences(summary, replaced, width=width))
    assert "$\\frac{ → \ufffd⏎" in FIGURE.svg(paths).read_text()


FLOW = pd.DataFrame(
    {
        "arm": ["baseline"] + ["a"] * 4 + ["b"],
        "baseline_fate": ["marked", "marked", "marked", "silent", "silent", "marked"],
        "fate": ["marked", "marked", "wrong", "wrong", "silent", "wrong"],
        "count": [4, 2, 1, 1, 0, 4],
        "total": [4] * 6,
        "share": [1.0, 0.5, 0.25, 0.25, 0.0, 1.0],
    }
)


def test_every_arm_is_one_full_bar_of_fates():
    """The baseline first, then by how many corrections are still said; the fates of a bar add up to 1."""
    figure = plots_leaks.plot_correction_flow(FLOW)
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["baseline", "a", "b"]
    widths: dict[float, list[float]] = {}
    for bar in axes.patches:
        widths.setdefault(round(bar.get_y() + bar.get_height() / 2, 3), []).append(bar.get_width())
    assert widths == {2.0: [1, 0, 0, 0, 0], 1.0: [0.5, 0, 0, 0.5, 0], 0.0: [0, 0, 0, 1, 0]}
    assert (
        "`b` has the fewest spoken corrections: 0%" in figure.caption.sees
        and "100% end wrong" in figure.caption.sees
    )


def test_ties_are_no_superlatives():
    """Arms that all do alike, or like the baseline, have no first among them."""
    nothing = FLOW.assign(share=0.0)
    assert "No arm has fewer spoken" in plots_leaks.plot_correction_flow(nothing).caption.sees
    both = FLOW.assign(share=[1.0, 0.0, 0.5, 0.5, 0.0, 1.0])
    assert (
        "2 arms tie for the fewest spoken corrections: 0%"
        in plots_leaks.plot_correction_flow(both).caption.sees
    )
    none_replaced = pd.DataFrame({"arm": [], "baseline_text": [], "new_text": [], "count": [], "share": []})

    def said(*index):
        summary = pd.DataFrame({"arm": [f"a_{k}" for k in range(len(index))], "specificity_index": index})
        return plots_leaks.plot_first_divergences(summary, none_replaced).caption

    assert said(0.0, 0.0).sees == "No arm's first change hits a trigger."
    assert said(2.0, 2.0).sees == "2 arms tie in hitting triggers most: index 2.00."
    assert said(1.0, 2.0).sees == "`a_1` hits triggers most: index 2.00."
    assert "intervals" not in str(said(1.0, 2.0))


def test_one_pair_of_components_is_a_sentence():
    pair = {
        "component_a": ["attn"], "layer_a": [5], "component_b": ["mlp"], "layer_b": [4], "lost_a": [2.44],
        "lost_b": [0.28], "lost_together": [1.93], "interaction": [-0.79], "kind": ["sub-additive"],
    }  # fmt: skip
    with pytest.raises(NothingToShow) as why:
        circuit.plot_interactions(pd.DataFrame(pair))
    assert str(why.value) == (
        "Removed together, attn 5 and mlp 4 take 1.93 of log-odds; alone 2.44 and 0.28. "
        "The interaction is −0.79: sub-additive"
    )


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
    with pytest.raises(NothingToShow, match=r"\w"):
        draw(pd.DataFrame())


def test_save_writes_the_run_and_the_copy_with_equal_bytes(tmp_path, sweep):
    paths = RunPaths(tmp_path / "runs", "r")
    for _ in range(2):
        save.save(paths, SUBSETS_FIGURE, lambda width: _sweep(sweep, width))
    copy = paths.proposal_figure("phase2_subset_sweep")
    assert copy.read_bytes() == paths.figure("phase2_subset_sweep").read_bytes()
    assert copy.parent == tmp_path / "figures/r"
    assert not list(copy.parent.glob(".*"))
    card = json.loads(SUBSETS_FIGURE.card(paths).read_text())
    assert card["caption"] == str(_sweep(sweep, COLUMN).caption)


def test_a_figure_that_has_become_empty_is_taken_away(tmp_path, sweep):
    paths = RunPaths(tmp_path / "runs", "r")
    for table in (sweep, sweep.head(1)):
        save.save(paths, SUBSETS_FIGURE, lambda width, table=table: _sweep(table, width))
    assert [path.suffix for path in paths.figures.iterdir()] == [".json"]
    assert json.loads(SUBSETS_FIGURE.card(paths).read_text()) == {"nothing": plots_phase2.NO_ARMS}
    assert not paths.proposal_figure(SUBSETS_FIGURE.stem).exists()


def _sweep(table, width):
    return plots_phase2.plot_subset_sweep_comparison(table, width=width)


def test_the_index_says_which_run_each_folder_belongs_to(tmp_path, sweep):
    def draw(figure, run):
        save.save(run, figure, lambda width: _sweep(sweep, width))

    for name in ("first", "damaged", "gone"):
        paths = RunPaths(tmp_path / "runs", name)
        paths.root.mkdir(parents=True)
        meta = RunMeta(name, f"study of | {name}", "2031-01-02T03:04:05+00:00", "", name * 4, {}, {})
        meta.save(paths.meta)
        draw(SUBSETS_FIGURE, paths)
    RunPaths(tmp_path / "runs", "damaged").meta.write_text("{")
    RunPaths(tmp_path / "runs", "gone").meta.unlink()
    draw(FIGURE, RunPaths(tmp_path / "runs", "first"))
    lines = (tmp_path / "figures/index.md").read_text().splitlines()[-3:]
    link = "[phase2_subset_sweep]({}/phase2_subset_sweep.png)"
    assert lines == [
        f"| damaged | (its meta.json cannot be read) |  |  | {link.format('damaged')} |",
        f"| first | study of \\| first | firstfirstfi | 2031-01-02 03:04 | [b](first/b.png), "
        f"{link.format('first')} |",
        f"| gone | (the run is gone) |  |  | {link.format('gone')} |",
    ]


def test_figures_and_reports_need_no_torch_and_leave_matplotlib_alone():
    code = (
        "import matplotlib, sys\n"
        "settings = lambda: {k: matplotlib.rcParams[k] for k in matplotlib.rcParams if k != 'backend'}\n"
        "before = settings()\n"
        "import backtracking.reports.write, backtracking.figures.catalogue, pandas\n"
        "table = pandas.DataFrame({'variant': ['a'], 'total': [1], 'backtracking_rate': [0.5]})\n"
        "backtracking.figures.phase1.plot_backtracking_rate_by_variant(table)\n"
        "assert 'torch' not in sys.modules and 'matplotlib.pyplot' not in sys.modules\n"
        "assert settings() == before\n"
    )
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr


def test_needless_checks_are_seen_beside_errors_noticed(sweep):
    """A panel for each of what arms are judged by, with every arm at its own rate."""
    rates = {"onset_after_wrong": [0.9, 0.5, 0.4], "onset_after_right": [0.04, 0.05, 0.13]}
    ends = {f"{name}_{end}": values for name, values in rates.items() for end in ("low", "high")}
    checked = sweep.assign(judged_on="onset_after_wrong", **rates, **ends)
    for figure in (
        plots_leaks.plot_choice(checked, checked.head(0), 0.05),
        plots_phase2.plot_scale_tradeoff_curve(checked.assign(scale=[1.0, 0.0, 0.5]), 0.05),
    ):
        for name, label in (
            ("onset_after_wrong", "P(onset | wrong step)"),
            ("onset_after_right", "P(onset | right step)"),
        ):
            (panel,) = (ax for ax in figure.axes if ax.get_xlabel() == label)
            assert sorted(x for x, _ in _dots(panel)) == sorted(rates[name])
    assert len(plots_leaks.plot_choice(sweep, sweep.head(0), 0.05).axes) == 1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("count", [5, 9, 14])
def test_in_a_column_of_a_paper_a_figure_of_many_arms_fits_its_page(count):
    arms = {f"attn_last_at_sentences_x0.{index}": (0.5, 0.8) for index in range(count)}
    table = sweep_table({"baseline": (0.6, 0.85)} | arms, problems=20, samples=2)
    rates = {
        f"onset_after_{kind}{end}": table[f"backtracking_rate{end}"]
        for kind in ("wrong", "right")
        for end in ("", "_low", "_high")
    }
    table = table.assign(judged_on="onset_after_wrong", **rates)
    steps = {"subset_name": ["baseline", *["late"] * count], "scale": [np.nan, *np.linspace(0.0, 0.9, count)]}
    scales = table.assign(**steps)
    for figure in (
        plots_phase2.plot_subset_sweep_comparison(table, width=3.25),
        plots_phase2.plot_scale_tradeoff_curve(scales, width=3.25),
    ):
        assert len(figure.axes) >= 4
        assert figure.get_figheight() <= 9.2
        assert min(axes.get_position().width * 3.25 for axes in figure.axes) > 0.35, "panels have room"
