"""The index and its queries, against the tables of the run and against plain recomputation from the rows."""

import json
import random
from collections import Counter

import pandas as pd
import pytest

from backtracking.artifacts import phase1, phase2
from backtracking.errors import UserError
from backtracking.explore.links import read_link, row_link, rows_link
from backtracking.explore.queries import Query, counts, matching_rows
from backtracking.run.paths import RunPaths

NAMES = ["run", "variant", "arm", "example", "sample"]


def frame(index) -> pd.DataFrame:
    """The index as a table of option values."""
    table = pd.DataFrame([index.name(number) for number in range(len(index))], columns=NAMES)
    for facet in index.facets:
        if facet.way == "one" and facet.key not in NAMES:
            values = {option.mask: option.value for option in facet.options}
            table[facet.key] = [values[code] for code in index.columns[facet.column]]
    return table.astype({"sample": int})


@pytest.fixture(scope="module")
def paths(folder):
    return {name: RunPaths(folder / "runs", name) for name in ("demo", "demo-phase2")}


@pytest.fixture(scope="module")
def rows(folder):
    """Every line of every file of rows, read as plain JSON."""
    found = {}
    for path in sorted((folder / "runs").glob("*/generations/*/*.jsonl")):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            run = path.parents[2].name
            found[run, row["variant"], row["condition"], row["example_id"], row["sample_id"]] = row
    return found


def test_every_row_of_every_file_is_in_the_index_once(explorer, rows):
    index = explorer.index
    names = [(*index.name(number)[:4], int(index.name(number)[4])) for number in range(len(index))]
    assert sorted(names) == sorted(rows)
    for number in (0, len(index) // 2, len(index) - 1):
        assert index.places[number].read().completion == rows[names[number]]["completion"]


def test_facets_say_what_the_events_table_says(explorer, paths):
    events = phase1.EVENTS.read(paths["demo"])
    table = frame(explorer.index)
    keys = ["variant", "arm", "example", "sample"]
    events = events.rename(columns={"condition": "arm", "example_id": "example", "sample_id": "sample"})
    both = table[table["run"] == "demo"].merge(events, on=keys, how="outer", indicator=True)
    assert set(both["_merge"]) == {"both"}
    answer = both["is_correct"].map({True: "right", False: "wrong"}).fillna("unanswered")
    assert list(both["answer"]) == list(answer)
    assert list(both["ending"]) == list(both["finish_reason"])


def test_onset_facets_ask_for_one_onset_that_has_it_all(explorer, paths):
    onsets = phase1.ONSETS.read(paths["demo"])
    keys = ["variant", "condition", "example_id", "sample_id"]
    for kind, region, after, erred in (
        ("strict", "think", "wrong", True),
        ("strict", "think", "right", False),
        ("redo", "think", "wrong", True),
        ("strict", "answer", "none", None),
    ):
        erring = onsets["preceded_by_error"]
        same = erring.isna() if erred is None else erring.eq(erred)
        wanted = onsets[(onsets["kind"] == kind) & (onsets["region"] == region) & same]
        query = Query.parse(rows_link(run="demo", kind=kind, region=region, after=after), explorer.index)
        found = {explorer.index.name(number)[1:] for number in matching_rows(explorer.index, query)}
        assert found == {(*map(str, row),) for row in wanted[keys].drop_duplicates().itertuples(index=False)}
    events = phase1.EVENTS.read(paths["demo"])
    query = Query.parse(rows_link(run="demo", kind="no_strict"), explorer.index)
    assert len(matching_rows(explorer.index, query)) == (~events["has_backtracking_strict"]).sum()


def test_partings_are_those_of_the_ids(explorer, rows, paths):
    index = explorer.index
    for number in range(len(index)):
        run, variant, arm, example, sample = index.name(number)
        row = rows[run, variant, arm, example, int(sample)]
        base = rows.get((run, variant, "baseline", example, int(sample)))
        if arm == "baseline" or base is None:
            assert index.columns["parted"][number] == index.columns["baseline"][number] == -1
            continue
        one, other = base["completion_ids"], row["completion_ids"]
        places = [k for k in range(max(len(one), len(other))) if one[k : k + 1] != other[k : k + 1]]
        assert index.columns["parted"][number] == (places[0] if places else -1)
    table = phase2.DIVERGENCES.read(paths["demo-phase2"])
    offsets = table["steps_from_onset"]
    for value, wanted in {
        "never": table["step"].isna(),
        "before": offsets < 0,
        "at": offsets == 0,
        "after": offsets > 0,
        "no_onset": table["step"].notna() & offsets.isna(),
    }.items():
        found = matching_rows(index, Query.parse(rows_link(run="demo-phase2", parts=value), index))
        assert Counter(index.name(n)[2] for n in found) == Counter(table.loc[wanted, "arm"])


def test_courses_are_those_of_the_correction_flow(explorer, paths):
    flow = phase2.FLOW.read(paths["demo-phase2"])
    assert flow.loc[flow["arm"] == "no_trigger_tokens", "count"].sum() > 3
    for line in flow[flow["arm"] != "baseline"].itertuples():
        link = rows_link(run="demo-phase2", arm=line.arm, was=line.baseline_fate, fate=line.fate)
        assert len(matching_rows(explorer.index, Query.parse(link, explorer.index))) == line.count


def test_counts_are_what_choosing_the_option_would_leave(explorer):
    index, generator = explorer.index, random.Random(0)
    table = frame(index)
    plain = [facet for facet in index.facets if facet.way == "one"]
    for _ in range(12):
        asked = generator.sample(plain, 3)
        chosen = {f.key: frozenset(generator.choices([o.value for o in f.options], k=2)) for f in asked}
        naive = pd.Series(True, index=table.index)
        for key, values in chosen.items():
            naive &= table[key].isin(values)
        query = Query(chosen)
        assert matching_rows(index, query) == list(table.index[naive])
        found = counts(index, query)
        facet = asked[0]
        others = pd.Series(True, index=table.index)
        for key, values in chosen.items():
            others &= True if key == facet.key else table[key].isin(values)
        tallied = table.loc[others, facet.key].value_counts()
        assert found[facet.key] == {o.value: int(tallied.get(o.value, 0)) for o in facet.options}


def test_text_is_found_whatever_its_case(explorer, rows):
    found = explorer.texts.having("WAIT, ")
    wanted = [key for key, row in rows.items() if "wait, " in row["completion"].lower()]
    assert found and {explorer.index.name(n) for n in found} == {(*map(str, key),) for key in wanted}
    assert explorer.texts.having("\0") == set()


def test_links_say_what_they_were_made_of():
    hard = {"arm": ["a&b=c", "50%"], "phrase": "wait — 等"}
    assert read_link(rows_link(**hard)) == {"arm": hard["arm"], "phrase": [hard["phrase"]]}
    assert read_link(row_link("r", "v", "a/b", "x%2F?", 3)) == {"row": ["r/v/a%2Fb/x%252F%3F/3"]}
    assert (
        read_link("http://127.0.0.1:1/#rows?answer=wrong")
        == {"answer": ["wrong"]}
        == read_link("answer=wrong")
    )
    assert read_link("#arms") == read_link("") == {}


def test_a_filter_that_nothing_knows_is_refused(explorer):
    with pytest.raises(UserError, match="no filter is called 'colour'"):
        Query.parse("#rows?colour=red", explorer.index)
    with pytest.raises(UserError, match="no row has 'sideways'"):
        Query.parse("#rows?answer=sideways", explorer.index)
