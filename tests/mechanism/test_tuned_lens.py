"""Translators bring every layer nearer to the model's own words."""

import pytest
import torch

from backtracking.mechanism.tuned_lens import Translators, fit_translators, lens_loss, sample_states

from .worlds import Plant, Rows, planted, random_model


def _rows(count):
    return [
        [*record.prompt_ids, *record.completion_ids] for record in Rows(problems=count, seed=count).build()
    ]


def test_untrained_translators_are_the_plain_lens():
    loaded = random_model()
    states = sample_states(loaded, _rows(2), budget=300, seed=0)
    plain = Translators(torch.zeros(4, 32, 32), torch.zeros(4, 32))
    torch.testing.assert_close(plain(1, states[:, 1]), states[:, 1])


def test_sampled_states_are_the_models():
    loaded = random_model()
    rows = _rows(1)[:1]
    states = sample_states(loaded, rows, budget=300, seed=0)
    with torch.no_grad():
        hidden = loaded.model(input_ids=torch.tensor(rows), output_hidden_states=True).hidden_states
    for state in states[:5]:
        distance = (hidden[2][0] - state[1]).abs().amax(-1)
        assert float(distance.min()) < 1e-4


def test_fitting_lowers_divergence_on_rows_it_has_not_seen():
    loaded = random_model()
    translators = fit_translators(loaded, sample_states(loaded, _rows(12), budget=2000, seed=0), seed=0)
    held_out = sample_states(loaded, _rows(5), budget=2000, seed=1)
    nothing = torch.zeros(32, 32), torch.zeros(32)
    with torch.no_grad():
        for layer in range(3):
            before = float(lens_loss(loaded, held_out[:, layer], held_out[:, -1], *nothing))
            fitted = translators.maps[layer], translators.shifts[layer]
            after = float(lens_loss(loaded, held_out[:, layer], held_out[:, -1], *fitted))
            assert after < 0.9 * before
        last = held_out[:, 3]
        torch.testing.assert_close(translators(3, last), last)
        assert float(lens_loss(loaded, last, last, *nothing)) == pytest.approx(0.0, abs=1e-6)


def test_a_rotated_layer_is_turned_back():
    """Planted truth: where a layer speaks another basis, its translator must learn the way back."""
    loaded = planted(Plant(writers=()))
    states = sample_states(loaded, _rows(12), budget=2000, seed=0)
    turned = states.clone()
    permutation = torch.randperm(states.shape[-1], generator=torch.Generator().manual_seed(0))
    turned[:, 0] = states[:, -1][:, permutation]
    translators = fit_translators(loaded, turned, seed=0)
    with torch.no_grad():
        zero = torch.zeros_like(translators.maps[0]), torch.zeros_like(translators.shifts[0])
        before = float(lens_loss(loaded, turned[:, 0], turned[:, -1], *zero))
        after = float(
            lens_loss(loaded, turned[:, 0], turned[:, -1], translators.maps[0], translators.shifts[0])
        )
    assert after < 0.6 * before
