"""Hand labels: what is drawn, what the labeller sees, and whether the scores recover the truth."""

import random

import pandas as pd
import pytest

from backtracking.config.schema import DetectionConfig
from backtracking.errors import UserError
from backtracking.measurements.labels import (
    DETECTORS,
    SAMPLE_COLUMNS,
    draw_sample,
    score_detectors,
    sentences,
)
from backtracking.run.records import GenerationRecord
from backtracking.text.onsets import Detector

DETECTION = DetectionConfig()
TURNS_BACK = ["Wait, that is wrong.", "Hmm, let me see.", "No, I misread it."]
GOES_ON = [
    "He has 5 apples.",
    "The wait time is 5.",
    "Wait times were 5 minutes.",
    "So 5 + 3 = 8.",
    "Then 4.5 remain.",
]


def record(text, example_id="p1"):
    return GenerationRecord(
        example_id=example_id,
        sample_id=0,
        variant="v",
        condition="baseline",
        prompt="",
        prompt_ids=[],
        completion=text,
        completion_ids=[],
        finish_reason="stop",
        prompt_tokens=0,
        completion_tokens=0,
        gen_params={},
        seed_key="",
    )


@pytest.fixture(scope="module")
def corpus():
    rng = random.Random(0)
    return [
        record(
            " ".join(rng.choices(TURNS_BACK + GOES_ON, weights=[3, 2, 1, 8, 2, 1, 8, 8], k=12)), f"p{problem}"
        )
        for problem in range(120)
        for _ in range(2)
    ]


def with_truth(sheet):
    return sheet.assign(label=["y" if text in TURNS_BACK else "n" for text in sheet["sentence"]])


def test_sentences_partition_the_text_and_keep_decimals_whole():
    text = "He has 4.5 apples. Wait, no!\nIs it 5? Yes"
    found = list(sentences(record(text), Detector(DETECTION)))
    assert [sentence.text for sentence in found] == ["He has 4.5 apples.", "Wait, no!", "Is it 5?", "Yes"]
    assert [sentence.detected["strict"] for sentence in found] == [False, True, False, False]
    assert (found[1].before, found[1].after) == ("He has 4.5 apples.", "Is it 5?")


def test_tags_and_rules_are_no_sentences():
    text = "<think>\n<think>Let me see. It is 5.</think>\n\n---\n**</answer>\nWait. <b\nIs 3<5>4?<|im_end|>"
    found = [sentence.text for sentence in sentences(record(text), Detector(DETECTION))]
    assert found == ["Let me see.", "It is 5.", "Wait.", "<b", "Is 3<5>4?"]
    onset = "<think>Wait, no. It is 5."
    assert [s.detected["strict"] for s in sentences(record(onset), Detector(DETECTION))] == [True, False]


def test_the_sheet_is_blind_and_reproducible(corpus):
    sheet, key = draw_sample(corpus, DETECTION, count=80, seed=1)
    assert list(sheet.columns) == SAMPLE_COLUMNS
    assert (sheet["label"] == "").all()
    assert len(sheet) == len(key) == 80
    again, _ = draw_sample(corpus, DETECTION, count=80, seed=1)
    other, _ = draw_sample(corpus, DETECTION, count=80, seed=2)
    assert sheet.equals(again)
    assert not sheet.equals(other)


def test_all_strata_are_drawn_and_their_sizes_known(corpus):
    _, key = draw_sample(corpus, DETECTION, count=100, seed=1)
    assert set(key["stratum"]) == {"redo", "strict", "relaxed", "phrase elsewhere", "no phrase"}
    assert key["stratum"].value_counts().min() >= 10
    population = key.groupby("stratum")["population"].first()
    assert population.sum() == 12 * len(corpus)


