"""What one completion adds to the tables, counted with a finger; each character is a token."""

import csv

import pandas as pd
import pytest

from backtracking.config.schema import DetectionConfig, PromptingConfig
from backtracking.measurements.events import EventReader, write_events
from backtracking.measurements.metrics import OUTCOMES
from backtracking.measurements.outcome import (
    ANY,
    ANYWHERE,
    FEWEST_WRONG_STEPS,
    NEEDLESS,
    NOTICING,
    FallingOutcome,
    fall,
    outcomes_shown,
    ways,
)
from backtracking.run.records import GenerationRecord
from backtracking.text.tokenization import TokenText

PROMPT = 10


def by_character(ids, text):
    """Stands for a tokenizer whose every token is one character."""
    assert len(ids) == len(text)
    return TokenText(text, range(len(text)), range(1, len(text) + 1))


def record(text, finish_reason="stop", **more):
    return GenerationRecord(
        example_id="p1", sample_id=0, variant="v", condition="baseline", prompt="", prompt_ids=[0] * PROMPT,
        completion=text, completion_ids=[ord(char) for char in text], finish_reason=finish_reason,
        prompt_tokens=PROMPT, completion_tokens=len(text), gen_params={}, seed_key="", **more,
    )  # fmt: skip


def reader(detection=None, caps=(), gold="8", coupled="strict"):
    return EventReader(
        detection or DetectionConfig(), PromptingConfig(), by_character, {"p1": gold}, caps, coupled
    )


def read(text, finish_reason="stop", **how):
    return reader(**how)(record(text, finish_reason)).event


def test_an_answer_alone_has_its_place_among_the_tokens():
    event = read("It is \\boxed{8}.")
    assert (event["answer_token"], event["reasoning_tokens"]) == (len("It is \\boxed{8}"), -1)
    assert (event["predicted_answer"], event["is_correct"]) == ("8", True)
    assert (event["onset_token_in_completion"], event["pred_pos_in_full"], event["onset_phrase"]) == (
        -1,
        -1,
        None,
    )


def test_the_close_of_the_reasoning_has_its_place():
    event = read("So 8.</think>")
    assert (event["reasoning_tokens"], event["answer_token"]) == (5, -1)
    assert event["is_correct"] is None


def test_an_onset_at_the_first_token():
    event = read("Wait.")
    assert (event["onset_token_in_completion"], event["onset_char"]) == (0, 0)
    assert (event["pred_pos_in_full"], event["onset_token_in_full"]) == (PROMPT - 1, PROMPT)
    assert (event["onset_token_id"], event["onset_token_text"]) == (ord("W"), "W")
    assert (event["onset_kind"], event["onset_region"]) == ("strict", "think")


def test_rows_without_tokens_have_places_in_the_text_alone():
    row = record("So. Wait.").model_copy(update={"completion_ids": []})
    event = reader()(row).event
    assert (event["onset_char"], event["onset_token_in_completion"]) == (4, -1)
    assert (event["pred_pos_in_full"], event["onset_token_in_full"], event["onset_token_id"]) == (-1, -1, -1)
    assert event["onset_token_text"] is None


@pytest.mark.parametrize(
    ("text", "policy", "counts"),
    [
        ("Hmm. Wait, no. The wait.", "clause_start", (True, True, 1, 2, True, True, True, True)),
        ("Hmm. Wait, no. The wait.", "anywhere", (True, True, 2, 3, True, True, True, True)),
        ("Hmm. The wait.", "clause_start", (False, True, 0, 1, True, True, False, True)),
        ("Hmm. The wait.", "anywhere", (True, True, 1, 2, True, True, False, True)),
        ("Hmm. So.", "clause_start", (False, True, 0, 1, False, True, False, True)),
        ("The wait.", "clause_start", (False, False, 0, 0, True, True, False, False)),
        ("So it is.", "clause_start", (False, False, 0, 0, False, False, False, False)),
    ],
)
def test_onsets_by_either_policy(text, policy, counts):
    event = read(text, detection=DetectionConfig(position_policy=policy))
    names = ["has_backtracking_strict", "has_backtracking_relaxed", "n_onsets_strict", "n_onsets_relaxed"]
    names += [f"{kind}_{place}" for place in ("anywhere", "clause_start") for kind in ("strict", "relaxed")]
    assert tuple(event[name] for name in names) == counts


def test_every_onset_has_a_row():
    text = "5 + 3 = 9. Hmm. Wait, no. </think> Wait."
    measured = reader()(record(text))
    assert [(row["phrase"], row["region"], row["char_start"]) for row in measured.onsets] == [
        ("hmm", "think", 11),
        ("wait", "think", 16),
        ("wait", "answer", 35),
    ]
    assert [row["preceded_by_error"] for row in measured.onsets] == [True, True, None]
    assert [row["onset_index"] for row in (*measured.onsets, *measured.turns)] == list(
        range(len(measured.onsets) + len(measured.turns))
    )
    first = measured.onsets[0]
    assert (first["token_start"], first["token_end"], first["pred_pos_in_full"]) == (11, 14, PROMPT + 10)
    assert (first["kind"], first["clause_start"], first["char_end"]) == ("relaxed", True, 14)
    event = measured.event
    assert (event["onset_phrase"], event["onset_char"]) == ("wait", 16), "the first strict one"
    assert (event["steps_right"], event["steps_wrong"]) == (0, 1)
    assert (event["fresh_wrong"], event["onsets_after_fresh_wrong"]) == (1, 1)
    assert event["n_onsets_redo"] == sum(row["kind"] == "redo" for row in measured.turns) > 0
    assert event["has_redo"] and not event["has_doubt"]


