"""The pages in a real browser: filters, the paired view, keys, both widths and themes, hostile text."""

import json
import math
import re
import shutil
from pathlib import Path

import pytest

from backtracking.api.runs import open_run
from backtracking.explore import export as exporting
from backtracking.explore.explorer import Explorer
from backtracking.explore.links import row_link, rows_link
from backtracking.explore.queries import Query, counts, matching_rows
from tests.explore.conftest import serving
from tests.explore.looks import FAINT_TEXT, NAMELESS
from tests.explore.visit import NARROW, WIDE


@pytest.fixture(scope="module")
def lost(explorer):
    """A row of an arm that stops a correction."""
    index = explorer.index
    link = rows_link(run="demo-phase2", arm="no_trigger_tokens", was="marked", fate="wrong", parts="at")
    run, variant, arm, example, sample = index.name(matching_rows(index, Query.parse(link, index))[0])
    return row_link(run, variant, arm, example, int(sample))


def test_filters_count_as_the_queries_do(visit, address, explorer):
    seen, index = visit(), explorer.index
    page = seen.open(address)
    assert seen.rows() == len(index)
    page.get_by_label("demo-phase2", exact=False).first.check()
    page.locator("#answer-wrong").check()
    page.locator("#kind-strict").check()
    page.locator("#after-wrong").check()
    query = Query.parse(page.evaluate("location.hash"), index)
    assert query.chosen == {
        "run": {"demo-phase2"}, "answer": {"wrong"}, "kind": {"strict"}, "after": {"wrong"}
    }  # fmt: skip
    assert seen.rows() == len(matching_rows(index, query))
    expected = counts(index, query)
    for key in ("answer", "arm", "kind", "after", "region", "steps", "parts"):
        for value, number in expected[key].items():
            shown = page.locator(f'[id="{key}-{value}"] ~ .option-count')
            if shown.count():
                assert int(shown.inner_text().replace(",", "")) == number, (key, value)
            else:
                assert number == 0, (key, value)
    page.locator("#kind-strict").uncheck()
    page.get_by_text("clear filters").click()
    assert seen.rows() == len(index)


def test_the_address_brings_the_same_rows_back(visit, address, explorer):
    link = rows_link(run="demo", kind=["strict", "redo"], q="wait") + "&sort=long"
    having = explorer.texts.having("wait")
    wanted = matching_rows(explorer.index, Query.parse(link, explorer.index), having)
    seen = visit()
    page = seen.open(address, link)
    assert seen.rows() == len(wanted) > 0
    first = int(page.locator(".row").first.get_attribute("data-row"))
    assert first == max(wanted, key=lambda number: (explorer.index.columns["tokens"][number], -number))
    page.locator("#search").fill("hold on")
    seen.until("hold")
    query = Query.parse(page.evaluate("location.hash"), explorer.index)
    assert seen.rows() == len(matching_rows(explorer.index, query, explorer.texts.having("hold on")))


def test_a_trace_shows_what_was_found_in_it(visit, address, explorer):
    index = explorer.index
    chosen = Query.parse(rows_link(run="demo", arm="baseline", fate="marked"), index)
    number = matching_rows(index, chosen)[0]
    row = explorer.row_json(number)
    page = visit().open(address, row_link(*row["name"][:4], int(row["name"][4])))
    text = page.locator(".single .text[aria-label=completion]")
    said = "".join(text.locator(".token").all_inner_texts())
    assert said == row["text"]
    assert page.locator(".sign.wrong").count() == sum(not step["right"] for step in row["steps"])
    assert page.locator(".sign.right").count() == sum(step["right"] for step in row["steps"])
    assert (
        "".join(page.locator(".text .token.graded").all_inner_texts())
        == row["text"][row["answer"]["start"] : row["answer"]["end"]]
    )
    assert "".join(page.locator(".text .token.closing").all_inner_texts()) == "</think>"
    token = row["onsets"][0]["token"]
    page.locator(f'.token[data-token="{token}"]').first.hover()
    told = page.locator(".token-info").inner_text()
    assert f"token {token} · id {row['tokens']['ids'][token]} ·" in told and " p = " in told
    assert page.get_by_text(f"by rule {row['answer']['rule']}").count() == 1
    assert page.get_by_role("button", name="onset 1 of").count() == 1
    samples = page.get_by_role("navigation", name="samples of this problem").get_by_role("link")
    columns = ("run", "variant", "arm", "example")
    same = [
        n for n in range(len(index)) if all(index.columns[c][n] == index.columns[c][number] for c in columns)
    ]
    assert samples.count() == len(same) > 1


