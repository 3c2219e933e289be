"""Rendering: what a model wrote stays text, in Markdown and in HTML."""

from html.parser import HTMLParser

import pytest

from backtracking.claims.wording import quoted
from backtracking.reports.document import Document

HOSTILE = [
    "<script>alert(1)</script>",
    "`</code><img src=x onerror=alert(1)>",
    "a | b\n| c",
    "[x](javascript:alert(1))",
    "**bold** ``` fence",
    "\x1b[31m\u202eevil\x00",
    "![x](http://example.org/x.png)",
]


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen = []
        self.text = []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


@pytest.mark.parametrize("text", HOSTILE)
def test_untrusted_text_becomes_no_markup(tmp_path, text):
    document = Document("Title")
    document.say(f"The model wrote {quoted(text)}.")
    document.table(["a", "b"], [[quoted(text), "1"]])
    page = Tags()
    page.feed(document.html(tmp_path))
    tags = [tag for tag, _ in page.seen]
    assert not {"script", "img", "a", "strong"} & set(tags)
    assert tags.count("td") == 2
    row = document.markdown().splitlines()[-1]
    assert row.count("|") == 3, "the cell must not open further columns"
    assert row.count("`") == 2


def test_long_and_odd_text_is_cut_and_made_visible():
    assert len(quoted("x" * 500)) == 82
    assert quoted(" Wait") == "`␣Wait`"
    assert quoted("a\nb") == "`a⏎b`"
    assert "\u202e" not in quoted("\u202eabc")


def test_html_stands_alone(tmp_path):
    (tmp_path / "figure.png").write_bytes(b"\x89PNG")
    document = Document("Title & more")
    document.picture("figure.png", "A <figure>")
    document.say("see **this** and `code` and [there](other.md)")
    page = Tags()
    page.feed(document.html(tmp_path))
    pictures = [attrs for tag, attrs in page.seen if tag == "img"]
    assert pictures[0]["src"].startswith("data:image/png;base64,")
    assert ("a", {"href": "other.md"}) in page.seen
    assert {"strong", "code"} <= {tag for tag, _ in page.seen}
