"""Reports in a real browser, and their links: each leads to the rows that its number counts."""

import os
import re
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from backtracking.api.runs import open_run
from backtracking.explore.explorer import Explorer
from backtracking.explore.links import ADDRESS
from backtracking.explore.queries import Query, matching_rows
from backtracking.measurements.specificity import FATES
from tests.explore.conftest import serving, type_command
from tests.explore.looks import FAINT_TEXT, NAMELESS
from tests.explore.visit import NARROW, WIDE

COMMANDS = (
    ("metrics-v2", "--run-id", "demo-phase2"),
    ("phase2-confirm", "--run-id", "demo-phase2"),
    ("formatting-sweep", "--run-id", "demo"),
    ("make-report", "--run-id", "demo"),
    ("make-report-phase2", "--run-id", "demo-phase2"),
)
REPORTS = {
    "demo": "backtracking_state_transition_report.html",
    "demo-phase2": "backtracking_phase2_report.html",
}
SHARES = (
    "Backtracking", "Doubt", "Redo", "Accuracy", "Cut", "No answer", "Completions that part",
)  # fmt: skip
EXACTLY = ("Completions", "Graded", "Baseline without onset")
PREFIX_SHARES = {
    "P(onset | injected error)", "P(onset | right step)", "Ends right after the error",
    "Ends right after the right step", "Cut", "An onset follows", "Ends right",
}  # fmt: skip
WITHOUT_ROWS = {
    "a test of the number beside it": {"p (Holm)", "p (Holm, by selectivity)"},
    "passes of the model over prefixes and positions, not completions": {
        "Rewrites",
        "Change (nats)",
        "Above harmless rewrites (nats)",
        "Share raised",
        "Share of the gap moved",
        "Pairs",
        "Problems",
        "Δ onset logit",
        "Δ log-odds of the triggers",
        "Δ share of its word (log)",
        "KL at controls (nats)",
        "Selectivity",
        "Layer",
        "AUROC of the direction",
        "The probe there",
        "The probe, shuffled labels",
        "Position alone",
        "Positions tested",
        "Scale",
        "Positions",
        "P(onset token)",
        "P(its family)",
        "P(other families)",
        "Entropy (nats)",
        "KL (nats)",
        "KL per token (nats)",
        "Continuations",
        "Onset at once",
        "Onset later",
        "Onset at all",
    },
    "signs that no filter of the explorer finds": {"Empty", "Non-ASCII bursts"},
    "what an arm is, not what came of it": {"Components"},
    "no filter of the explorer counts them": {"Empty", "Non-ASCII bursts"},
    "the run itself": {"Value", "Finished", "Seconds", "Rows"},
}
"""Heads of columns whose numbers lead to no rows, by why."""
UNFOLD = "document.querySelectorAll('details').forEach((one) => { one.open = true; })"
FATE_HEADS = {fate.text.capitalize() for fate in FATES}


@pytest.fixture(scope="module")
def reported(folder):
    """The folder of both runs, with their reports."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        for command in COMMANDS:
            type_command(*command)
    finally:
        os.chdir(before)
    return folder


def page_of(folder, run):
    return folder / "runs" / run / "reports" / REPORTS[run]


class Tables(HTMLParser):
    """The tables of a page: heads, and rows of (text, link)."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.heads, self.row, self.is_head = [], [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "table":
            self.heads = []
            self.tables.append((self.heads, []))
        elif tag in ("th", "td"):
            self.is_head = attrs.get("scope") == "col"
            (self.heads if self.is_head else self.row).append(["", ""])
        elif tag == "a" and self.row and not self.is_head:
            self.row[-1][1] = attrs["href"]

    def handle_data(self, data):
        cells = self.heads if self.is_head else self.row
        if cells:
            cells[-1][0] += data

    def handle_endtag(self, tag):
        if tag == "tr" and self.row:
            self.tables[-1][1].append(self.row)
            self.row = []
        elif tag in ("table", "thead"):
            self.is_head = False