def test_an_arm_stands_beside_its_baseline(visit, address, explorer, lost):
    page = visit().open(address, lost)
    page.get_by_role("button", name="beside the baseline").click()
    page.wait_for_selector(".pair")
    number = int(page.locator('.row[aria-selected="true"]').get_attribute("data-row"))
    row = explorer.row_json(number)
    base = explorer.row_json(explorer.index.columns["baseline"][number])
    card = page.locator(".parting-card").inner_text()
    assert f"part at token {row['pair']['step']}" in card
    step, chances = row["pair"]["step"], row["pair"]["chances"]
    for side, name in ((row, "new_prob_arm"), (base, "old_prob")):
        assert f"id {side['tokens']['ids'][step]}" in card
        assert chances[name] == pytest.approx(math.exp(side["tokens"]["logprobs"][step]), rel=1e-4)
    for chance in chances.values():
        assert page.evaluate("(chance) => chance.toPrecision(3)", chance) in card
    shared = "".join(page.locator(".pair-line.shared .token").all_inner_texts())
    for side, name in ((base, "baseline"), (row, "own")):
        own = "".join(page.locator(f'.pair-line:not(.shared) [data-side="{name}"] .token').all_inner_texts())
        assert shared + own == side["text"]
    assert page.locator(".parts-here").count() == 2
    assert page.locator(".taken.missed, .taken.silent").count() >= 1
    dim = "".join(page.locator('[data-side="own"] .token.dim').all_inner_texts())
    assert dim == row["text"][: row["pair"]["arm_at"]]


def test_from_the_baseline_any_arm_is_set_beside_it(visit, address, explorer):
    name = ("demo-phase2", "baseline_think_newline", "baseline", "tiny-test-00001", 0)
    seen = visit()
    page = seen.open(address, row_link(*name))
    arms = page.locator("#arm-of-row option").all_inner_texts()
    assert arms[0] == "baseline" and "attn_last_x0" in " ".join(arms)
    page.locator("#arm-of-row").select_option(label=arms[-1])
    seen.until("pair=1")
    assert arms[-1] in page.evaluate("location.hash")
    assert page.locator(".pair").count() == 1


def test_everything_can_be_done_from_the_keys(visit, address, explorer, lost):
    seen = visit()
    page = seen.open(address, rows_link(run="demo", kind="strict"))
    page.keyboard.press("j")
    page.wait_for_selector(".trace-head")
    first = page.evaluate("location.hash")
    page.keyboard.press("j")
    seen.until(first, wanted=False)
    page.keyboard.press("k")
    seen.until(first)
    page.keyboard.press("]")
    page.wait_for_selector(".onset h3")
    assert "onset=0" in page.evaluate("location.hash")
    page.keyboard.press("[")
    assert page.locator('.onset-tag[aria-current="true"]').count() == 1
    page.keyboard.press("?")
    assert page.get_by_role("dialog").is_visible()
    page.keyboard.press("Escape")
    assert not page.get_by_role("dialog").is_visible()
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.type("jjj")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    seen.until("row=", wanted=False)
    page.keyboard.press("a")
    page.wait_for_selector(".arms table, .arms")
    seen.go(lost)
    page.wait_for_selector(".trace-head")
    page.keyboard.press("b")
    page.wait_for_selector(".pair")
    page.locator('[data-side="own"]').last.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator(".token-info").inner_text().startswith("token ")


def test_numbers_of_the_arms_lead_to_their_rows(visit, address, explorer):
    seen = visit()
    page = seen.open(address, "#arms?run=demo-phase2")
    line = page.locator("tbody tr").first
    assert line.locator("th").inner_text().startswith(("no_trigger_tokens", "attn_last_x0"))
    for place in range(line.locator("td a").count()):
        link = page.locator("tbody tr").first.locator("td a").nth(place)
        number = int(re.match(r"[\d,]+", link.inner_text())[0].replace(",", ""))
        target = link.get_attribute("href")
        assert number == len(matching_rows(explorer.index, Query.parse(target, explorer.index)))
    seen.go(target)
    assert seen.rows() == number


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["1440", "390"])
def test_every_view_fits_and_can_be_read(visit, address, lost, viewport, scheme):
    seen = visit(viewport=viewport, scheme=scheme)
    page = seen.open(address)
    for link in ("#rows?run=demo-phase2", f"{lost}&onset=0", f"{lost}&pair=1", "#arms"):
        seen.go(link)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), link
        assert page.evaluate(FAINT_TEXT) == [], link
    assert page.evaluate(NAMELESS) == []


def test_a_narrow_page_goes_between_list_and_row(visit, address):
    seen = visit(viewport=NARROW)
    page = seen.open(address, "#rows?run=demo")
    assert not page.locator(".main").is_visible()
    page.locator(".row").nth(1).click()
    page.wait_for_selector(".trace-head")
    assert not page.locator(".list").is_visible()
    page.get_by_role("button", name="← Rows").click()
    page.wait_for_selector(".list", state="visible")
    page.locator(".drawer summary").click()
    assert page.locator("#answer-wrong").is_visible()


