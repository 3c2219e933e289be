"""The sentence scorer and the quality tables: planted truth, held-out questions, files that run nothing."""

import json
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from backtracking.config.schema import DetectionConfig
from backtracking.errors import UserError
from backtracking.measurements.quality import (
    confusion_table,
    judged,
    quality_table,
    rests_on_few,
    scores,
    worst_table,
)
from backtracking.measurements.scorer_training import (
    Labelled,
    best_threshold,
    contexts_of,
    held_out_logits,
    labelled,
    train_scorer,
)
from backtracking.run import io
from backtracking.text.onsets import Detector
from backtracking.text.onsets.scorer import Context, Scorer, buckets, bundled_scorer, softmax
from tests.foundation.command import CommandLine, assert_one_clear_message

LABELLED = Path(__file__).parents[1] / "text" / "data" / "labelled_traces.jsonl"
PLANTED = {
    "none": ("The {} is left.", "So we have {} of them.", "Then {} follows."),
    "doubt": ("Is {} right?", "I doubt that {} holds.", "Can {} be so?"),
    "redo": ("Scratch the {}.", "Back to the {}.", "Instead take the {}."),
}


def planted(seed=0, traces=30):
    rng = random.Random(seed)
    data = []
    for number in range(traces):
        labels = rng.choices(list(PLANTED), k=9)
        sentences = [
            rng.choice(PLANTED[label]).format(rng.choice(("box", "term", "sum"))) for label in labels
        ]
        text, spans = "", []
        for sentence, label in zip(sentences, labels, strict=True):
            spans.append((len(text), len(text) + len(sentence), label))
            text += sentence + " "
        data += labelled(f"q{number}", text, spans)
    return data


@pytest.fixture(scope="module")
def trained():
    return train_scorer(planted())


def test_planted_kinds_are_learned_and_probabilities_are_shares(trained):
    fresh = planted(seed=9, traces=5)
    p = trained.probabilities([one.sentence for one in fresh])
    assert p.sum(axis=1) == pytest.approx(1)
    names = np.array(["none", "doubt", "redo"])[p.argmax(axis=1)]
    assert (names == [one.label for one in fresh]).mean() > 0.95
    judged_as = trained.judge([one.sentence for one in fresh])
    assert (judged_as["redo"] <= judged_as["doubt_or_redo"]).all()


def test_without_signal_the_probabilities_are_the_base_rates():
    data = planted()
    rng = random.Random(3)
    kinds = ("none", "none", "doubt", "redo")
    noise = [Labelled(one.sentence, rng.choice(kinds), one.question) for one in data]
    scorer = train_scorer(noise)
    p = scorer.probabilities([one.sentence for one in noise])
    assert p.mean(axis=0) == pytest.approx([0.5, 0.25, 0.25], abs=0.08)


def test_a_question_is_never_predicted_from_itself():
    """Questions whose words are theirs alone say nothing about each other."""
    rng = random.Random(1)
    words: dict[str, str] = {}
    data = []
    for one in planted(traces=12):
        letters = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=9))
        word = words.setdefault(one.question + one.label, letters)
        data.append(Labelled(Context(word), one.label, one.question))
    p = softmax(held_out_logits(data))
    truth = np.array([["none", "doubt", "redo"].index(one.label) for one in data])
    assert (p.argmax(axis=1) == truth).mean() < 0.7


def test_the_threshold_has_the_best_f1():
    rng = np.random.default_rng(0)
    probability, truth = rng.random(300), rng.random(300) < 0.3
    best = best_threshold(probability, truth)

    def f1(threshold):
        found = probability >= threshold
        return 2 * (found & truth).sum() / (found.sum() + truth.sum())

    assert f1(best) == pytest.approx(max(map(f1, probability)), abs=0.02)


def test_saved_and_read_again(trained, tmp_path):
    path = tmp_path / "scorer.safetensors"
    trained.save(path)
    again = Scorer.load(path)
    sentences = [one.sentence for one in planted(seed=2, traces=2)]
    assert again.probabilities(sentences) == pytest.approx(trained.probabilities(sentences), abs=0.01)
    assert again.thresholds == trained.thresholds
    for content in (b"", b"\x80\x04pickle", path.read_bytes()[:100]):
        path.write_bytes(content)
        with pytest.raises(UserError, match="does not hold a scorer"):
            Scorer.load(path)


