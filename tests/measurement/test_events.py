"""The events and onsets tables: positions, answers and counts, row by row."""

import csv
import itertools

import pytest

from backtracking.config.schema import DetectionConfig, PromptingConfig
from backtracking.errors import UserError
from backtracking.measurements.caps import CapCurve, caps_up_to
from backtracking.measurements.events import EVENT_COLUMNS, ONSET_COLUMNS, EventReader, write_events
from backtracking.run.records import GenerationRecord
from backtracking.text.onsets.finders import OwnFinder
from backtracking.text.tokenization import TokenMap, decode

CONTRACT = [
    "example_id",
    "sample_id",
    "variant",
    "condition",
    "has_backtracking_strict",
    "has_backtracking_relaxed",
    "onset_phrase",
    "onset_char",
    "onset_token_in_completion",
    "onset_token_in_full",
    "onset_token_id",
    "onset_token_text",
    "pred_pos_in_full",
    "predicted_answer",
    "is_correct",
    "prompt_tokens",
    "completion_tokens",
]
MAIN = "baseline_think_newline"


@pytest.fixture(scope="session")
def read(r1_tokenizer):
    gold = {"p0": "", "p1": "7", "p2": "18"}
    return EventReader(DetectionConfig(), PromptingConfig(), TokenMap(r1_tokenizer), gold)


@pytest.fixture(scope="session")
def make_record(r1_tokenizer):
    counter = itertools.count()

    def make(completion, finish_reason="stop", example_id="p1", variant=MAIN, eos=True):
        ids = r1_tokenizer.encode(completion, add_special_tokens=False)
        if eos and finish_reason == "stop":
            ids = [*ids, r1_tokenizer.eos_token_id]
        prompt_ids = r1_tokenizer.encode("How many?", add_special_tokens=False)
        return GenerationRecord(
            example_id=example_id,
            sample_id=next(counter),
            variant=variant,
            condition="baseline",
            prompt="How many?",
            prompt_ids=prompt_ids,
            completion=completion,
            completion_ids=ids,
            finish_reason=finish_reason,
            prompt_tokens=len(prompt_ids),
            completion_tokens=len(ids),
            gen_params={},
            seed_key="0",
        )

    return make


def test_the_contracts_columns_come_first():
    assert list(EVENT_COLUMNS[: len(CONTRACT)]) == CONTRACT


def test_what_is_not_there_has_no_place(read, make_record):
    event = read(make_record("2 + 5 = 7. The answer is unclear.")).event
    assert event["reasoning_tokens"] == event["onset_char"] == event["onset_token_in_completion"] == -1


def test_without_a_gold_answer_nothing_is_right_or_wrong(read, make_record):
    event = read(make_record("5 + 2 = 7.\n</think>\nFinal: 7", example_id="p0")).event
    assert (event["has_gold"], event["predicted_answer"], event["is_correct"]) == (False, "7", None)


def test_positions_of_an_onset(read, make_record, r1_tokenizer):
    record = make_record("Tom has 5. 5 + 3 = 9. Wait, 5 + 3 = 8.\n</think>\nFinal: 7")
    event = read(record).event
    k = event["onset_token_in_completion"]
    full = [*record.prompt_ids, *record.completion_ids]
    assert record.completion_ids[k] == event["onset_token_id"] == full[event["onset_token_in_full"]]
    assert event["onset_token_text"] == " Wait"
    assert record.completion[event["onset_char"] :].startswith("Wait")
    assert event["pred_pos_in_full"] == record.prompt_tokens + k - 1
    assert decode(r1_tokenizer, record.completion_ids[:k]) == "Tom has 5. 5 + 3 = 9."
    assert (event["predicted_answer"], event["is_correct"], event["answer_rule"]) == ("7", True, "final_line")
    assert (event["has_backtracking_strict"], event["n_onsets_strict"]) == (True, 1)


def test_trigger_as_the_first_token_is_predicted_by_the_prompts_last(read, make_record):
    record = make_record("Wait, what?")
    event = read(record).event
    assert event["onset_token_in_completion"] == 0
    assert event["pred_pos_in_full"] == record.prompt_tokens - 1


def test_no_onset(read, make_record):
    event = read(make_record("5 + 2 = 7.\n</think>\nFinal: 8")).event
    for column in (
        "onset_char",
        "onset_token_in_completion",
        "onset_token_in_full",
        "onset_token_id",
        "pred_pos_in_full",
    ):
        assert event[column] == -1
    assert event["onset_phrase"] is event["onset_token_text"] is None
    assert (event["has_backtracking_strict"], event["is_correct"]) == (False, False)


