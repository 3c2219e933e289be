"""All figures of a big study, at both widths: one size of text, no label on another, none beyond the edge."""

import json
import re
from itertools import combinations
from xml.etree import ElementTree

import pytest
from matplotlib.text import Text

from backtracking.artifacts.phase2 import SUBSETS_FIGURE
from backtracking.artifacts.registry import FIGURES
from backtracking.claims.evidence import Evidence
from backtracking.figures import catalogue
from backtracking.figures.caption import NothingToShow
from backtracking.figures.colours import MEANINGFUL, NEUTRAL
from backtracking.figures.style import COLUMN, PAGE, TEXT, style
from backtracking.figures.svg import SCALE, as_svg, linked
from tests.report.big_study import ARMS, write_big_study

SVG = "{http://www.w3.org/2000/svg}"
NEED_ROWS = {
    "backtracking_rate_by_variant", "backtracking_vs_accuracy", "backtracking_rate_by_condition",
    "formatting_effect_on_backtracking", "onset_stability", "error_injection", "phase2_baseline_summary",
}  # fmt: skip
"""Figures of rows that the big study does not have; the tests of the pipeline draw them."""
SHOWN = [figure for figure in FIGURES if figure.stem not in NEED_ROWS]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return Evidence(write_big_study(tmp_path_factory.mktemp("big")))


@pytest.fixture(scope="module")
def drawings(study):
    return {
        (figure.stem, width): catalogue.draw(figure, study, width)
        for figure in SHOWN
        for width in (PAGE, COLUMN)
    }


def shown_texts(figure):
    """Every text that is drawn, with its place; ticks beyond the limits are not drawn."""
    unseen = set()
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
            if not low - 1e-9 <= tick.get_loc() <= high + 1e-9 or not axis.axes.axison:
                unseen |= {tick.label1, tick.label2}
    for text in figure.findobj(Text):
        if text not in unseen and text.get_visible() and text.get_text().strip():
            yield text, Text.get_window_extent(text)  # without the leader of a label


@pytest.mark.parametrize("figure", SHOWN, ids=lambda figure: figure.stem)
@pytest.mark.parametrize("width", [PAGE, COLUMN])
def test_text_has_one_size_and_collides_nowhere(drawings, figure, width):
    drawing = drawings[figure.stem, width]
    assert drawing.get_figwidth() == width
    drawing.draw_without_rendering()
    texts = list(shown_texts(drawing))
    assert texts
    assert {text.get_fontsize() for text, _ in texts} == {TEXT}
    for text, box in texts:
        assert box.x0 >= -0.5 and box.x1 <= drawing.bbox.x1 + 0.5, text.get_text()
    for (one, box), (other, beside) in combinations(texts, 2):
        across = min(box.x1, beside.x1) - max(box.x0, beside.x0)
        up = min(box.y1, beside.y1) - max(box.y0, beside.y0)
        assert across <= 1.0 or up <= 2.5, (one.get_text(), other.get_text())


@pytest.mark.parametrize("figure", SHOWN, ids=lambda figure: figure.stem)
def test_captions_say_what_to_see_how_to_read_it_and_of_how_many(drawings, figure):
    caption = drawings[figure.stem, PAGE].caption
    assert all((caption.title, caption.sees, caption.shows, caption.counts)), caption
    assert "nan" not in str(caption) and not re.search(r"[ \[]-\d", str(caption))
    assert caption == drawings[figure.stem, COLUMN].caption
    for part in (caption.sees, caption.shows, caption.counts):
        assert part.endswith("."), part


def written(drawing, stem):
    with style():
        return as_svg(drawing, stem, drawing.caption.title, str(drawing.caption))


@pytest.mark.parametrize("figure", SHOWN, ids=lambda figure: figure.stem)
def test_svg_follows_the_theme_and_stands_beside_others(drawings, figure):
    pages = [written(drawings[figure.stem, width], f"{figure.stem}-{width:g}") for width in (PAGE, COLUMN)]
    names = []
    for page in pages:
        root = ElementTree.fromstring(page)
        sheet = root.find(f"{SVG}style")
        root.remove(sheet)
        bare = re.sub(
            r"var\(--figure-\w+, #[0-9a-f]{6}\)", "", ElementTree.tostring(root, encoding="unicode")
        )
        assert not re.search(r"#[0-9a-f]{6}\b", bare), "a colour that follows no theme"
        assert set(re.findall(r"font-size: ?([\d.]+)px", bare)) <= {f"{TEXT:g}"}
        assert "<text" in page and "<script" not in page and "<image" not in page
        assert not re.search(r"https?://(?!www\.w3\.org/)", page)
        names += [element.get("id") for element in root.iter() if element.get("id")]
        for reference in re.findall(r"url\(#([^)]+)\)|href=\"#([^\"]+)\"", page):
            assert "".join(reference) in names
    assert len(set(names)) == len(names), "ids are the page's, not the figure's"
    assert all(f"--figure-{colour.name}:{colour.dark}" in pages[0] for colour in (*MEANINGFUL, *NEUTRAL))


def test_the_cells_of_a_heatmap_have_no_seams(drawings):
    page = written(drawings["ablation_heads", PAGE], "heads")
    assert page.count('shape-rendering="crispEdges"') == 4, "two panels and their scales"


def test_svg_is_shown_at_one_scale(drawings):
    for width in (PAGE, COLUMN):
        root = ElementTree.fromstring(written(drawings[SUBSETS_FIGURE.stem, width], "x"))
        assert int(root.get("width")) == round(width * 96 * SCALE)
        assert root.findtext(f"{SVG}title") == "Every arm beside the baseline"


@pytest.mark.parametrize(
    "stem", ["phase2_subset_sweep", "phase2_choice", "phase2_correction_flow", "fixed_prefixes"]
)
def test_every_point_leads_to_its_arm(drawings, stem):
    page = written(drawings[stem, PAGE], stem)
    linked_page = linked(page, lambda arm: None if arm == "baseline" else f"explore#rows?arm={arm}")
    links = {link.get("href") for link in ElementTree.fromstring(linked_page).iter(f"{SVG}a")}
    assert links == {f"explore#rows?arm={arm}" for arm in ARMS}
    assert 'data-arm="baseline"' in linked_page


def test_a_run_without_tables_says_what_to_run(tmp_path):
    from backtracking.run.paths import RunPaths

    paths = RunPaths(tmp_path / "runs", "bare")
    catalogue.write(paths, SUBSETS_FIGURE)
    said = json.loads(SUBSETS_FIGURE.card(paths).read_text())
    assert said == {"nothing": "Missing: subset_sweep_results.csv. Run: backtracking phase2-subset-sweep"}
    with pytest.raises(NothingToShow):
        catalogue.draw(SUBSETS_FIGURE, Evidence(paths), PAGE)