def test_an_exported_page_opens_from_disk(visit, explorer, tmp_path, lost):
    index = explorer.index
    chosen = matching_rows(index, Query.parse(rows_link(run="demo-phase2"), index))
    done = exporting.export(explorer, tmp_path / "page.html", chosen)
    seen = visit()
    page = seen.open((tmp_path / "page.html").as_uri(), "#rows?arm=no_trigger_tokens&q=WAIT")
    wanted = matching_rows(
        index,
        Query.parse("#rows?arm=no_trigger_tokens&run=demo-phase2", index),
        explorer.texts.having("wait"),
    )
    assert seen.rows() == len(wanted)
    seen.go("#rows")
    assert seen.rows() == done.rows
    seen.go(f"{lost}&pair=1")
    page.wait_for_selector(".pair")
    assert page.locator(".parts-here").count() == 2


HOSTILE = (
    "<script>document.title='owned'</script><img src=x onerror=alert(1)>",
    "\u202egnitirw desrever\u202c, \u2066isolated\u2069, zero\u200bwidth",
    "NUL \0 and bell \x07 and lone \ud800 surrogate \udc00.",
    "]]>--></style></pre><svg onload=alert(2)> &lt;b&gt; javascript:alert(3)",
    "\n".join("🧮 2 + 2 = 5. Wait, 2 + 2 = 4." for _ in range(5)),
)


@pytest.fixture
def hostile(folder, tmp_path):
    """A run from elsewhere whose problems and completions attack the page."""
    from tests.explore.conftest import type_command

    lines = [{"prompt": text, "completion": f"{text}\nFinal: 4", "answer": "4"} for text in HOSTILE]
    (tmp_path / "hostile.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        type_command("import-traces", "hostile.jsonl", "--quiet")
    opened = Explorer(open_run(tmp_path / "runs" / "hostile").studies())
    yield opened
    opened.close()
    shutil.rmtree(tmp_path / "runs")


GOLDLESS = {"prompt": "4 + 1?", "completion": "Wait, 4 + 1 = 5."}
UNENDED, ENDED, CUT = (
    {"prompt": "1 + 1?", "completion": "1 + 1 = 2.", "answer": "2"},
    {"prompt": "2 + 1?", "completion": "2 + 1 = 3.", "answer": "3", "finish_reason": "stop"},
    {"prompt": "3 + 1?", "completion": "<think>\n3 + 1", "answer": "4"},
)


@pytest.mark.parametrize(
    ("traces", "cut"),
    [([UNENDED] * 2, "—"), ([GOLDLESS] * 2, "—"), ([ENDED] * 2, "0"), ([ENDED, UNENDED, CUT], "150%")],
)
def test_of_traces_whose_end_nobody_says_no_page_says_it(visit, tmp_path, monkeypatch, traces, cut):
    from tests.explore.conftest import type_command

    monkeypatch.chdir(tmp_path)
    Path("ends.jsonl").write_text("\n".join(map(json.dumps, traces)))
    type_command("import-traces", "ends.jsonl", "--quiet")
    opened = Explorer(open_run(tmp_path / "runs" / "ends").studies())
    said = {id(UNENDED): "not known how", id(ENDED): "ended by itself", id(CUT): "cut"}
    said[id(GOLDLESS)] = said[id(UNENDED)]
    with serving(opened) as address:
        seen = visit()
        page = seen.open(address)
        shown = set()
        for number in range(len(traces)):
            *place, sample = opened.index.name(number)
            seen.go(row_link(*place, int(sample)))
            text = page.locator(".trace-head .facts").inner_text()
            shown |= {words for words in said.values() if words in text}
        assert shown == {said[id(trace)] for trace in traces}
        assert "ends wrong" not in page.locator("body").inner_text()
        seen.go("#arms")
        heads = page.locator(".arms th[scope=col]").all_inner_texts()
        cells = page.locator(".arms tbody tr").first.locator("th, td").all_inner_texts()
        assert re.sub(r"\s", "", cells[heads.index("cut")]) == cut
    opened.close()


def test_hostile_text_stays_text(visit, hostile, tmp_path):
    page_file = tmp_path / "page.html"
    exporting.export(hostile, page_file, range(len(hostile.index)))
    with serving(hostile) as address:
        for place in (address, page_file.as_uri()):
            seen = visit()
            page = seen.open(place)
            assert seen.rows() == len(HOSTILE)
            for number in range(len(HOSTILE)):
                page.keyboard.press("j")
                seen.until("row=")
                assert page.locator('.row[aria-selected="true"]').count() == 1
                row = hostile.row_json(
                    int(page.locator('.row[aria-selected="true"]').get_attribute("data-row"))
                )
                shown = page.locator(".text[aria-label=completion]").evaluate(
                    "e => e.querySelectorAll('script, img, svg').length"
                )
                assert shown == 0 and number >= 0
                assert page.title() != "owned"
                hidden = page.locator(".text[aria-label=completion] .hidden-character").count()
                assert hidden == len(
                    re.findall("[\0\x07\u202a-\u202e\u2066-\u2069\u200b\ud800-\udfff]", row["text"])
                )
