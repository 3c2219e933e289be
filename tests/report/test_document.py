"""Rendering: what a model wrote stays text, in Markdown and in HTML."""

from html.parser import HTMLParser

import pytest

from backtracking.claims.wording import quoted
from backtracking.reports.columns import Cell, Column, Lines
from backtracking.reports.document import SHOWN_COLUMNS, SHOWN_LETTERS, Document, ReportPicture, ReportTable
from backtracking.reports.drawings import drawing
from backtracking.reports.render import as_markdown, as_page, inline

HOSTILE = [
    "<script>alert(1)</script>",
    "`</code><img src=x onerror=alert(1)>",
    "a | b\n| c",
    "[x](javascript:alert(1))",
    "**bold** ``` fence",
    "\x1b[31m\u202eevil\x00",
    "![x](http://example.org/x.png)",
    "{{ 7 * 7 }}{% for x in y %}",
]
NOT_OF_THE_PAGE = {"script", "img", "a", "strong"}


class Tags(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.seen = []
        self.feed(page.partition('<main id="report">')[2])

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def of(self, tag):
        return [attrs for seen, attrs in self.seen if seen == tag]


def names(*texts):
    return Lines([{"name": text} for text in texts]).names("Name", "name")


@pytest.mark.parametrize("text", HOSTILE)
def test_untrusted_text_becomes_no_markup(tmp_path, text):
    document = Document("Title")
    document.say(f"The model wrote {quoted(text)}.")
    document.table("A table", [names(text), Column("n", [Cell("1")])])
    page = Tags(as_page(document, tmp_path))
    assert not NOT_OF_THE_PAGE & {tag for tag, _ in page.seen}
    assert len(page.of("td")) == 1
    row = as_markdown(document).splitlines()[-1]
    assert row.count("|") == 3, "the cell must not open further columns"
    assert row.count("`") == 2


def test_text_that_nobody_quoted_becomes_no_markup_either(tmp_path):
    """Titles, heads, names of tables and captions are escaped by the templates themselves."""
    bad = "<img src=x onerror=alert(1)>"
    (tmp_path / "figure.png").write_bytes(b"\x89PNG")
    document = Document(bad)
    document.section(bad)
    document.bullets([bad])
    document.table(bad, [Column(bad, [Cell(bad, f'"{bad}')])], csv=f'"{bad}')
    document.blocks.append(ReportPicture("figure.png", bad, bad))
    with document.folded(bad):
        document.say(bad)
    page = Tags(as_page(document, tmp_path))
    assert [set(attrs) for attrs in page.of("img")] == [{"alt", "src"}], "the figure itself is the only one"


@pytest.mark.parametrize("target", ["javascript:alert(1)", "data:text/html,x", "vbscript:x"])
def test_running_text_links_to_files_and_pages_only(tmp_path, target):
    document = Document("Title")
    document.say(f"[there]({target}) [here](other.md) [page](https://example.org/)")
    page = Tags(as_page(document, tmp_path))
    assert [attrs["href"] for attrs in page.of("a")] == ["other.md", "https://example.org/"]


def test_long_and_odd_text_is_cut_and_made_visible():
    assert len(quoted("x" * 500)) == 82
    assert quoted(" Wait") == "`␣Wait`"
    assert quoted("a\nb") == "`a⏎b`"
    assert "\u202e" not in quoted("\u202eabc")


def test_html_stands_alone(tmp_path):
    (tmp_path / "figure.png").write_bytes(b"\x89PNG")
    document = Document("Title & more")
    document.blocks.append(ReportPicture("figure.png", "A <figure>", "It shows **this**."))
    document.say("see **this** and `code` and [there](other.md)")
    page = Tags(as_page(document, tmp_path))
    assert page.of("img")[0]["src"].startswith("data:image/png;base64,")
    assert page.of("a") == [{"href": "other.md"}]
    assert {"strong", "code"} <= {tag for tag, _ in page.seen}
    assert not {"link", "script", "iframe"} & {tag for tag, _ in page.seen}


DRAWN = (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:x="http://www.w3.org/1999/xlink" width="9" height="9" '
    'onload="alert(1)"><script>alert(1)</script><foreignObject><p>x</p></foreignObject>'
    '<image x:href="http://example.org/x.png"/><image x:href="data:image/png;base64,AAAA"/>'
    '<g data-arm="held" onclick="alert(1)"><path d="M0 0"/></g><g data-arm="gone"><path d="M1 1"/></g></svg>'
)


def test_drawings_stand_in_the_page_and_do_nothing_but_lead_to_rows(tmp_path):
    for ending in ("png", "svg", "narrow.svg"):
        (tmp_path / f"figure.{ending}").write_text(DRAWN)
    document = Document("Title")
    rows = {"held": "http://127.0.0.1:8377/#rows?arm=held"}
    document.blocks.append(ReportPicture("figure.png", "A figure", rows=lambda arm: rows.get(arm, "")))
    page = Tags(as_page(document, tmp_path))
    assert len(page.of("svg")) == 2, "one for wide pages, one for narrow ones"
    assert not {"script", "foreignobject", "img"} & {tag for tag, _ in page.seen}
    assert not [key for _, attrs in page.seen for key in attrs if key.startswith("on")]
    assert len(page.of("image")) == 2 and "example.org" not in as_page(document, tmp_path)
    assert [attrs["href"] for attrs in page.of("a")] == [rows["held"]] * 2


def test_intervals_and_counts_are_not_broken_between_lines():
    assert (
        inline("by −0.5 [−5.6, +4.6] points, n = 1,200 rows [see](x.md)")
        == 'by −0.5 [−5.6,\u00a0+4.6] points, n\u00a0=\u00a01,200 rows <a href="x.md">see</a>'
    )


def test_columns_beyond_the_tenth_wait_and_empty_ones_are_left_out(tmp_path):
    lines = Lines([{"name": "a", "value": 0.5, "nothing": None}])
    many = [lines.plain(f"number {k}", "value") for k in range(12)]
    document = Document("Title")
    document.table("Wide", [lines.names("Name", "name"), lines.plain("nothing", "nothing"), *many])
    page = Tags(as_page(document, tmp_path))
    heads = [attrs.get("class", "") for attrs in page.of("th") if attrs.get("scope") == "col"]
    assert len(heads) == 13
    assert ["further" in name for name in heads] == [False] * SHOWN_COLUMNS + [True] * 3
    assert as_markdown(document).splitlines()[-1].count("|") == SHOWN_COLUMNS + 1


def test_columns_that_do_not_fit_beside_the_contents_wait_too():
    lines = Lines([{"name": "a" * 40, "x": -12.34, "x_low": -23.45, "x_high": -1.23}])
    wide = [lines.plain(f"number {k}", "x") for k in range(8)]
    table = ReportTable("Wide", [lines.names("Name", "name"), *wide])
    assert len(wide[0].cells[0].text) == 19
    assert len(table.shown) == 1 + (SHOWN_LETTERS - 22) // 21 < len(table.columns)


def test_a_column_has_one_precision_and_real_minus_signs():
    lines = Lines([{"x": -1.6612, "x_low": -12.5, "x_high": 0.001}, {"x": 0.01174}, {"x": -0.00012}])
    assert [cell.text for cell in lines.plain("x", "x", "+").cells] == [
        "−1.66 [−12.50, 0.00]",
        "+0.01",
        "0.00",
    ]


def test_headings_lead_where_the_contents_say(tmp_path):
    document = Document("Title")
    for text in ("Findings", "Findings", "H2: `odd` & more?"):
        document.section(text)
    page = as_page(document, tmp_path)
    anchors = [heading.anchor for heading in document.headings]
    assert len(set(anchors)) == 3
    for anchor in anchors:
        assert page.count(f'id="{anchor}"') == 1
        assert f'<li class="level-2"><a href="#{anchor}">' in page


def test_a_damaged_drawing_gives_way_to_its_picture(tmp_path):
    whole = b"<svg><g></g></svg>"
    for name, data in (("f.png", b"picture"), ("f.svg", whole), ("f.narrow.svg", whole)):
        (tmp_path / name).write_bytes(data)
    picture = ReportPicture("f.png", "what it shows")
    assert "<svg" in drawing(tmp_path, picture)
    (tmp_path / "f.narrow.svg").write_bytes(whole[:7])
    assert drawing(tmp_path, picture).startswith("<img")