def test_steps_are_read_up_to_the_end_of_the_reasoning():
    assert read("5 + 3 = 8.</think> 2 + 2 = 5")["steps_wrong"] == 0
    assert read("5 + 3 = 8. 2 + 2 = 5")["steps_wrong"] == 1


def test_the_last_step_of_a_cut_row_was_not_seen_to_its_end():
    for finish_reason, text, fresh in [("length", "5 + 3 = 9.", 0), ("stop", "5 + 3 = 9.", 1),
                                       ("length", "5 + 3 = 9.</think>", 1)]:  # fmt: skip
        event = read(text, finish_reason)
        assert event["fresh_wrong"] == fresh
        assert event["truncated"] is (finish_reason == "length")


def test_correct_at_a_cap_is_what_a_cut_row_would_have_been():
    text = "It is \\boxed{8}."
    end = len("It is \\boxed{8}")
    caps = (end - 1, end, end + 1, len(text), len(text) + 1)
    assert reader(caps=caps)(record(text)).correct_at == dict(
        zip(caps, (False, True, True, True, True), strict=True)
    )
    assert reader(caps=caps, gold="9")(record(text)).correct_at == dict.fromkeys(caps, False)


def test_without_a_gold_answer_nothing_is_right_or_wrong():
    event = read("\\boxed{8}", gold="")
    assert (event["is_correct"], event["has_gold"]) == (None, False)


def test_what_was_written_is_counted(tmp_path):
    rows = [
        record("Wait. Hmm."),
        record("", "error"),
        record("So."),
        record("", "error"),
        record("Wait, no."),
    ]
    counts = write_events(rows, reader(), tmp_path / "events.csv", tmp_path / "onsets.csv")
    assert (counts.completions, counts.onsets, counts.failed) == (3, 3, 2)
    with (tmp_path / "onsets.csv").open(newline="") as file:
        kinds = [row["kind"] for row in csv.DictReader(file)]
    assert len(kinds) == counts.onsets + counts.turns
    assert counts.turns == sum(kind in ("doubt", "redo") for kind in kinds) > 0


# What an arm is judged on


def steps(wrong, after_wrong, right=None):
    sums = {"fresh_wrong": wrong, "onsets_after_fresh_wrong": after_wrong}
    if right is not None:
        sums |= {"fresh_right": right, "onsets_after_fresh_right": [0] * len(right)}
    return pd.DataFrame(sums)


WRONG, RIGHT = OUTCOMES["onset_after_wrong"], OUTCOMES["onset_after_right"]


def test_ways_weigh_as_many_as_their_steps():
    assert ways(steps([5, 25], [1, 2], right=[40, 50])) == [
        FallingOutcome(NOTICING, WRONG, 0.25),
        FallingOutcome(NEEDLESS, RIGHT, 0.75),
    ]
    assert ways(steps([5, 25], [1, 2], right=[1, 0]))[1] == FallingOutcome(NEEDLESS, RIGHT, 1 / 31)
    assert ways(steps([5, 25], [1, 2], right=[0, 0])) == [FallingOutcome(NOTICING, WRONG, 1.0)]
    assert ways(steps([5, 25], [1, 2])) == [FallingOutcome(NOTICING, WRONG, 1.0)]
    assert ways(steps([FEWEST_WRONG_STEPS - 1], [1])) == [FallingOutcome(ANY, ANYWHERE, 1.0)]


def test_needless_checks_are_shown_where_errors_noticed_would_hide_them():
    judged = pd.DataFrame({"judged_on": ["onset_after_wrong"], RIGHT.name: [0.2]})
    assert outcomes_shown(judged) == [WRONG, RIGHT]
    assert outcomes_shown(judged.assign(**{RIGHT.name: [float("nan")]})) == [WRONG]
    assert outcomes_shown(judged.drop(columns=RIGHT.name)) == [WRONG]
    assert outcomes_shown(judged.assign(judged_on="backtracking")) == [ANYWHERE]


@pytest.mark.parametrize(("removed", "what_fell"), [(0.1, ANY), (0.09, "")])
def test_a_fall_counts_from_a_tenth_on(removed, what_fell):
    base = pd.Series({"backtracking_rate": 1.0})
    row = pd.Series({f"backtracking_diff{end}": -removed for end in ("", "_low", "_high", "_p_holm")})
    found = fall(row, base, [FallingOutcome(ANY, ANYWHERE, 1.0)], margin=0.05)
    assert found == {
        "onsets_removed": pytest.approx(removed),
        "onsets_removed_low": pytest.approx(removed),
        "onsets_removed_high": pytest.approx(removed),
        "what_fell": what_fell,
    }