def test_what_only_the_scorer_finds_is_a_group_of_its_own():
    text = "The rate is 5 per hour. Hmmm so is this one even the right number to use? Then 4 remain."
    found = list(sentences(record(text), Detector(DETECTION)))
    for sentence in found:
        by_rule = sentence.detected["doubt_or_redo"] or sentence.detected["relaxed_anywhere"]
        assert (sentence.stratum == "scorer only") == (sentence.detected["scorer"] and not by_rule)
    assert found[0].stratum == "no phrase"


def test_keys_of_earlier_samples_are_still_scored(corpus):
    sheet, key = draw_sample(corpus, DETECTION, count=100, seed=1)
    older = key.drop(columns=["doubt", "redo", "doubt_or_redo", "scorer"])
    assert list(score_detectors(with_truth(sheet), older)["detector"]) == list(DETECTORS[:4])


def test_a_small_corpus_gives_what_it_has():
    sheet, _ = draw_sample([record("Wait, no. He has 5.")], DETECTION, count=100, seed=1)
    assert len(sheet) == 2


def test_scores_recover_precision_and_recall_of_the_whole_corpus(corpus):
    sheet, key = draw_sample(corpus, DETECTION, count=1000, seed=1)
    table = score_detectors(with_truth(sheet), key).set_index("detector")
    truth = {name: [0, 0, 0] for name in ("strict", "relaxed_anywhere")}
    for row in corpus:
        for sentence in sentences(row, Detector(DETECTION)):
            for name, counts in truth.items():
                yes, found = sentence.text in TURNS_BACK, sentence.detected[name]
                counts[0] += yes and found
                counts[1] += found and not yes
                counts[2] += yes and not found
    for name, (hits, alarms, misses) in truth.items():
        line = table.loc[name]
        assert line["precision_low"] <= hits / (hits + alarms) <= line["precision_high"]
        assert line["recall_low"] <= hits / (hits + misses) <= line["recall_high"]
        assert line["precision"] == pytest.approx(hits / (hits + alarms), abs=0.05)
        assert line["recall"] == pytest.approx(hits / (hits + misses), abs=0.05)
    assert table.loc["strict", "precision"] > table.loc["strict_anywhere", "precision"]


def test_unlabelled_sentences_do_not_count(corpus):
    sheet, key = draw_sample(corpus, DETECTION, count=100, seed=1)
    half = with_truth(sheet)
    half.loc[50:, "label"] = ""
    assert score_detectors(half, key)["labelled"].tolist() == [50] * len(DETECTORS)


def test_no_miss_among_few_labels_is_no_certainty():
    key = pd.DataFrame(
        [
            {"item": item, "example_id": f"p{item}", "stratum": stratum, "population": size}
            | dict.fromkeys(DETECTORS, stratum == "strict")
            for item, (stratum, size) in enumerate([("strict", 300)] * 20 + [("no phrase", 4000)] * 20)
        ]
    )
    sheet = key[["item"]].assign(label=["y"] * 20 + ["n"] * 20)
    line = score_detectors(sheet, key).iloc[0]
    assert line["precision"] == line["recall"] == line["recall_high"] == 1
    assert line["precision_low"] > 0.85
    assert line["recall_low"] < 0.5
    everything = score_detectors(sheet, key.assign(population=20)).iloc[0]
    assert everything["recall_low"] == 1


def test_a_group_without_labels_is_refused(corpus):
    sheet, key = draw_sample(corpus, DETECTION, count=100, seed=1)
    blank = key.loc[key["stratum"] == "no phrase", "item"]
    some = with_truth(sheet)
    some.loc[some["item"].isin(blank), "label"] = ""
    with pytest.raises(UserError, match="group 'no phrase'"):
        score_detectors(some, key)


def test_mistakes_in_the_sheet_are_named(corpus):
    sheet, key = draw_sample(corpus, DETECTION, count=20, seed=1)
    with pytest.raises(UserError, match="no sentence is labelled"):
        score_detectors(sheet, key)
    with pytest.raises(UserError, match="neither yes nor no, at items 3"):
        score_detectors(sheet.assign(label=["maybe" if item == 3 else "y" for item in sheet["item"]]), key)
