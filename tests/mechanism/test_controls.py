"""Drawing events and matching controls."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from backtracking.artifacts import phase1 as files
from backtracking.artifacts.phase1 import EVENTS, GENERATIONS, ONSETS
from backtracking.config.schema import ModelConfig
from backtracking.errors import NotTestable, UserError
from backtracking.measurements.balance import balance_table, matching_table
from backtracking.measurements.controls import (
    StudyFiles,
    draw_study,
    spread_over_problems,
)
from backtracking.measurements.matching import match_rows
from backtracking.measurements.places import Layout, Place, PlaceKind, distance, nearest, sentence_starts
from backtracking.model.loading import load_tokenizer
from backtracking.text.tokenization import TokenMap
from tests.conftest import shared_data

from .worlds import ID, PIECES, STOP, VARIANT, WAIT, Rows, make_record, random_model, write_run


def _study(ctx, **options):
    files = StudyFiles(
        EVENTS.path(ctx.paths),
        ONSETS.path(ctx.paths),
        GENERATIONS.path(ctx.paths, variant=VARIANT, condition="baseline"),
    )
    chosen = {"max_events": 100, "controls": 100, "seed": 0, **options}
    return draw_study(files, VARIANT, token_map=TokenMap(ctx.model().tokenizer), **chosen)


@pytest.fixture(scope="module")
def ctx(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("controls"), random_model(), Rows().build())


@given(st.lists(st.sampled_from("abcde"), min_size=1, max_size=40), st.integers(1, 50), st.integers(0, 9))
def test_drawing_takes_from_every_problem_before_any_twice(problems, count, seed):
    drawn = spread_over_problems(problems, count, seed)
    assert len(set(drawn)) == len(drawn) == min(count, len(problems))
    taken = pd.Series([problems[k] for k in drawn]).value_counts()
    left = pd.Series([p for k, p in enumerate(problems) if k not in drawn]).value_counts()
    for problem in left.index:
        assert taken.get(problem, 0) >= taken.max() - 1, "a problem with rows left lags behind"
    assert drawn == spread_over_problems(problems, count, seed)


def test_controls_are_legal(ctx):
    events = _study(ctx)
    assert len(events) == 24
    used = [(e.controls["matched_row"].example_id, e.controls["matched_row"].sample_id) for e in events]
    assert len(set(used)) == len(used)
    for event in events:
        control = event.controls["matched_row"]
        assert event.onset_id == WAIT and event.at.ids[event.at.pos] == STOP
        assert control.ids[control.pos] == STOP, "where a sentence ends, as at the onset"
        assert WAIT not in control.ids[: control.pos + 2]
        assert event.matching["matched_row"] == "same_problem"
        assert control.example_id == event.at.example_id
        earlier = event.controls["same_row_earlier"]
        assert earlier.pos < event.at.pos and earlier.ids[earlier.pos] == STOP


def test_controls_lie_as_far_in_as_they_can(ctx):
    """Of the sentence ends of its row, a control is the one nearest to its onset's place, by their ratio."""
    records = {(r.example_id, r.sample_id): r for r in Rows().build()}
    for event in _study(ctx):
        control = event.controls["matched_row"]
        here = event.at.pos + 2 - event.at.prompt_tokens
        row = records[control.example_id, control.sample_id].completion_ids
        ends = [k + 1 for k, token in enumerate(row[:-1]) if token == STOP]
        best = min(abs(np.log((end + 1) / here)) for end in ends)
        assert abs(np.log((control.pos + 2 - control.prompt_tokens) / here)) == pytest.approx(best)


def test_rows_without_a_partner_are_listed(tmp_path):
    """Where every row has its onset behind its first sentence, no sentence end lies ahead of one."""
    records = [record for record in Rows(problems=6, samples=4).build() if record.sample_id < 2]
    for k, record in enumerate(records[:6]):
        ids = record.completion_ids[record.completion_ids.index(STOP) + 1 :]
        text = "".join(PIECES[token] for token in ids[:-1])
        records[k] = make_record(record.example_id, record.sample_id, record.prompt_ids, ids, text)
    events = _study(write_run(tmp_path, random_model(), records))
    matched = matching_table(events).query("control_kind == 'matched_row'")
    assert len(matched) == len(events) == 12
    missing = matched["matching"] == "unmatched"
    assert missing.sum() == 6, "six rows have a sentence end ahead of their onset, each serves once"
    assert (matched["control_pos"].isna() == missing).all()
    assert matched.loc[missing, ["control_offset", "control_behind"]].isna().all(axis=None)