def test_too_little_to_learn_from():
    with pytest.raises(UserError, match="too few labelled sentences"):
        train_scorer([one for one in planted() if one.label != "redo"])
    with pytest.raises(UserError, match="too few to train on"):
        train_scorer(planted(traces=3) * 5)


def test_neighbours_and_numbers():
    first, second = contexts_of("One.  Two\nthree. Four.", [(0, 4, "none"), (6, 16, "none")])
    assert (first, second) == (Context("One.", "", "Two three."), Context("Two three.", "One.", ""))
    assert buckets(Context("It is 5.")) == buckets(Context("It is 73."))
    assert buckets(Context("It is 5.", before="Wait.")) != buckets(Context("It is 5."))


def test_the_bundled_scorer_tells_minimal_pairs_apart():
    scorer = bundled_scorer()
    sentences = [
        Context(text) for text in ("Wait, is that right?", "Wait for the bus.", "Wait, no, that's wrong.")
    ]
    found = scorer.judge(sentences)
    assert found["doubt_or_redo"].tolist() == [True, False, True]
    assert found["redo"].tolist() == [False, False, True]


def test_quality_against_counting_by_hand():
    rows = pd.DataFrame(
        judged("q1", "Wait, no. It is 5. Is that right? Wait for me.",
               [(0, 9, "redo"), (10, 18, "doubt"), (19, 33, "none"), (34, 46, "none")],
               Detector(DetectionConfig()), bundled_scorer())
    )  # fmt: skip
    table = quality_table(rows, ["strict", "doubt_or_redo"]).set_index(["target", "detector"])
    line = table.loc["doubt_or_redo", "doubt_or_redo"]
    assert (line["hits"], line["false_alarms"], line["misses"]) == (1, 1, 1)
    assert line["precision"] == line["recall"] == line["f1"] == 0.5
    assert table.loc[("redo", "strict"), "false_alarms"] == 1
    counts = confusion_table(rows).set_index(["kind", "phrase"])
    assert counts.loc[("redo", "wait"), ["doubt", "redo", "none"]].tolist() == [0, 1, 0]
    worst = worst_table(rows)
    assert worst[["side", "sentence"]].to_numpy().tolist() == [
        ["false alarm", "Is that right?"],
        ["miss", "It is 5."],
    ]


def one_sentence_each(problems, detected, truth):
    return pd.DataFrame({"question": [f"q{k}" for k in range(problems)], "label": truth, "strict": detected})


def table_of(rows):
    return quality_table(rows, ["strict"]).set_index("target").loc["redo"]


@pytest.mark.parametrize("problems", [6, 20, 60])
def test_all_right_so_far_is_no_certainty(problems):
    """The interval ends at a rate that would give as much by chance once in 20 to 200 times."""
    line = table_of(one_sentence_each(problems, True, "redo"))
    for share in ("precision", "recall", "f1"):
        assert line[share] == line[f"{share}_high"] == 1
        assert 0.005 < line[f"{share}_low"] ** problems < 0.05
    nothing = table_of(one_sentence_each(problems, True, "none"))
    assert nothing["precision"] == nothing["precision_low"] == 0
    assert nothing["precision_high"] == pytest.approx(1 - line["precision_low"])
    assert pd.isna(nothing["recall"])


def test_the_intervals_hold_the_truth_as_often_as_they_say():
    """A detector that finds 95% of what there is, in labels of 12 problems of unlike difficulty."""
    rng = np.random.default_rng(5)
    held = {"precision": 0, "recall": 0}
    for _ in range(200):
        recall_of, alarm_of = rng.beta(19, 1, 12), rng.beta(0.2, 9.8, 12)
        question = np.repeat(np.arange(12), 20)
        truth = rng.random(240) < 0.2
        found = rng.random(240) < np.where(truth, recall_of[question], alarm_of[question])
        line = scores(found, truth, question)
        for share, value in (("recall", 0.95), ("precision", 0.2 * 0.95 / (0.2 * 0.95 + 0.8 * 0.02))):
            held[share] += line[f"{share}_low"] <= value <= line[f"{share}_high"]
    assert held["precision"] >= 184 and held["recall"] >= 184, held


