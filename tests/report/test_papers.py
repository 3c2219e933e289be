"""`backtracking figures`: every figure of a run at a paper's width, captions beside, what is empty said."""

import re

import pytest

from backtracking.cli.figures import figures
from backtracking.errors import UserError
from backtracking.figures.papers import CAPTIONS, write_figures
from backtracking.run.meta import RunMeta
from backtracking.run.paths import RunPaths
from tests.report.big_study import flow_table, pairs_table, prefixes_table
from tests.report.tables import run_paths


@pytest.fixture
def paths(tmp_path):
    tables = {"correction_flow": flow_table(), "pair_interactions": pairs_table().head(1)}
    paths = run_paths(tmp_path, **tables, fixed_prefixes=prefixes_table())
    RunMeta("test", "a study", "2031-01-02T03:04:05+00:00", "", "0" * 12, {}, {}).save(paths.meta)
    return paths


def test_a_pdf_has_the_width_that_was_asked_for(paths, tmp_path, capsys):
    figures(str(paths.root), "pdf", 3.25, tmp_path / "paper", quiet=False)
    made = sorted(path.name for path in (tmp_path / "paper").iterdir())
    assert made == [CAPTIONS, "fixed_prefixes.pdf", "phase2_correction_flow.pdf"]
    page = (tmp_path / "paper/phase2_correction_flow.pdf").read_bytes()
    box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+)", page)
    assert box is not None and float(box[1]) == pytest.approx(3.25 * 72)
    assert b"/TrueType" in page or b"/CIDFontType2" in page, "text is text, with its font"
    captions = (tmp_path / "paper" / CAPTIONS).read_text()
    assert captions.startswith("**fixed_prefixes.pdf**: The same 90 prefixes under every arm.")
    told = capsys.readouterr().out
    assert "component_interactions: not drawn: Removed together, attn 20 and attn 21 take 1.50" in told
    assert "2 figures, 3.25 in wide" in told


def test_a_png_has_300_dots_an_inch(paths):
    written = write_figures(paths, paths.root / "out", "png", 3.25)
    header = written.files[0].read_bytes()[:24]
    assert int.from_bytes(header[16:20], "big") == 975


def test_what_is_drawn_again_is_the_same(paths):
    first, second = (
        [path.read_bytes() for path in write_figures(paths, paths.root / name, form, 3.25).files]
        for name in ("one", "two")
        for form in ("pdf",)
    )
    assert first == second


def test_by_default_they_lie_beside_the_run_s_figures(paths):
    figures(str(paths.root), "svg", 7.0, None, quiet=True)
    made = paths.proposal_figures / "svg_7in"
    assert sorted(path.suffix for path in made.iterdir()) == [".md", ".svg", ".svg"]


def test_a_run_without_results_is_refused(tmp_path):
    bare = RunPaths(tmp_path / "runs", "bare")
    bare.root.mkdir(parents=True)
    RunMeta("bare", "a study", "2031-01-02T03:04:05+00:00", "", "0" * 12, {}, {}).save(bare.meta)
    with pytest.raises(UserError, match="no results to draw"):
        figures(str(bare.root), "pdf", 3.25, None, quiet=False)


def test_where_errors_alone_are_asked_for_nothing_is_printed(paths, tmp_path, capsys):
    figures(str(paths.root), "svg", 7.0, tmp_path / "out", quiet=True)
    assert list((tmp_path / "out").glob("*.svg")) and capsys.readouterr().out == ""
