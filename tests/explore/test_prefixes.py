"""Completions behind fixed prefixes: what the explorer holds of them is what the tables say."""

import pandas as pd
import pytest

from backtracking.artifacts import phase2
from backtracking.explore.links import prefixes_link
from backtracking.explore.prefixes import PrefixRows
from backtracking.explore.queries import Query, counts, matching_rows
from backtracking.run.paths import RunPaths
from tests.explore.looks import FAINT_TEXT, NAMELESS
from tests.explore.visit import NARROW, WIDE


@pytest.fixture(scope="module")
def table(folder):
    return phase2.FORCED_ERROR_ROWS.read(RunPaths(folder / "runs", "demo-phase2"))


def test_filters_find_what_the_table_holds(explorer, table):
    prefixes = explorer.prefixes
    assert len(prefixes) >= len(table) > 20
    for arm, part in table.groupby("arm"):
        for follows in (True, False):
            said = "yes" if follows else "no"
            link = prefixes_link(run="demo-phase2", of="forced", arm=str(arm), put="injected", follows=said)
            found = matching_rows(prefixes, Query.parse(link, prefixes))
            wanted = part[part["onset_follows"].eq(follows)]
            assert [prefixes.columns["step"][row] for row in found] == list(wanted["step"])
            assert [prefixes.columns["tokens"][row] for row in found] == list(wanted["completion_tokens"])


def test_each_leads_to_the_baseline_row_that_it_continues(explorer):
    prefixes, index = explorer.prefixes, explorer.index
    examples = list(prefixes.values["example"])
    for place, number in enumerate(prefixes.columns["row"]):
        run, _, arm, example, sample = index.name(number)
        assert (run, arm) == ("demo-phase2", "baseline")
        assert (example, int(sample)) == (
            examples[prefixes.columns["example"][place]], prefixes.columns["sample"][place],
        )  # fmt: skip
        said = "".join(explorer.row_json(number)["text"].split())
        assert "".join(prefixes.columns["step"][place].split()) in said


def test_a_run_without_any_has_none(explorer):
    empty = PrefixRows.of([], {})
    assert len(empty) == 0 and empty.as_json({})["rows"] == 0
    assert pd.DataFrame(explorer.prefixes.columns).shape[0] == len(explorer.prefixes)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [NARROW, WIDE], ids=["narrow", "wide"])
def test_the_page_lists_them(visit, address, explorer, viewport, scheme):
    seen = visit(viewport=viewport, scheme=scheme)
    page = seen.open(address, "#prefixes?of=forced")
    prefixes = explorer.prefixes
    assert page.locator(".prefixes tbody tr").count() == min(200, len(prefixes))
    if viewport == NARROW:
        page.get_by_text("Filters", exact=True).click()
    page.locator("#prefix-follows-yes").check()
    seen.until("follows=yes")
    query = Query.parse(page.evaluate("location.hash"), prefixes)
    wanted = matching_rows(prefixes, query)
    assert page.locator(".prefixes .total").inner_text().startswith(f"{len(wanted)} completion")
    for option in ("right", "wrong"):
        shown = page.locator("label", has=page.locator(f"#prefix-ends-{option}")).locator(".option-count")
        if shown.count():
            assert int(shown.inner_text()) == counts(prefixes, query)["ends"][option]
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    assert page.evaluate(FAINT_TEXT) == []
    assert page.evaluate(NAMELESS) == []
    if viewport == NARROW:
        page.get_by_text("Filters", exact=True).click()
    page.locator(".prefixes tbody a").first.click()
    seen.until("row=")
    assert page.locator("article.trace h2").is_visible()
