"""Doubt and redo: what the rules take for which, what they leave alone, and that nothing slows them."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from backtracking.config.onsets import OnsetRule
from backtracking.config.schema import DetectionConfig
from backtracking.text.onsets import Detector, onset_words, rules, turn_rules

DETECTOR = Detector(DetectionConfig())
TRACES = Path(__file__).parent / "data" / "labelled_traces.jsonl"
FRESH = Path(__file__).parent / "data" / "labelled_fresh.jsonl"


def kinds(text, detector=DETECTOR):
    return [onset.kind for onset in detector.turns(text)]


@pytest.mark.parametrize(
    "text",
    [
        "Wait, is that right?",
        "So it is 12. Wait, is that right?",
        "Wait, let me check that again.",
        "Wait, but the question says three boxes.",
        "But what if the list is empty?",
        "Hmm, I'm not sure if this works.",
        "I don't think that's the one, though.",
        "Maybe I'm overcomplicating this.",
        "But that doesn't make sense.",
        "But that seems too high.",
        "Let me make sure I haven't missed a case.",
        "Let me double-check.",
        "I’m not entirely sure about the third step.",
        "So the total is 5, which seems too low.",
        "Is that correct?",
        "It is 8, I think, but I'm not certain.",
        "I'm stuck.",
        "Something's off here.",
        "Not quite.",
        "But that's more than what he had.",
    ],
)
def test_doubt(text):
    assert kinds(text) == ["doubt"]


@pytest.mark.parametrize(
    "text",
    [
        "Going back to school takes 20 minutes.",
        "She is going back to the shop.",
        "Going back to the start takes 5 turns.",
        "Maybe is the brand name.",
        "Not quite half of them are left.",
    ],
)
def test_journeys_and_names_are_neither(text):
    assert kinds(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "Wait, no.",
        "Scrap that.",
        "Start again from the top: 5 + 3.",
        "Going back to the problem, he has 3.",
        "Wait no, that's the other one.",
        "5 + 3 = 9. Wait, 5 + 3 = 8.",
        "Hold on, I forgot the last box.",
        "Alternatively, I could use symmetry.",
        "Another approach: count the complement.",
        "Hmm, maybe I should start with the other box.",
        "Let me think differently.",
        "Let me try another way.",
        "Okay, so let me go back to the beginning.",
        "I need a different approach.",
        "Going back to the equation, x is 4.",
        "Scratch that.",
        "No, that's not right.",
        "I think I made a mistake.",
        "Actually, no, it's 7.",
        "This approach isn't working.",
        "Maybe I should use the other formula instead.",
    ],
)
def test_redo(text):
    assert kinds(text) == ["redo"]


@pytest.mark.parametrize(
    "text",
    [
        "Hmm, let me see.",
        "Okay, so I have three boxes.",
        "Wait for the bus.",
        "Then wait 10 minutes and turn it off.",
        "Wait until the water boils.",
        "Waiting costs nothing.",
        "The wait time is 5 minutes.",
        "They hold on to the rope.",
        "Let me check: 3 * 4 = 12.",
        "Let me try to understand the problem.",
        "Alternatively named functions are fine.",
        "She goes back to school.",
        "What is the total number of apples?",
        "It actually moves.",
        "So the answer is 18.",
    ],
)
def test_neither(text):
    assert kinds(text) == []


def test_one_onset_of_a_kind_in_a_sentence_and_exact_spans():
    text = "Hmm. Wait, maybe I should redo this, scratch that, from scratch. But is it right? I'm not sure."
    onsets = DETECTOR.turns(text)
    assert [onset.kind for onset in onsets] == ["redo", "doubt", "doubt"]
    assert [text[onset.start : onset.end].lower() for onset in onsets] == [onset.phrase for onset in onsets]


def test_positions_survive_letters_that_grow_when_lower_cased():
    text = "İİİ is a city. Wait, no."
    onset = DETECTOR.turns(text)[0]
    assert text[onset.start : onset.end] == "Wait"


def test_regions():
    assert [o.region for o in DETECTOR.turns("Wait, no. </think> Wait, no.")] == ["think", "answer"]


def test_rules_of_the_config_take_the_place_of_the_bundled_ones():
    rule = OnsetRule(phrases=("zut|flûte alors?",), next=("non",), not_later=("peut-être",))
    detector = Detector(DetectionConfig(redo=(rule,), doubt=()))
    assert (
        kinds("Zut alors, non. Wait, no. Flûte, non, peut-être. Zut, oui. Flûte non!", detector)
        == ["redo"] * 2
    )


def test_a_rule_may_ask_for_a_question_or_none():
    detector = Detector(
        DetectionConfig(
            redo=(OnsetRule(phrases=("really",), question=False),),
            doubt=(OnsetRule(phrases=("really",), question=True),),
        )
    )
    assert kinds("Really, 5? Really, 5. He really does.", detector) == ["doubt", "redo"]


def test_anywhere_and_clause_start():
    def found(position):
        return kinds(
            "It is odd, odd. An odd one.", Detector(DetectionConfig(redo=(), doubt=(rule(position),)))
        )

    def rule(position):
        return OnsetRule(phrases=("odd",), position=position)

    assert (len(found("clause_start")), len(found("anywhere"))) == (1, 2)


@pytest.mark.parametrize(
    "phrase", ["", "so? well?", "* wait", "# waits", "a||b", "a? " * 7 + "b", "wait " * 200]
)
def test_phrases_that_cannot_be_read_are_refused(phrase):
    with pytest.raises(ValidationError):
        OnsetRule(phrases=(phrase,))


def test_characters_of_regular_expressions_mean_themselves():
    detector = Detector(DetectionConfig(redo=(OnsetRule(phrases=("wait(.*)+",)),), doubt=()))
    assert kinds("wait wait wait", detector) == []


def test_kinds_by_name():
    text = "Hmm. Wait, no. Is that right? Alternatively, 5."
    counts = {
        kind: len(DETECTOR.of_kind(text, kind))
        for kind in ("strict", "relaxed", "doubt", "redo", "doubt_or_redo")
    }
    assert counts == {"strict": 1, "relaxed": 3, "doubt": 1, "redo": 2, "doubt_or_redo": 3}


def test_words_that_stand_for_a_kind_are_telling_ones():
    words = {kind: set(onset_words(DetectionConfig(), kind)) for kind in ("strict", "doubt", "redo")}
    assert {"wait", "alternatively", "oops"} <= words["redo"]
    assert {"wait", "maybe"} <= words["doubt"]
    assert not {"is", "i", "that", "let"} & (words["redo"] | words["doubt"])
    assert words["strict"] == {"wait", "hold on", "actually", "but wait"}


HOSTILE = ("wait ", "but ", "wait,", "so ", "let me ", ".", "(", "maybe i ", "is that ", "- ", "i'm not ")


@pytest.mark.parametrize("bait", [part * (100_000 // len(part)) for part in HOSTILE])
def test_hostile_text_stays_linear(bait):
    """A pattern that went back over its steps would not return from a hundred thousand characters."""
    ends = [onset.end for onset in DETECTOR.turns(bait)]
    assert ends == sorted(ends)


@given(st.text(max_size=200))
def test_any_text_is_survived(text):
    assert all(0 <= onset.start < onset.end <= len(text) for onset in DETECTOR.turns(text))


@given(
    st.lists(
        st.sampled_from(
            ["wait", "Wait", "but", "BUT  wait", "hold on", "hmm", ". ", ", ", " ", "\n", "’", "'", "-", "_",
             "é", "≥", "K", "ſ", "İ", "that’s not right", "8"]
        )
    )
)  # fmt: skip
def test_the_quick_search_for_phrases_finds_what_the_whole_pattern_finds(parts):
    text = "".join(parts)
    expected = [match.span() for match in DETECTOR._pattern.finditer(text)]
    assert [(onset.start, onset.end) for onset in DETECTOR.all_matches(text)] == expected


@pytest.mark.parametrize(
    ("traces", "floor"), [(TRACES, 0.85), (FRESH, 0.8)], ids=["by the same hand", "fresh"]
)
def test_labelled_traces_are_read_as_their_writer_meant_them(traces, floor):
    """A floor against mistakes, not a measurement: docs/measurement.md has the first readings."""
    hits = alarms = misses = 0
    for line in traces.read_text(encoding="utf-8").splitlines():
        for sentence in json.loads(line)["sentences"]:
            found, meant = bool(kinds(sentence["text"])), sentence["label"] != "none"
            hits, alarms, misses = (
                hits + (found and meant),
                alarms + (found > meant),
                misses + (meant > found),
            )
    assert 2 * hits / (2 * hits + alarms + misses) > floor


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("I'm not 100% sure.", {"doubt"}),
        ("It could also be written as n(n + 1).", set()),
        ("This could be done with logarithms.", set()),
        ("It could also be 12.", {"doubt"}),
    ],
)
def test_what_could_be_done_as_well_is_no_doubt(text, found):
    assert set(kinds(text)) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Maybe 10% of the people took the bus.", []),
        ("Maybe 10% of the people took the bus?", ["doubt"]),
        ("Maybe 10% is not right.", ["doubt"]),
        ("Maybe 10%.", ["doubt"]),
        ("He made a mistake on 3 of the 20 questions.", []),
        ("I must have made a mistake.", ["redo"]),
        ("Instead of 5 apples, Tom now has 8.", []),
        ("Instead, count the cores.", ["redo"]),
        ("Alternatively fuelled cars make up 20% of the fleet.", []),
        ("Alternatively, fuel costs half.", ["redo"]),
        ("Let me verify this with a small case.", ["doubt"]),
        ("Let me verify.", ["doubt"]),
        ("Let me check the menu for prices.", []),
        ("Perhaps half of them are red.", []),
        ("Perhaps half of them were meant, not all.", ["doubt"]),
        ("Or maybe 12 eggs.", ["doubt"]),
        ("Maybe about 20 guests came.", []),
        ("Maybe about 20 guests were meant instead.", ["doubt"]),
        ("Maybe it's 18.", ["doubt"]),
    ],
)
def test_an_estimate_of_how_many_is_no_doubt(text, found):
    assert kinds(text) == found


def test_a_number_in_a_phrase():
    rule = OnsetRule(phrases=("only # left|over",))
    detector = Detector(DetectionConfig(redo=(), doubt=(rule,)))
    for text, found in {
        "Only $1,250.50 left.": 1,
        "Only 18 over.": 1,
        "Only some left.": 0,
        "Only 18": 0,
    }.items():
        assert len(kinds(text, detector)) == found, text


def test_rule_files_use_only_what_the_grammar_has():
    folder = Path(__file__).parents[2] / "src/backtracking/assets/onsets"
    for path in sorted(folder.glob("*.yaml")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if not line.strip().startswith("#"):
                assert not re.search(r"[\\^$+()]", line), f"{path.name}: {line}"


COMPILED = {
    position: [
        rules._Compiled(kind, rule, phrase)
        for kind, members in turn_rules(DetectionConfig()).items()
        for rule in members
        if rule.position == position
        for phrase in rule.phrases
    ]
    for position in ("clause_start", "anywhere")
}


def every_phrase_at_every_place(text):
    """What the rules find by their meaning alone: no table of first words, no look ahead."""

    def first_hit(phrases, place):
        ends = ((phrase.kind, place, phrase.end(text, place)) for phrase in phrases)
        return next((hit for hit in ends if hit[2] is not None), None)

    def joins(mark):
        return text[mark] == "-" and not text[mark + 1].isspace()

    def opens_clause(place):
        marks = range(max(0, place - 13), place)
        return (
            not text[:place].strip()
            or text[place - 1 :].startswith(" but ")
            or any(re.fullmatch(rules._CLAUSE, text[mark:place]) and not joins(mark) for mark in marks)
        )

    found = set()
    for match in re.finditer(r"(?<![^\W_])[^\W_]", text):
        found.add(first_hit(COMPILED["anywhere"], match.start()))
        place, said = match.start(), 0
        while said <= 3 and (said or opens_clause(place)):
            hit = first_hit(COMPILED["clause_start"], place)
            found.add(hit)
            word = re.compile(r"[^\W_]+(?:'[^\W_]+)?").match(text, place)
            gap = word and re.compile(r"[\s,.…!:—–-]{1,4}").match(text, word.end())
            if hit or not gap or word.group() not in rules._LEAD_INS:
                break
            place, said = gap.end(), said + 1
    hits = sorted(found - {None}, key=lambda hit: hit[1:])
    return list(rules._one_per_sentence(hits, text))


WORDS = sorted(
    {
        word
        for members in turn_rules(DetectionConfig()).values()
        for rule in members
        for phrase in (*rule.phrases, *rule.next, *rule.not_next)
        for word in re.findall(r"[\w']+", phrase.lower().replace("_", " ").replace("#", "18"))
    }
)
SEPARATORS = [" "] * 6 + [", ", ". ", "? ", "\n", "-", "… ", ": ", "  ", "_", " (", " — ", "1. "]


@given(st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(SEPARATORS)), max_size=12))
@settings(max_examples=60)
def test_what_makes_rules_fast_changes_nothing(pieces):
    text = "".join(word + separator for word, separator in pieces)
    found = [(onset.kind, onset.start, onset.end) for onset in DETECTOR.turns(text)]
    assert found == every_phrase_at_every_place(text)


def test_what_makes_rules_fast_changes_nothing_in_traces():
    for trace in list(map(json.loads, TRACES.read_text().splitlines()))[:3]:
        text = " ".join(sentence["text"] for sentence in trace["sentences"])
        found = [(onset.kind, onset.start, onset.end) for onset in DETECTOR.turns(text)]
        assert found == every_phrase_at_every_place(text.lower().replace("’", "'"))