def number(text):
    found = re.match(r"\s*([\d,.]+)(%?)", text)
    value = float(found[1].replace(",", ""))
    return value / 100 if found[2] else value


@pytest.mark.parametrize("run", REPORTS)
def test_numbers_lead_to_the_rows_that_they_count(reported, run):
    explorer = Explorer(open_run(reported / "runs" / "demo-phase2").studies())
    index, counted, exactly = explorer.index, 0, 0
    for heads, rows in Tables(page_of(reported, run).read_text()).tables:
        names = [head.strip() for head, _ in heads]
        for row in rows:
            cells = dict(zip(names, row, strict=True))
            corrected = cells.get("Errs, backtracks, ends right", ("", ""))
            for name, (text, link) in cells.items():
                if not link:
                    continue
                if "#prefixes" in link:
                    continue
                assert link.startswith(f"{ADDRESS}#rows?run=")
                found = len(matching_rows(index, Query.parse(link, index)))
                counted += 1
                if name in EXACTLY:
                    assert found == number(text)
                elif name in SHARES and "Completions" in cells and "n =" not in text:
                    total = number(cells["Completions"][0])
                    assert found == pytest.approx(number(text) * total, abs=0.0006 * total), (name, row)
                elif name in FATE_HEADS and corrected[0]:
                    whole = sum(number(cells[head][0]) for head in FATE_HEADS & set(cells))
                    assert whole == pytest.approx(1.0, abs=0.01)
                    assert (found > 0) == (number(text) > 0), (name, row)
                elif name == "At the first onset" or name.startswith("P(onset"):
                    assert (found > 0) == (number(text) > 0), (name, row)
                else:
                    continue
                exactly += 1
    explorer.close()
    assert counted >= exactly > 10


def test_numbers_of_fixed_prefixes_lead_to_the_completions_behind_them(reported):
    explorer, seen = Explorer(open_run(reported / "runs" / "demo-phase2").studies()), 0
    prefixes = explorer.prefixes
    for run in REPORTS:
        for heads, rows in Tables(page_of(reported, run).read_text()).tables:
            names = [head.strip() for head, _ in heads]
            for row in rows:
                cells = dict(zip(names, row, strict=True))
                shares = {
                    name: cells[name] for name in PREFIX_SHARES & set(names) if "#prefixes" in cells[name][1]
                }
                for name, (text, link) in shares.items():
                    query = Query.parse(link, prefixes)
                    among = Query(
                        {key: query.chosen[key] for key in ("run", "of", "arm", "put") if key in query.chosen}
                    )
                    found, total = (len(matching_rows(prefixes, one)) for one in (query, among))
                    assert found == pytest.approx(number(text) * total, abs=0.0006 * total), (name, row)
                    seen += 1
    explorer.close()
    assert seen >= 10


@pytest.mark.parametrize("run", REPORTS)
def test_every_number_leads_to_rows_or_has_a_reason_not_to(reported, run):
    excused = set().union(*WITHOUT_ROWS.values())
    linked = 0
    for heads, rows in Tables(page_of(reported, run).read_text()).tables:
        for row in rows:
            for (head, _), (text, link) in zip(heads, row, strict=True):
                if not re.match(r"\s*[+−-]?\d", text) or head.strip() in excused:
                    continue
                is_none = head.strip() in FATE_HEADS and text.strip() == "0.0%"
                assert link or is_none, (head, text, row[0])
                linked += bool(link)
    assert linked > 50