def test_limit_caps_the_controls(ctx):
    assert sum("matched_row" in event.controls for event in _study(ctx, controls=5)) == 5
    assert not any("matched_row" in event.controls for event in _study(ctx, controls=0))


def test_another_seed_draws_others_and_the_same_seed_the_same(ctx):
    def keys(**options):
        return [(e.at.example_id, e.at.sample_id) for e in _study(ctx, max_events=14, **options)]

    assert keys() == keys()
    assert any(keys() != keys(seed=seed) for seed in range(1, 4))
    assert len({problem for problem, _ in keys()}) == 12


END, MIDDLE = PlaceKind(True, "full stop"), PlaceKind(False, "word")


def _match(rows, events, offsets, kind=END, **options):
    """Rows by their candidate offsets; events by their own."""
    candidates = {row: {END: np.array(found)} for row, found in enumerate(offsets)}
    places = {label: Place(offset, kind, after_wrong=True) for label, offset in events.items()}
    chosen = {"limit": 10, "seed": 0, **options}
    return match_rows(rows.loc[list(events)], places, rows, candidates, **chosen)


def test_matching_is_as_large_as_possible():
    """A greedy matcher would give the only partner of the second event to the first."""
    rows = pd.DataFrame(
        {
            "example_id": ["a", "a", "a", "b"],
            "first_onset": [5.0, 9.0, np.inf, np.inf],
            "completion_tokens": [20, 20, 20, 7],
            "is_correct": ["True"] * 4,
        }
    )
    assert _match(rows, {0: 5, 1: 9}, [[], [4], [6, 9], []]) == {0: (1, 4), 1: (2, 9)}
    assert _match(rows, {0: 5, 1: 9}, [[2], [4], [], []]) == {0: (1, 4), 1: (0, 2)}, "never its own row"
    assert _match(rows, {0: 5, 1: 9}, [[2], [4], [6], []], kind=MIDDLE) == {}, "another kind of place"


def test_hard_problems_are_matched_with_hard_ones():
    rows = pd.DataFrame(
        {
            "example_id": ["event", "easy", "hard", "event"],
            "first_onset": [5.0, np.inf, np.inf, 2.0],
            "completion_tokens": [20, 20, 20, 20],
            "is_correct": ["False", "True", "False", "False"],
        }
    )
    assert _match(rows, {0: 5}, [[], [5], [4], []]) == {0: (2, 4)}


@given(st.lists(st.integers(1, 400), max_size=30, unique=True).map(sorted), st.integers(1, 400))
def test_the_nearest_candidate(offsets, offset):
    found = nearest({END: np.array(offsets, dtype=np.int64)}, Place(offset, END, after_wrong=False))
    if not offsets:
        assert found is None
    else:
        assert distance(found, offset) == min(distance(other, offset) for other in offsets)


def test_sentence_starts():
    pieces = ["It", " is", " 3", ".", "5", ".", " So", " then", "!\n", "\n", "Next", ' "Ha', '."', " end"]
    assert sentence_starts(pieces) == [6, 10, 13]
    assert sentence_starts([]) == []
    apart = ["=", " ", "1", "6", ".", " ", "1", "6", "+", ".", "5", ".", "\n", "\n", "So", "!", '"', " ", "A"]
    assert sentence_starts(apart) == [5, 14, 17]


TEXT = "12 + 4 = 16. 16 + 3.5 = 19.5.\nSo that is it! 7 more.\n\n8 is left. Wait, 9."
STARTS = (" 16 + 3.5", "So that", " 7 more", "8 is left", " Wait")
"""What begins a sentence, with the space ahead of it where one stands there."""


@pytest.mark.parametrize("kind", ["bundled", "r1_tokenizer", "tokenizers/deepseek_v3", "tokenizers/yi"])
def test_sentences_start_at_the_same_places_under_every_kind_of_tokenizer(kind):
    if kind == "bundled":
        tokenizer = load_tokenizer(ModelConfig(hf_id="bundled"))
    else:
        tokenizer = AutoTokenizer.from_pretrained(shared_data() / kind)
    ids = tokenizer.encode(TEXT, add_special_tokens=False)
    tokens = TokenMap(tokenizer)(ids)
    starts = [tokens.char_span(k, k + 1)[0] for k in sentence_starts(tokens.pieces())]
    wanted = [
        tokens.text.index(start.replace("next", "left") if kind == "bundled" else start) for start in STARTS
    ]
    assert starts == wanted