def test_every_onset_gets_a_row_and_the_first_strict_one_stands_for_the_completion(
    read, make_record, r1_tokenizer
):
    record = make_record(
        "🦥 Hmm. Let me think — wait, no.\n</think>\nHold on, 7. The wait was long.\nFinal: 7"
    )
    measured = read(record)
    assert [(row["phrase"], row["region"]) for row in measured.onsets] == [
        ("hmm", "think"),
        ("wait", "think"),
        ("hold on", "answer"),
    ]
    for row in measured.onsets:
        ids = record.completion_ids[row["token_start"] : row["token_end"]]
        assert row["phrase"] in decode(r1_tokenizer, ids).lower()
        assert record.completion[row["char_start"] : row["char_end"]].lower() == row["phrase"]
    assert (measured.event["onset_phrase"], measured.event["onset_kind"]) == ("wait", "strict")
    assert measured.event["onset_char"] == measured.onsets[1]["char_start"]
    assert (measured.event["n_onsets_strict"], measured.event["n_onsets_relaxed"]) == (2, 3)


def test_relaxed_onset_stands_in_where_there_is_no_strict_one(read, make_record):
    event = read(make_record("Hmm, let me see.")).event
    assert (event["has_backtracking_strict"], event["has_backtracking_relaxed"]) == (False, True)
    assert (event["onset_phrase"], event["onset_kind"]) == ("hmm", "relaxed")


def test_both_policies_are_always_reported(read, make_record):
    event = read(make_record("The wait time is 7.")).event
    assert (event["strict_anywhere"], event["strict_clause_start"]) == (True, False)
    assert event["has_backtracking_strict"] is False


def test_tokens_to_answer_and_of_reasoning(read, make_record, r1_tokenizer):
    record = make_record("5 + 2 = 7.\n</think>\nFinal: 7, I am sure.")
    event = read(record).event
    assert decode(r1_tokenizer, record.completion_ids[: event["answer_token"]]).endswith("Final: 7")
    assert decode(r1_tokenizer, record.completion_ids[: event["reasoning_tokens"]]) == "5 + 2 = 7.\n"


def test_an_answer_has_its_place_where_the_reasoning_is_never_closed(read, make_record, r1_tokenizer):
    record = make_record("5 + 2 = 7.\nFinal: 7")
    event = read(record).event
    assert decode(r1_tokenizer, record.completion_ids[: event["answer_token"]]).endswith("Final: 7")
    assert event["reasoning_tokens"] == -1


def test_closed_reasoning_has_its_length_where_there_is_no_answer(read, make_record, r1_tokenizer):
    record = make_record("Who knows.\n</think>\nNobody.")
    event = read(record).event
    assert decode(r1_tokenizer, record.completion_ids[: event["reasoning_tokens"]]) == "Who knows.\n"
    assert (event["predicted_answer"], event["answer_token"]) == (None, -1)


def test_a_finder_of_ones_own_alone_says_what_an_onset_is(make_record):
    record = make_record("5 + 2 = 8. That's wrong, let me recompute. Wait, 5 + 2 = 7.\n</think>\nFinal: 7")
    settings, gold = (DetectionConfig(), PromptingConfig(), None), {"p1": "7"}
    usual = EventReader(*settings, gold)(record)
    own = EventReader(*settings, gold, finder=OwnFinder(lambda text: [(0, 5), (11, 17)]))(record)
    assert usual.turns and usual.event["n_onsets_strict"] == 1
    assert (own.event["n_onsets_strict"], own.turns) == (2, [])
    assert [(row["char_start"], row["char_end"], row["token_start"]) for row in own.onsets] == [
        (0, 5, -1),
        (11, 17, -1),
    ]


@pytest.mark.parametrize("finish_reason", ["length", "loop"])
def test_unfinished_rows_have_no_answer_by_last_number(read, make_record, finish_reason):
    event = read(make_record("5 + 2 = 7", finish_reason)).event
    assert (event["truncated"], event["predicted_answer"], event["is_correct"]) == (True, None, None)
    assert event["answer_token"] == -1


def test_gold_is_looked_up_by_id(read, make_record):
    completion = "</think>Final: 18"
    assert read(make_record(completion, example_id="p1")).event["is_correct"] is False
    assert read(make_record(completion, example_id="p2")).event["is_correct"] is True
    with pytest.raises(UserError, match="'p3' has generations but is not in the dataset"):
        read(make_record(completion, example_id="p3"))


