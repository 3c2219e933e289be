"""What is shown at an onset is what the tables of the analyses say of it."""

import json

import pytest

from backtracking.artifacts import phase2
from backtracking.artifacts import readings as inside
from backtracking.explore.links import row_link, rows_link
from backtracking.explore.queries import Query, matching_rows
from backtracking.run.paths import RunPaths


@pytest.fixture(scope="module")
def tables(folder):
    one, two = (RunPaths(folder / "runs", name) for name in ("demo", "demo-phase2"))
    return {
        "lens": inside.LENS_ONSETS.read(one),
        "scan": inside.SCAN_ONSETS.read(one),
        "step": phase2.STEP.read(two),
    }


@pytest.fixture(scope="module")
def studied(explorer):
    """Every onset that something was read at, with its row."""
    index = explorer.index
    rows = map(
        explorer.row_json, matching_rows(index, Query.parse(rows_link(studied=["scan", "yes"]), index))
    )
    return [(row, onset) for row in rows for onset in row["onsets"] if onset["reading"]]


def own(table, row, onset):
    _, variant, _, example, sample = row["name"]
    wanted = {
        "variant": variant,
        "example_id": example,
        "sample_id": int(sample),
        "pred_pos": onset["position"],
    }
    for name, value in wanted.items():
        table = table[table[name] == value]
    return table


def test_every_position_of_the_tables_is_found_at_an_onset(studied, tables):
    keys = ["variant", "example_id", "sample_id", "pred_pos"]
    for name, run in (("lens", "demo"), ("scan", "demo")):
        wanted = {(*map(str, key),) for key in tables[name][keys].itertuples(index=False)}
        found = {
            (row["name"][1], *row["name"][3:], str(onset["position"]))
            for row, onset in studied
            if row["name"][0] == run and name in onset["reading"]
        }
        assert found == wanted and wanted


def test_readings_are_those_of_the_tables(studied, tables):
    for row, onset in studied:
        reading = onset["reading"]
        assert row["name"][2] == "baseline"
        json.dumps(reading, allow_nan=False)
        if "lens" in reading:
            lines = own(tables["lens"], row, onset).sort_values("layer")
            for kind, curve in reading["lens"].items():
                assert curve == list(lines.loc[lines["position_kind"] == kind, "logprob"])
        if "scan" in reading:
            lines = own(tables["scan"], row, onset).query("mode == 'zero'")
            least = lines.loc[lines["delta_log_odds"].idxmin()]
            assert onset["component"] == f"{least['component']} {least['layer']}"
            assert len(reading["scan"]) == len(lines)
    steps = [(row, onset) for row, onset in studied if "step" in onset["reading"]]
    assert steps
    for row, onset in steps:
        lines = own(tables["step"], row, onset).query("position_kind == 'onset'")
        assert [one["onset_prob"] for one in onset["reading"]["step"]] == list(lines["onset_prob"])


def test_rows_of_a_later_run_share_readings_only_with_the_same_tokens(explorer, studied):
    index = explorer.index
    first = {tuple(row["name"][1:]): row["tokens"]["ids"] for row, _ in studied if row["name"][0] == "demo"}
    later = [row for row, _ in studied if row["name"][0] == "demo-phase2"]
    assert later and all(first[tuple(row["name"][1:])] == row["tokens"]["ids"] for row in later)
    place = index.places[later[0]["number"]]
    changed = place.read().model_copy(update={"completion_ids": [1, 2, 3]})
    assert explorer.readings.of_row(place, changed) == {}


def test_others_like_an_onset_share_what_the_link_says(explorer, studied):
    index = explorer.index
    row, onset = next((row, onset) for row, onset in studied if onset["component"] and onset["before"])
    for key, value in (
        ("component", onset["component"]),
        ("before", onset["before"]),
        ("shape", onset["shape"]),
    ):
        found = matching_rows(index, Query.parse(rows_link(**{key: value}), index))
        assert row["number"] in found
        assert all(any(one[key] == value for one in explorer.row_json(n)["onsets"]) for n in found[:20])


def test_the_page_shows_what_was_read(visit, address, studied):
    row, onset = next(
        (row, onset) for row, onset in studied if {"lens", "scan", "step"} <= set(onset["reading"])
    )
    starts = sorted({one["start"] for one in row["onsets"]})
    link = row_link(*row["name"][:4], int(row["name"][4])) + f"&onset={starts.index(onset['start'])}"
    seen = visit()
    page = seen.open(address, link)
    page.wait_for_selector("section.onset")
    assert f"Removing {onset['component']} " in page.locator("section.onset").inner_text()
    curve = page.locator("polyline.curve.onset").get_attribute("points").split()
    assert len(curve) == len(onset["reading"]["lens"]["onset"])
    assert page.get_by_role("region", name="Which component acts here").count() == 1
    page.locator(f'.token[data-token="{onset["token"]}"]').first.hover()
    entropy = onset["reading"]["step"][0]["entropy_before"]
    assert f"entropy {entropy:.3g}"[:9] in page.locator(".token-info").inner_text()
    page.get_by_text("most moved by the same component").click()
    seen.until("component=")
