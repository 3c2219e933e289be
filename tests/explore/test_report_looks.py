"""How a report looks in a browser: whole at every width that it is read at, and on paper."""

import pytest

from backtracking.reports.columns import Lines
from backtracking.reports.document import Document
from backtracking.reports.render import as_page

RATE = {"x": -68.1, "x_low": -72.9, "x_high": -61.0}
NAME = "What each of the arms changes besides its target, and by how much"
TABLE = """() => {
    const table = document.querySelector("table"), words = document.createRange();
    words.selectNodeContents(table.querySelector("caption span"));
    return {
        over: table.scrollWidth - table.parentElement.clientWidth,
        caption: words.getBoundingClientRect().right - innerWidth,
        heights: [...table.querySelectorAll("td.numbers:not(.further)")]
            .map(one => one.getBoundingClientRect().height),
        title: document.querySelector("h1").getBoundingClientRect().top
            - document.querySelector("nav").getBoundingClientRect().top,
    };
}"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("looks")
    lines = Lines([{"name": "attn_last_at_sentences_x0.5"} | RATE] * 3)
    document = Document("A report")
    document.section("Arms")
    document.table(
        NAME, [lines.names("Arm", "name"), *(lines.plain(f"rate {k}", "x", "+") for k in range(9))]
    )
    file = folder / "report.html"
    file.write_text(as_page(document, folder))
    return file.as_uri()


@pytest.fixture
def look(chromium, page):
    """What a reader has before them at a width, on a screen or on paper."""

    def at(width, media="screen"):
        context = chromium.new_context(viewport={"width": width, "height": 900})
        try:
            shown = context.new_page()
            shown.emulate_media(media=media)
            shown.goto(page)
            return shown.evaluate(TABLE)
        finally:
            context.close()

    return at


def test_no_table_is_cut_off_beside_the_contents(look):
    for width in (1440, 1920):
        assert look(width)["over"] <= 0


def test_on_a_telephone_the_title_comes_first_and_captions_are_whole(look):
    seen = look(390)
    assert seen["caption"] <= 0 and seen["title"] < 0


def test_on_paper_no_interval_is_broken(look):
    seen = look(965, media="print")
    assert seen["over"] <= 0 and len(set(seen["heights"])) == 1
    assert seen["heights"][0] < 40