def test_tables_are_written_whole(read, make_record, tmp_path):
    records = [make_record("Wait. Wait. Final: 7"), make_record("Final: 18"), make_record("x", "error")]
    counts = write_events(iter(records), read, tmp_path / "events.csv", tmp_path / "onsets.csv")
    assert (counts.completions, counts.onsets, counts.failed) == (2, 2, 1)
    with (tmp_path / "events.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["has_backtracking_strict"] for row in rows] == ["True", "False"]
    assert [row["onset_phrase"] for row in rows] == ["wait", ""]
    with (tmp_path / "onsets.csv").open(newline="") as file:
        reader = csv.DictReader(file)
        assert tuple(reader.fieldnames) == ONSET_COLUMNS
        onsets = list(reader)
    assert [row["onset_index"] for row in onsets] == ["0", "1", "2", "3"]
    assert [row["kind"] for row in onsets] == ["strict", "strict", "redo", "redo"]
    assert counts.turns == 2
    assert [(row["has_redo"], row["n_onsets_redo"], row["has_doubt"]) for row in rows] == [
        ("True", "2", "False"),
        ("False", "0", "False"),
    ]


def test_a_failing_row_leaves_no_half_table(read, make_record, tmp_path):
    def rows():
        yield make_record("Final: 7")
        raise RuntimeError("disk")

    with pytest.raises(RuntimeError):
        write_events(rows(), read, tmp_path / "events.csv", tmp_path / "onsets.csv")
    assert list(tmp_path.iterdir()) == []


class TestCaps:
    def test_caps_are_powers_of_two_and_the_runs_own(self):
        assert caps_up_to(100) == [16, 32, 64, 100]
        assert caps_up_to(64) == [16, 32, 64]
        assert caps_up_to(8) == [8]

    def test_cut_rows_are_measured_as_if_generated_under_that_cap(self, r1_tokenizer, make_record):
        token_map = TokenMap(r1_tokenizer)
        caps = list(range(1, 40))
        reader = EventReader(DetectionConfig(), PromptingConfig(), token_map, {"p1": "7"}, caps)
        record = make_record("5 + 2 = 7.\n</think>\nSo \\boxed{7}. Or is it \\boxed{8}? No, \\boxed{7}.")
        correct_at = reader(record).correct_at
        for cap in caps:
            ids = record.completion_ids[:cap]
            shorter = record.model_copy(
                update={
                    "completion": decode(r1_tokenizer, ids),
                    "completion_ids": ids,
                    "completion_tokens": len(ids),
                    "finish_reason": "length" if cap < record.completion_tokens else "stop",
                }
            )
            assert correct_at[cap] is (reader(shorter).event["is_correct"] is True), cap
        assert len(set(correct_at.values())) == 2

    def test_curve(self, r1_tokenizer, make_record):
        reader = EventReader(
            DetectionConfig(), PromptingConfig(), TokenMap(r1_tokenizer), {"p1": "7", "p2": "18"}, [4, 99]
        )
        curve = CapCurve()
        for example in ("p1", "p2"):
            curve.add(reader(make_record("So 5 + 2.</think>Final: 7", example_id=example)))
        table = curve.table()
        assert table["cap"].tolist() == [4, 99]
        assert table["accuracy"].tolist() == [0.0, 0.5]
        assert table["truncation_rate"].tolist() == [1.0, 0.0]


def test_error_coupling_columns(read, make_record):
    measured = read(make_record("5 + 3 = 9. Wait, 5 + 3 = 8. Actually, fine.</think>Final: 7"))
    assert [row["preceded_by_error"] for row in measured.onsets] == [True, False]
    assert measured.event["preceded_by_error"] is True
    names = ("steps_right", "steps_wrong", "onsets_after_right", "onsets_after_wrong")
    assert [measured.event[name] for name in names] == [1, 1, 1, 1]


def test_steps_and_onsets_of_the_answer_part_are_no_reasoning(read, make_record):
    reasoning = "5 + 3 = 9. Wait, 5 + 3 = 8."
    answer = "\n</think>\n\nWait. 5 + 3 = 8, 8 - 1 = 7. Actually, \\boxed{7}"
    whole, part = read(make_record(reasoning + answer)), read(make_record(reasoning))
    names = ("steps_right", "steps_wrong", "onsets_after_right", "onsets_after_wrong")
    assert [whole.event[name] for name in names] == [part.event[name] for name in names] == [1, 1, 0, 1]
    assert [row["preceded_by_error"] for row in whole.onsets] == [True, None, None]
    cut = read(make_record(reasoning + answer, finish_reason="length"))
    assert cut.event["steps_right"] == 1
    without_tags = read(make_record(reasoning + " 8 - 1 = 7", variant="no_think_tags"))
    assert without_tags.event["steps_right"] == 2
