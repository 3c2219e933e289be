"""Phrases of several pieces: their probability against plain calls, and what they change in readouts."""

import math

import numpy as np
import pytest
import torch

from backtracking.measurements.injections import Pair
from backtracking.mechanism import phrases as phrases_module
from backtracking.mechanism.error_injection import read_pairs
from backtracking.mechanism.phrases import PhraseReader
from backtracking.mechanism.readouts import Openings, opening_mass, opening_odds

from .oracle import whole_forward
from .test_passes import MODELS
from .worlds import ID, PIECES, Rows, open_weighed, random_model, write_run

WAIT, BUT, HOLD, ON, SMALL = (ID[piece] for piece in (" Wait", " But", " Hold", " on", " wait"))
PHRASES = ((WAIT,), (BUT, SMALL), (BUT, WAIT), (HOLD, ON, ID["."], WAIT))


def _texts(lengths=(5, 17, 9)):
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(3, len(PIECES), (length,), generator=generator).tolist() for length in lengths]


def probability(model, ids, phrase):
    """Of a phrase behind a text: one plain call for each of its pieces."""
    said, chance = list(ids), 1.0
    for token in phrase:
        chance *= float(whole_forward(model, said)[1].double().softmax(-1)[token])
        said.append(token)
    return chance


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("budget", [12, 400])
def test_chances_equal_plain_calls(name, budget, monkeypatch):
    """Texts of several lengths and numbers of places, alone and together, in one pass and in several."""
    monkeypatch.setattr(phrases_module, "QUERIES_PER_PASS", 8 if budget == 12 else 256)
    loaded, texts = MODELS[name](), _texts()
    places = [[4], [3, 9, 16], [0, 8]]
    reader = PhraseReader(loaded, PHRASES, budget)
    assert reader.phrases == PHRASES[1:]
    found = dict(reader(texts, places))
    for index, (text, wanted) in enumerate(zip(texts, places, strict=True)):
        for row, place in zip(found[index], wanted, strict=True):
            seen = text[: place + 1]
            rest = [
                probability(loaded.model, seen, ids) / probability(loaded.model, seen, ids[:1])
                for ids in PHRASES[1:]
            ]
            np.testing.assert_allclose(row, rest, rtol=1e-3)


def test_the_probability_of_any_phrase_is_the_sum_of_theirs():
    loaded, (text, *_) = random_model(), _texts()
    reader = PhraseReader(loaded, PHRASES, 100)
    ((_, found),) = reader([text], [[len(text) - 1]])
    openings = Openings.of(PHRASES, dict(zip(reader.phrases, found[0].tolist(), strict=True)))
    log_probs = whole_forward(loaded.model, text)[1].log_softmax(-1)
    whole = sum(probability(loaded.model, text, ids) for ids in PHRASES)
    assert math.exp(opening_mass(log_probs, openings)) == pytest.approx(whole, rel=1e-4)
    assert float(opening_odds(log_probs, openings)) == pytest.approx(math.log(whole / (1 - whole)), abs=1e-4)
    first_pieces = float(log_probs[[WAIT, BUT, HOLD]].exp().sum())
    assert whole < 0.9 * first_pieces, "a bare ' But' is no trigger"


def test_injected_mass_counts_whole_phrases():
    loaded = random_model()
    (clean,) = _texts((14,))
    corrupted = [*clean[:6], (clean[6] + 1) % len(PIECES), *clean[7:]]
    pair = Pair("p", 0, "off_by_one", "", "", tuple(clean), tuple(corrupted), 6, 6, 9)
    found = dict(read_pairs(loaded, [pair, pair], PHRASES, budget=40))
    for name, ids in (("clean", clean), ("corrupted", corrupted)):
        expected = [
            math.log(sum(probability(loaded.model, ids[: place + 1], one) for one in PHRASES))
            for place in range(6, len(ids))
        ]
        np.testing.assert_allclose(found[0][name], expected, atol=1e-4)
        np.testing.assert_allclose(found[1][name], expected, atol=1e-4)


def test_a_study_knows_each_of_its_positions(tmp_path):
    loaded = random_model()
    study = open_weighed(write_run(tmp_path, loaded, Rows(problems=3).build()))
    for number, event in enumerate(study.events):
        for at in event.positions:
            _, target = study.item(number, at)
            assert target.family.weights.keys() == {WAIT, ID["Wait"], SMALL}
            assert set(target.family.weights.values()) == {1.0}
            weights = target.triggers.weights
            assert weights[WAIT] == weights[ID[" Actually"]] == 1.0
            but = sum(probability(loaded.model, [*at.seen, BUT], [word]) for word in (SMALL, WAIT))
            assert weights[BUT] == pytest.approx(but, rel=1e-3)
            assert weights[HOLD] == pytest.approx(probability(loaded.model, [*at.seen, HOLD], [ON]), rel=1e-3)
