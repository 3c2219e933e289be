"""Probes against known answers; the direction on planted models; the saved file as an intervention."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from scipy.stats import mannwhitneyu

from backtracking.interventions import Condition, Intervention, When
from backtracking.measurements.controls import Event, Reading
from backtracking.mechanism.direction import Sample, SampledStates, Split, split_samples
from backtracking.mechanism.probes import ProbeSpace, auroc, auroc_interval
from backtracking.mechanism.readouts import Openings, Target
from backtracking.model.hooks import intervene
from backtracking.stages.execute import execute
from backtracking.stages.phase1.direction import Direction

from .worlds import FLAG, ONSET, STOP, VARIANT, WAIT, Plant, Rows, planted, write_run

KINDS = ("onset", "matched_row", "same_row_earlier")
TARGET = Target(onset=WAIT, family=Openings.of([(WAIT,)]), triggers=Openings.of([(WAIT,)]), contrasts={})


def test_auroc_is_the_mann_whitney_statistic():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 6, size=60).astype(float)
    positive = rng.random(60) < 0.4
    reference = mannwhitneyu(scores[positive], scores[~positive]).statistic
    assert auroc(scores, positive) == pytest.approx(reference / (positive.sum() * (~positive).sum()))


def test_probe_is_at_the_minimum_of_its_loss():
    """Checked with autograd on the penalised loss in the full feature space."""
    rng = np.random.default_rng(1)
    features, positive = rng.normal(size=(40, 90)), rng.random(40) < 0.5
    score = ProbeSpace(features).fit(positive)
    spread = features.std(0) * np.sqrt(90)
    rows = torch.tensor((features - features.mean(0)) / spread)
    margin = torch.tensor(score(features))
    # Recover the weights from the scores: the rows span them.
    weights = torch.linalg.lstsq(
        torch.cat([rows, torch.ones(40, 1)], 1), margin[:, None], driver="gelsd"
    ).solution[:, 0]
    weights.requires_grad_()
    signs = torch.tensor(np.where(positive, 1.0, -1.0))
    loss = torch.nn.functional.softplus(-signs * (rows @ weights[:-1] + weights[-1])).sum()
    (loss + 0.5 * (weights[:-1] ** 2).sum()).backward()
    assert float(weights.grad.abs().max()) < 0.02


def test_interval_covers_no_difference_and_finds_a_clear_one():
    rng = np.random.default_rng(2)
    problems = [f"p{k // 4}" for k in range(120)]
    positive = np.arange(120) % 2 == 0
    none = auroc_interval(rng.normal(size=120), positive, problems, seed=0)
    assert none.low < 0.5 < none.high
    clear = auroc_interval(rng.normal(size=120) + 1.5 * positive, positive, problems, seed=0)
    assert clear.low > 0.6


def _at(problem, sample, pos):
    return Reading(problem, sample, (0,) * (pos + 2), 2, pos)


def _synthetic(positions, signal, problems=60):
    """Random states of onsets, matched and earlier controls; onsets are moved by `signal`."""
    rng = np.random.default_rng(0)
    samples = [
        Sample(_at(f"p{k:02d}", number, positions[kind] + int(rng.integers(3))), TARGET, f"p{k:02d}", kind)
        for k in range(problems)
        for number, kind in enumerate(("onset", "matched_row", "same_row_earlier"))
    ]
    names = {sample.problem for sample in samples}
    fit = set(sorted(names)[::2])
    states = rng.normal(size=(len(samples), 1, 2, 8)).astype(np.float32)
    states[[sample.is_onset for sample in samples], ..., 0] += signal
    table = SampledStates(Split(samples, fit, names - fit, 0), states, seed=0).table()
    found = table.query("control_kind == 'same_row_earlier' and place == 'deciding'")
    return found.set_index("method")


def test_shuffled_labels_and_position_find_what_is_theirs_alone():
    same, apart = dict.fromkeys(KINDS, 20), {"onset": 30, "matched_row": 30, "same_row_earlier": 10}
    content = _synthetic(same, signal=3.0)
    assert content.loc["probe", "auroc"] > 0.95
    assert content.loc["probe, shuffled labels", "auroc"] == pytest.approx(0.5, abs=0.1)
    position = content.loc["position only"]
    assert position["auroc_low"] < 0.5 < position["auroc_high"]
    place = _synthetic(apart, signal=0.0)
    assert place.loc["position only", "auroc_low"] > 0.9
    assert place.loc["probe", "auroc_low"] < 0.5 < place.loc["probe", "auroc_high"]
    assert place.loc["probe, shuffled labels", "auroc"] == pytest.approx(0.5, abs=0.1)


def test_no_problem_is_on_both_sides():
    """Controls from other problems: each problem fits or tests, and pairs across the split are dropped."""
    events = [
        Event(
            _at(f"p{k:02d}", 0, 20),
            "wait",
            " Wait",
            {
                "matched_row": _at(f"p{(k * 7 + 1) % 40:02d}", 1, 20),
                "same_row_earlier": _at(f"p{k:02d}", 0, 9),
            },
        )
        for k in range(24)
    ]
    split = split_samples(events, [TARGET] * len(events), seed=0)
    sides = {True: set(), False: set()}
    for sample in split.samples:
        sides[sample.problem in split.fit_problems].add(sample.at.example_id)
    assert not sides[True] & sides[False]
    assert sides[True] <= split.fit_problems and sides[False] <= split.test_problems
    onsets = sum(sample.is_onset for sample in split.samples)
    assert 0 < split.dropped == len(events) - onsets
    assert len(split.samples) == 3 * onsets


def test_directions_lead_from_matched_controls_to_onsets():
    samples = [Sample(_at(f"p{k}", 0, 9), TARGET, f"p{k}", kind) for k in range(4) for kind in KINDS]
    states = np.zeros((12, 1, 2, 3), np.float32)
    for row, sample in enumerate(samples):
        states[row, ..., KINDS.index(sample.kind)] = 1.0
    split = Split(samples, {"p0", "p1"}, {"p2", "p3"}, 0)
    vector = SampledStates(split, states, seed=0).vectors()["onset_deciding_0"]
    assert vector.tolist() == [1.0, -1.0, 0.0]


@pytest.fixture(scope="module")
def ctx(tmp_path_factory):
    ctx = write_run(tmp_path_factory.mktemp("direction"), planted(Plant()), Rows(problems=16).build())
    execute(Direction(VARIANT), ctx)
    return ctx


def test_direction_points_where_the_plant_writes(ctx):
    vectors = load_file(ctx.paths.table("directions.safetensors"))
    late = vectors["onset_deciding_4"]
    assert int(late.abs().argmax()) == ONSET
    middle = vectors["onset_deciding_2"]
    assert abs(float(middle[FLAG])) > 5 * abs(float(middle[ONSET]))
    card = json.loads(ctx.paths.table("directions.json").read_text())
    assert set(card["names"]) == set(vectors) and len(vectors) == 12
    assert not set(card["fit_problems"]) & set(card["test_problems"])
    assert card["samples"]["onset"] == card["samples"]["matched_row"] == 32 - card["dropped_across_the_split"]


def test_held_out_problems_tell_the_layers_apart(ctx):
    table = pd.read_csv(ctx.paths.table("direction.csv")).query(
        "control_kind == 'same_row_earlier' and place == 'deciding'"
    )
    by = table.set_index(["method", "layer"])
    for method in ("difference of means", "probe"):
        assert by.loc[(method, 5), "auroc"] == 1.0
        assert by.loc[(method, 5), "auroc_low"] > 0.9


def test_projecting_the_direction_out_silences_the_onset(ctx):
    """The saved vector, used by name through the intervention engine, acts as advertised."""
    loaded = ctx.model()
    vectors = load_file(ctx.paths.table("directions.safetensors"))
    row = next(record for record in Rows().build() if WAIT in record.completion_ids)
    ids = [*row.prompt_ids, *row.completion_ids]
    end = ids.index(WAIT)
    assert ids[end - 1] == STOP
    project = Intervention(
        component="resid",
        layer=4,
        mode="project",
        strength=1.0,
        vector="onset_deciding_4",
        when=When(phase="all"),
    )
    probabilities = []
    for members in ((), (project,)):
        condition = Condition(name="c", interventions=members)
        with torch.no_grad(), intervene(loaded, [condition], vectors=vectors):
            logits = loaded.model(input_ids=torch.tensor([ids[:end]])).logits[0, -1]
        probabilities.append(float(logits.softmax(-1)[WAIT]))
    assert probabilities[0] > 0.5 and probabilities[1] < 0.1


def test_too_few_problems_are_an_outcome(tmp_path):
    outcome = execute(Direction(VARIANT), write_run(tmp_path, planted(Plant()), Rows(problems=2).build()))
    assert "smaller of two halves" in outcome.not_testable
