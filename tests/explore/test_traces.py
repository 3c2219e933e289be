"""One row, and a pair of rows, as the pages get them."""

import pytest

from backtracking.config.schema import DetectionConfig, FormattingVariant, PromptingConfig
from backtracking.explore.pairs import ALONE, aligned, pair_json, pieces, taken
from backtracking.explore.study import MeasuredRun
from backtracking.explore.trace import MeasuredTrace, utf16_units
from backtracking.run.records import ENDING_UNKNOWN, GenerationRecord, Problem

CLOSE = "</think>"


class Config:
    """The sections of a config that reading takes."""

    detection = DetectionConfig()
    prompting = PromptingConfig(formatting_variants=(FormattingVariant(name="v", think_open="<think>"),))
    analysis = type("Analysis", (), {"onsets": "strict"})()


STUDY = MeasuredRun(None, Config(), {"p": Problem(id="p", question="", answer="", answer_value="8")}, None)


def trace(text: str, ids: list[int] = (), finish: str = "stop", **params: bool) -> MeasuredTrace:
    record = GenerationRecord(
        example_id="p", sample_id=0, variant="v", condition="c", prompt="", prompt_ids=[1], completion=text,
        completion_ids=list(ids), finish_reason=finish, prompt_tokens=1, completion_tokens=len(ids),
        gen_params=params, seed_key="",
    )  # fmt: skip
    return MeasuredTrace(STUDY, record)


def lines(one: str, other: str) -> list[tuple]:
    """A pair's lines as texts, with what is said of them; ids part where the characters do."""
    left, right = trace(one, [*map(ord, one)]), trace(other, [*map(ord, other)])
    found = pair_json(left, right)["lines"]
    cut = lambda text, span: span and text[slice(*span)].strip()  # noqa: E731
    return [(cut(one, x["baseline"]), cut(other, x["arm"]), x["note"], x["shared"]) for x in found]


def test_a_caught_error_that_an_arm_misses():
    start = "4 + 4 = 8.\n2 + 3 = 6.\n"
    found = lines(start + "Wait, 2 + 3 = 5.\n</think>\nFinal: 8", start + "6 + 1 = 7.\n</think>\nFinal: 7")
    assert found == [
        ("4 + 4 = 8.", "4 + 4 = 8.", "", True),
        ("2 + 3 = 6.", "2 + 3 = 6.", "missed", True),
        ("Wait, 2 + 3 = 5.", None, "", False),
        (None, "6 + 1 = 7.", "", False),
        ("</think>\nFinal: 8", "</think>\nFinal: 7", "", False),
    ]


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ("Hold on, 2 + 3 = 5.\n</think>\nFinal: 9", "still caught"),
        ("2 + 3 = 5.\n</think>\nFinal: 9", "silently corrected"),
        ("So it is 8.\n</think>\nFinal: 8", "not worked out again; the answer is right all the same"),
        ("So it is 9.\n</think>\nFinal: 9", "missed"),
    ],
)
def test_what_an_arm_makes_of_an_error_that_the_baseline_caught(rest, said):
    start = "2 + 3 = 6.\n"
    assert lines(start + "Wait, 2 + 3 = 5.\n</think>\nFinal: 8", start + rest)[0][2] == said


def test_errors_of_one_side_alone():
    found = lines("2 + 3 = 5.\n</think>\nFinal: 8", "2 + 3 = 7.\nWait, 2 + 3 = 5.\n</think>\nFinal: 8")
    assert found[0][2] == "a new error: caught"
    found = lines("2 + 3 = 7.\n</think>\nFinal: 1", "2 + 3 = 5.\n</think>\nFinal: 8")
    assert found[0][2] == "baseline's error (missed) is right here"


def test_what_may_stand_behind_an_ending_that_nobody_knows_is_not_called_missed():
    unknown = {ENDING_UNKNOWN: True}
    last = taken(trace("2 + 3 = 6. So", **unknown), 0)
    assert last == "unknown" and ALONE[last] == "the last statement of a text that may have been cut"
    assert taken(trace("2 + 3 = 6. Then 1 + 1 = 2. So", **unknown), 0) == "missed"
    assert taken(trace("2 + 3 = 6. Wait, 2 + 3 = 5.", **unknown), 0) == "caught"


