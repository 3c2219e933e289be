"""Onsets: which phrase, where it may stand, and what it must never be."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtracking.config.schema import DetectionConfig
from backtracking.text.onsets import Detector, first_onset, reasoning_end

DETECTOR = Detector(DetectionConfig())
ANYWHERE = Detector(DetectionConfig(position_policy="anywhere"))


def phrases(text, detector=DETECTOR):
    return [onset.phrase for onset in detector.find(text)]


@pytest.mark.parametrize(
    "text",
    [
        "Wait, that is wrong.",
        "  Wait, that is wrong.",
        "5 + 3 = 8. Wait, 5 + 4 = 9.",
        "Is it 8? Wait.",
        "It is 8! wait, no",
        "It is 8; wait, no",
        "Check this: wait, no",
        "It is 8, wait, no",
        "It is 8\nwait, no",
        "It is 8\n\n  Wait, no",
        "It is 8 — wait, no",
        "It is 8—wait, no",
        "It is 8 - wait, no",
        "It is 8 -- wait, no",
        "1. Wait, no",
        "2) Wait, no",
        "- Wait, no",
        "* Wait, no",
        "> Wait, no",
        "### Wait",
        "**Wait**, no",
        "_Wait_, no",
        "“Wait,” she wrote",
        'He said: "Wait, no"',
        "(wait, no)",
        "<think>\nWait, no",
        "</think>Wait, no",
        "= 8 Wait, no",
        "$5 + 3 = 8$ Wait, no",
        "\\(5+3\\) Wait, no",
        "Oh wait, no",
        "No, wait, no",
        "So wait, no",
        "and it is 8. And wait, no",
        "Hm. Okay so wait, no",
        "我们有八个。Wait, no",
        "That makes 8 😀 wait, no",
        "... wait, no",
        "8… wait, no",
        "WAIT",
        "wait",
    ],
)
def test_wait_at_a_clause_start_counts(text):
    assert "wait" in phrases(text)


@pytest.mark.parametrize(
    "text",
    [
        "The wait time is 5 minutes.",
        "They had to wait 5 minutes.",
        "what is actually needed",
        "She will hold on to it.",
        "They go there and wait.",
        "We can not wait so long",
        "the **wait** time",
        "a 5-minute wait",
        "on-hold on-wait",
        "an hour's wait",
    ],
)
def test_the_same_words_inside_a_clause_do_not(text):
    assert phrases(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "await",
        "waiter",
        "Waiting",
        "wait-list",
        "Wait's",
        "no-wait",
        "waits",
        "wait2",
        "factually",
        "Holdon",
        "o'wait",
    ],
)
@pytest.mark.parametrize("detector", [DETECTOR, ANYWHERE])
def test_other_words_never_count(text, detector):
    assert phrases(text, detector) == []


def test_anywhere_counts_inside_a_clause():
    assert phrases("The wait time is actually 5.", ANYWHERE) == ["wait", "actually"]
    matches = DETECTOR.all_matches("The wait time. Actually, 5.")
    assert [(match.phrase, match.clause_start) for match in matches] == [("wait", False), ("actually", True)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("But wait, no", ["but wait"]),
        ("It is 8 but wait, no", ["but wait"]),
        ("Hmm, wait. Let me check.", ["hmm", "wait", "let me check"]),
        ("Hold\n on. Let me double-check", ["hold on", "let me double-check"]),
        ("That’s not right", ["that's not right"]),
        ("Actually, wait", ["actually", "wait"]),
    ],
)
def test_phrases_in_order_without_overlaps(text, expected):
    assert phrases(text) == expected


def test_priority_decides_only_between_phrases_at_the_same_place():
    config = {"triggers_strict": ("wait", "wait a minute", "but wait"), "triggers_relaxed": ()}
    short = Detector(DetectionConfig(**config, onset_priority=("wait", "wait a minute")))
    long = Detector(DetectionConfig(**config, onset_priority=("wait a minute", "wait")))
    text = "But wait a minute. Wait a minute!"
    assert phrases(text, short) == ["but wait", "wait"]
    assert phrases(text, long) == ["but wait", "wait a minute"]
    unlisted = Detector(DetectionConfig(**config, onset_priority=()))
    assert phrases("Wait a minute!", unlisted) == ["wait a minute"]


def test_spans_are_exact():
    text = "Hmm.  But\nwait — Actually"
    for onset in DETECTOR.find(text):
        assert " ".join(text[onset.start : onset.end].lower().split()) == onset.phrase


def test_kind_and_first_onset():
    onsets = DETECTOR.find("Hmm, let me see. Wait, no. Actually, yes.")
    assert [onset.kind for onset in onsets] == ["relaxed", "strict", "strict"]
    assert first_onset(onsets).phrase == "wait"
    assert first_onset(DETECTOR.find("Hmm. Alternatively, 8.")).phrase == "hmm"
    assert first_onset([]) is None


def test_a_phrase_in_both_lists_is_strict():
    detector = Detector(DetectionConfig(triggers_strict=("wait",), triggers_relaxed=("Wait", "hmm")))
    assert [onset.kind for onset in detector.find("Wait. Hmm.")] == ["strict", "relaxed"]


def test_regions():
    regions = [onset.region for onset in DETECTOR.find("Wait. </think> Wait.", "</think>")]
    assert regions == ["think", "answer"]
    assert [onset.region for onset in DETECTOR.find("Wait. [end] Wait.", "[end]")] == ["think", "answer"]
    assert [onset.region for onset in DETECTOR.find("Wait. Wait.")] == ["think", "think"]
    assert reasoning_end("abc</think>") == 3
    assert reasoning_end("abc") is None


@given(st.text(max_size=300))
def test_any_text_is_survived_and_spans_hold_a_trigger(text):
    words = re.compile("wait|actually|hold|hmm|let|on|that|alternatively|made|but", re.IGNORECASE)
    for onset in DETECTOR.all_matches(text):
        assert words.search(text[onset.start : onset.end])


@given(
    st.lists(
        st.sampled_from(["wait", "Wait", "but", "the", ". ", ", ", " ", "\n", "-", "8", "'", "ı", "hmm"])
    )
)
def test_counted_onsets_are_a_subset_of_all_and_ordered(parts):
    text = "".join(parts)
    everywhere, counted = DETECTOR.all_matches(text), DETECTOR.find(text)
    assert set(counted) <= set(everywhere)
    assert all(one.end <= other.start for one, other in itertools.pairwise(everywhere))


@pytest.mark.parametrize(
    "bait", ["wait " * 25_000, "but " * 30_000 + "wait", "-" * 100_000 + "wait", "let me " * 15_000]
)
def test_hostile_text_is_read_to_its_end(bait):
    """That time grows no faster than the text is measured by benchmarks/hostile.py."""
    assert all(0 <= onset.start < onset.end <= len(bait) for onset in DETECTOR.find(bait))


@pytest.mark.parametrize(
    ("trigger", "text", "count"),
    [
        ("wait", "wait_time = 5", 0),
        ("wait", "the_wait = 5", 0),
        ("wait", "_Wait_, no", 1),
        ("wait", "好Wait。", 1),
        ("wait", "naïveWait", 0),
        ("等等", "好的等等我错了", 1),
        ("weiß nicht", "Ich weiß nicht.", 1),
    ],
)
def test_word_boundaries_of_names_and_other_scripts(trigger, text, count):
    config = DetectionConfig(triggers_strict=(trigger,), position_policy="anywhere")
    assert len(Detector(config).find(text)) == count


def test_the_priority_names_triggers():
    with pytest.raises(ValueError, match="no trigger is called 'nope'"):
        DetectionConfig(onset_priority=("wait", "nope"))
    DetectionConfig(triggers_strict=("oops",), onset_priority=("Oops", "hmm"))