def test_a_difference_leads_to_the_rows_of_both_arms(reported):
    explorer = Explorer(open_run(reported / "runs" / "demo-phase2").studies())
    index, seen = explorer.index, 0
    for heads, rows in Tables(page_of(reported, "demo-phase2").read_text()).tables:
        names = [head.strip() for head, _ in heads]
        if "Δ backtracking (points)" not in names or "Role" in names:
            continue
        lines = [dict(zip(names, row, strict=True)) for row in rows]
        totals = {cells["Arm"][0].strip(): number(cells["Completions"][0]) for cells in lines}
        for cells in lines:
            text, link = cells["Δ backtracking (points)"]
            if not link:
                continue
            query = Query.parse(link, index)
            with_onset = Counter(index.name(found)[2] for found in matching_rows(index, query))
            arm = cells["Arm"][0].strip()
            change = 100 * (with_onset[arm] / totals[arm] - with_onset["baseline"] / totals["baseline"])
            assert change == pytest.approx(
                float(re.match(r"[+−-]?[\d.]+", text)[0].replace("−", "-")), abs=0.06
            )
            seen += 1
    explorer.close()
    assert seen


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [NARROW, WIDE], ids=["narrow", "wide"])
@pytest.mark.parametrize("run", REPORTS)
def test_a_report_reads_well_at_this_width_and_in_this_theme(visit, reported, run, viewport, scheme):
    page = visit(viewport=viewport, scheme=scheme).page
    page.goto(page_of(reported, run).as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    page.evaluate(UNFOLD)
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    assert page.evaluate(FAINT_TEXT) == []
    assert page.evaluate(NAMELESS) == []


@pytest.mark.parametrize("run", REPORTS)
def test_a_report_can_be_found_ones_way_in(visit, reported, run):
    page = visit().page
    page.goto(page_of(reported, run).as_uri())
    page.evaluate(UNFOLD)
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map((h) => +h.tagName[1])")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    lost = """() => [...document.querySelectorAll('a[href^="#"]')]
      .filter((a) => !document.getElementById(a.getAttribute('href').slice(1))).map((a) => a.outerHTML)"""
    assert page.evaluate(lost) == []
    twice = """() => { const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
      return ids.filter((id, place) => ids.indexOf(id) !== place); }"""
    assert page.evaluate(twice) == []
    assert page.locator("nav a").count() == page.locator("h2, h3").count()
    for table in page.locator("table").all():
        assert table.locator("caption").inner_text().strip()
        assert table.locator("thead th:not([scope=col])").count() == 0
        assert table.locator("tbody tr > :first-child:not(th[scope=row])").count() == 0
        assert table.locator("thead th:visible").count() <= 10
    for figure in page.locator("figure").all():
        caption = figure.locator("figcaption").inner_text()
        assert len(caption.split(". ", 1)[-1]) > 20, "a sentence says what there is to see"


def test_further_columns_come_when_asked_for(visit, reported):
    page = visit().page
    page.goto(page_of(reported, "demo-phase2").as_uri())
    table = page.locator(".table").filter(has=page.get_by_label("all columns")).first
    before = table.locator("thead th:visible").count()
    table.get_by_label("all columns").check()
    assert table.locator("thead th:visible").count() > before
    assert 8 <= before <= 10


def test_a_number_opens_its_rows_in_the_explorer(visit, reported, tmp_path):
    """A page on disk leads into the served explorer, which other requests from elsewhere do not reach."""
    explorer = Explorer(open_run(reported / "runs" / "demo-phase2").studies())
    with serving(explorer) as address:
        text = page_of(reported, "demo-phase2").read_text().replace(ADDRESS, address)
        (tmp_path / "report.html").write_text(text)
        seen = visit()
        page = seen.page
        page.goto((tmp_path / "report.html").as_uri())
        link = page.locator("td a").first
        wanted = link.get_attribute("href").partition("#")[2]
        link.click()
        page.wait_for_selector("body[data-shown]")
        assert seen.rows() == len(matching_rows(explorer.index, Query.parse(f"#{wanted}", explorer.index)))
    explorer.close()


@pytest.mark.parametrize("run", REPORTS)
def test_a_printed_report_is_light_and_whole(visit, reported, run):
    page = visit(scheme="dark").page
    page.goto(page_of(reported, run).as_uri())
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert page.locator("nav:visible").count() == 0