def test_what_a_cut_hides_is_not_called_missed():
    assert taken(trace("2 + 3 = 6. So", finish="length"), 0) == "cut"
    assert taken(trace("2 + 3 = 6. Then 1 + 1 = 2. So", finish="length"), 0) == "missed"
    assert taken(trace("2 + 3 = 5."), 0) is None


def test_pieces_cover_the_text_and_alignment_keeps_them_all():
    one, other = trace("1 + 1 = 2. And 2 + 2 = 4. Done"), trace("2 + 2 = 4, 3 + 3 = 6. Done")
    for side in (one, other):
        spans = [piece.span for piece in pieces(side)]
        assert "".join(side.record.completion[a:b] for a, b in spans) == side.record.completion
    found = list(aligned(pieces(one), pieces(other)))
    assert [left for left, _ in found if left] == pieces(one)
    assert [right for _, right in found if right] == pieces(other)
    assert ("2+2=", "2+2=") in [(left and left.key, right and right.key) for left, right in found]


def test_statements_whose_numbers_carry_an_error_on_stand_side_by_side():
    one = trace("5 - 5 = 0. 0 + 9 = 9. 9 + 6 = 15.\n</think>\nFinal: 15")
    other = trace("6 + 9 = 15. 15 + 6 = 21. 21 + 4 = 25.\n</think>\nFinal: 25")
    found = [(left and left.key, right and right.key) for left, right in aligned(pieces(one), pieces(other))]
    assert found == [
        ("5-5=", None), ("0+9=", "6+9="), ("9+6=", "15+6="), (None, "21+4="), ("", "")
    ]  # fmt: skip


def test_an_error_that_is_made_twice_is_new_once():
    found = lines("Final: 8", "2 + 3 = 7. So 2 + 3 = 7. Final: 7")
    assert [note for _, _, note, _ in found if note] == ["a new error: missed", "the error again: missed"]


def test_places_are_counted_as_browsers_count_them():
    text = "a😀b 等 😀 Wait"
    units = utf16_units(text)
    for place in range(len(text) + 1):
        assert units(place) == len(text[:place].encode("utf-16-le")) // 2
    assert utf16_units("plain")(3) == 3


def test_a_row_says_where_everything_in_it_stands(explorer):
    index = explorer.index
    for number in range(0, len(index), 7):
        row = explorer.row_json(number)
        text, tokens = row["text"], row["tokens"]
        assert "".join(text[a:b] for a, b in zip(tokens["starts"], tokens["ends"], strict=True)) == text
        assert len(tokens["logprobs"]) == len(tokens["entropies"]) == len(tokens["ids"])
        for onset in row["onsets"]:
            assert text[onset["start"] : onset["end"]].lower() == onset["phrase"]
            assert tokens["starts"][onset["token"]] <= onset["start"] < tokens["ends"][onset["token"]]
        for step in row["steps"]:
            assert step["right"] == (step["expected"] == step["claimed"])
        answer = row["answer"]
        if answer["text"]:
            assert answer["text"] in text[answer["start"] : answer["end"]]
        if row["close"]:
            assert text[slice(*row["close"])] == CLOSE


def test_a_pair_shares_what_comes_before_its_parting(explorer):
    index = explorer.index
    parted = [n for n in range(len(index)) if index.columns["parted"][n] >= 0]
    for number in parted[::5]:
        row, base = explorer.row_json(number), explorer.row_json(index.columns["baseline"][number])
        pair, step = row["pair"], index.columns["parted"][number]
        assert pair["step"] == step
        assert row["text"][: pair["arm_at"]] == base["text"][: pair["baseline_at"]]
        assert row["tokens"]["ids"][:step] == base["tokens"]["ids"][:step]
        for side, text in (("arm", row["text"]), ("baseline", base["text"])):
            assert "".join(text[slice(*line[side])] for line in pair["lines"] if line[side]) == text