@pytest.mark.parametrize("kind", ["bundled", "r1_tokenizer", "tokenizers/deepseek_v3", "tokenizers/yi"])
def test_places_are_alike_under_every_kind_of_tokenizer(kind):
    """What stands before a sentence, and whether what it follows is right."""
    if kind == "bundled":
        tokenizer = load_tokenizer(ModelConfig(hf_id="bundled"))
    else:
        tokenizer = AutoTokenizer.from_pretrained(shared_data() / kind)
    text = "12 + 4 = 16. So 16 + 3 = 20. So that is it!\n7 + 1 = 8. So"
    ids = tokenizer.encode(text, add_special_tokens=False)
    record = make_record("p", 0, [1], ids, TokenMap(tokenizer)(ids).text)
    layout = Layout(record, TokenMap(tokenizer))
    found = [layout.at(start) for start in layout.starts]
    assert [(place.kind.behind, place.after_wrong) for place in found] == [
        ("full stop", False), ("full stop", True), ("line break", True), ("full stop", False),
    ]  # fmt: skip
    assert all(place.kind.starts_sentence for place in found)
    allowed = layout.of_kinds({END}, len(ids))
    assert allowed[END].tolist() == [found[0].offset, found[3].offset], "not behind a wrong step"
    inside = layout.of_kinds({PlaceKind(False, "number")}, len(ids))
    assert all(not layout.at(int(k)).kind.starts_sentence for k in inside[PlaceKind(False, "number")])


def test_the_balance_is_told(ctx):
    table = balance_table(_study(ctx)).set_index(["control_kind", "measure"])
    for kind in ("matched_row", "same_row_earlier"):
        assert table.loc[(kind, "starts a sentence"), ["onsets", "controls", "n"]].tolist() == [1, 1, 24]
        assert table.loc[(kind, "behind: full stop"), ["onsets", "controls"]].tolist() == [1, 1]
    middle = table.xs("tokens in, quantile 0.5", level="measure")
    assert abs(middle.loc["matched_row", "onsets"] - middle.loc["matched_row", "controls"]) < 2
    assert middle.loc["same_row_earlier", "controls"] < middle.loc["same_row_earlier", "onsets"] - 3
    one_by_one = matching_table(_study(ctx))
    matched = one_by_one[one_by_one["control_kind"] == "matched_row"]
    assert matched["control_starts_sentence"].mean() == 1.0
    assert (matched["offset"] == matched["pred_pos"] + 1 - _prompts(ctx, matched)).all()
    assert balance_table([]).empty


def _prompts(ctx, table):
    events = files.EVENTS.read(ctx.paths).set_index(["example_id", "sample_id"])
    keys = list(zip(table["example_id"], table["sample_id"], strict=True))
    return events.loc[keys, "prompt_tokens"].to_numpy()


def test_a_stale_events_table_is_named(tmp_path):
    records = Rows(problems=3).build()
    ctx = write_run(tmp_path, random_model(), records)
    table = pd.read_csv(EVENTS.path(ctx.paths))
    table.loc[table["onset_token_id"] >= 0, "onset_token_id"] = ID[" So"]
    table.to_csv(EVENTS.path(ctx.paths), index=False)
    with pytest.raises(UserError, match="not where the events table says"):
        _study(ctx)


def test_a_run_without_onsets_says_so(tmp_path):
    records = [record for record in Rows(problems=3).build() if record.sample_id >= 2]
    with pytest.raises(
        NotTestable, match=r"^no onsets in \d+ baseline completions \(onsets in 2 problems needed"
    ):
        _study(write_run(tmp_path, random_model(), records))


def test_pieces_are_what_they_say():
    assert all(random_model().tokenizer.decode([token]) == piece for piece, token in ID.items()), PIECES


@pytest.mark.parametrize("kind", ["redo", "doubt_or_redo", "relaxed"])
def test_other_kinds_are_read_from_the_table_of_onsets(ctx, kind):
    onsets = pd.read_csv(ONSETS.path(ctx.paths), dtype={"example_id": str})
    members = {"redo": ["redo"], "doubt_or_redo": ["doubt", "redo"], "relaxed": ["strict", "relaxed"]}[kind]
    first = onsets[onsets["kind"].isin(members)].groupby(["example_id", "sample_id"])["token_start"].min()
    events = _study(ctx, kind=kind)
    places = {(e.at.example_id, e.at.sample_id): e.at.pos + 1 - e.at.prompt_tokens for e in events}
    assert places == first.to_dict()
    for event in events:
        assert event.onset_id == WAIT
        control = event.controls["matched_row"]
        assert WAIT not in control.ids[: control.pos + 2]


def test_a_kind_that_never_shows_is_not_testable(ctx):
    with pytest.raises(NotTestable):
        _study(ctx, kind="doubt")