def test_the_same_sentences_in_fewer_problems_say_less():
    many = one_sentence_each(40, True, "redo").assign(strict=[True] * 36 + [False] * 4)
    few = many.assign(question=np.repeat(["a", "b", "c", "d"], 10))
    wide, wider = (table_of(rows) for rows in (many, few))
    assert wide["recall"] == wider["recall"] == 0.9
    assert wider["recall_high"] - wider["recall_low"] > 2 * (wide["recall_high"] - wide["recall_low"])
    assert (wide["recall_problems"], wider["recall_problems"]) == (40, 4)
    assert rests_on_few(wider, "recall") and not rests_on_few(wide, "recall")


def test_problems_behind_a_share_are_those_that_could_show_it():
    rows = one_sentence_each(4, [True, True, False, False], ["redo", "none", "redo", "none"])
    line = table_of(rows)
    assert [line[f"{share}_problems"] for share in ("precision", "recall", "f1")] == [2, 2, 3]


@pytest.mark.parametrize(("found", "true"), [(5, 8), (8, 5), (8, 8)])
def test_f1_rests_on_few_where_one_of_its_parts_does(found, true):
    rows = one_sentence_each(
        8, [k < found for k in range(8)], ["redo" if k < true else "none" for k in range(8)]
    )
    line = table_of(rows)
    assert line["f1_problems"] == 8
    assert [rests_on_few(line, share) for share in ("precision", "recall", "f1")] == [
        found < 6,
        true < 6,
        min(found, true) < 6,
    ]


def test_few_labels_are_called_few(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    cli = CommandLine(capsys, monkeypatch)
    lines = LABELLED.read_text(encoding="utf-8").splitlines()
    Path("few.jsonl").write_text("\n".join(lines[:5]), encoding="utf-8")
    for source, is_few in (("few.jsonl", True), (LABELLED, False)):
        assert cli("import-traces", source, "--run-id", f"few-{is_few}", "-q").code == 0
        outcome = cli("detection-quality", "--run-id", f"few-{is_few}")
        line = next(
            line
            for line in outcome.out.splitlines()
            if line.startswith("doubt_or_redo  found by doubt_or_redo")
        )
        assert line.count("]*") == (3 if is_few else 0), line
        assert ("of fewer than 6 problems (F1: in one of its parts), too few" in outcome.out) or not is_few
        assert "nan" not in outcome.out


def test_from_labels_to_quality_scores_and_a_scorer_of_ones_own(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    cli = CommandLine(capsys, monkeypatch)
    assert cli("import-traces", LABELLED, "--run-id", "lab", "-q").code == 0
    outcome = cli("detection-quality", "--run-id", "lab")
    assert outcome.code == 0 and "229 labelled sentences of 16 problems" in outcome.out
    table = io.read_csv(Path("runs/lab/analysis/sentence_quality.csv"))
    assert (table["f1_low"] <= table["f1"]).all() and (table["f1"] <= table["f1_high"]).all()
    assert cli("onset-scorer", "score", "--run-id", "lab").code == 0
    scored = io.read_csv(Path("runs/lab/analysis/scored_sentences.csv"))
    assert len(scored) == 229 and scored["p_redo"].between(0, 1).all()
    rows = [json.loads(line) for line in LABELLED.read_text(encoding="utf-8").splitlines()]
    more = [
        row | {"id": f"{row['id']}-{k}", "prompt": f"{row['prompt']}{k}"} for row in rows for k in range(2)
    ]
    Path("more.jsonl").write_text("".join(json.dumps(row) + "\n" for row in more), encoding="utf-8")
    assert cli("onset-scorer", "train", "more.jsonl", "--out", "own.safetensors").code == 0
    assert cli("detection-quality", "--run-id", "lab", "--scorer", "own.safetensors").code == 0
    assert_one_clear_message(
        cli("onset-scorer", "score", "--run-id", "lab", "--scorer", "more.jsonl"), "scorer"
    )
