"""What somebody wants to know on a first visit, answered by clicks and keys alone, with no address typed."""

import re

import pytest


@pytest.fixture
def page(visit, address):
    seen = visit()
    return seen, seen.open(address)


def opened(page):
    """The row that is open: run, prompt format, arm, problem, sample."""
    return page.evaluate(
        "decodeURIComponent(new URLSearchParams(location.hash.split('?')[1]).get('row')).split('/')"
    )


def first_with(seen, page, label, address):
    """Check a filter and open the first row that it leaves."""
    page.get_by_label(label).check()
    seen.until(address)
    page.locator(".row").first.click()
    page.wait_for_selector(".trace-head")


def strict(row):
    return [onset for onset in row["onsets"] if onset["kind"] == "strict"]


def number_of(explorer, name):
    index = explorer.index
    return next(n for n in range(len(index)) if list(index.name(n)) == name)


def test_which_arm_stops_corrections_most_and_three_rows_where_it_did(page, explorer):
    """Three clicks: Arms, the last number of the first line, a row; then j, j."""
    seen, page = page
    page.get_by_role("link", name="Arms").click()
    first = page.locator(".arms tbody tr").first
    arm = first.locator("th").evaluate("(head) => head.firstChild.data")
    shares = [
        int(re.search(r"(\d+)%", text)[1])
        for text in page.locator(".arms tbody td:last-child").all_inner_texts()
        if "%" in text
    ]
    assert shares[0] == max(shares) > 0
    first.locator("td:last-child a").click()
    seen.until("turned=alone")
    page.locator(".row").first.click()
    rows = []
    for _ in range(min(3, seen.rows())):
        seen.settle()
        rows.append(opened(page))
        page.keyboard.press("j")
    for row in rows:
        number = number_of(explorer, row)
        base = explorer.row_json(explorer.index.columns["baseline"][number])
        assert row[2] == arm and base["answer"]["right"] is True
        assert strict(base) and not all(step["right"] for step in base["steps"])
        own = explorer.row_json(number)
        assert not all(step["right"] for step in own["steps"])
        assert not any(onset["after_error"] for onset in strict(own))


def test_a_false_alarm(page, explorer):
    """Two clicks: the filter, the first row; its onset says so."""
    seen, page = page
    first_with(seen, page, "a right step: a false alarm", "after=right")
    assert page.get_by_role("button", name="a false alarm").count() >= 1
    row = explorer.row_json(number_of(explorer, opened(page)))
    assert any(onset["after_error"] is False for onset in row["onsets"])


def test_a_row_that_parts_before_its_baselines_first_onset(page, explorer):
    """Three clicks: the filter, the first row, beside the baseline."""
    seen, page = page
    first_with(seen, page, "before the baseline's first onset", "parts=before")
    page.get_by_role("button", name="beside the baseline").click()
    page.wait_for_selector(".parting-card")
    number = number_of(explorer, opened(page))
    step = explorer.row_json(number)["pair"]["step"]
    assert f"part at token {step}" in page.locator(".parting-card").inner_text()
    base = explorer.row_json(explorer.index.columns["baseline"][number])
    assert step < min(onset["token"] for onset in base["onsets"] if onset["kind"] == "strict")


def test_which_component_acts_at_an_onset(page, explorer):
    """Two clicks and a key: the filter, the first row, ]."""
    seen, page = page
    first_with(seen, page, "read by the scan of components", "studied=scan")
    row = explorer.row_json(number_of(explorer, opened(page)))
    read = next(onset for onset in row["onsets"] if onset["component"])
    page.keyboard.press("]")
    page.wait_for_selector(".onset h3")
    assert page.get_by_role("region", name="Which component acts here").count() == 1
    assert f"Removing {read['component']} " in page.locator("section.onset").inner_text()
