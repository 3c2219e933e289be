"""Keyed sampling: the hash, the exact truncated distribution, independence, pairing."""

import numpy as np
import pytest
import torch
from scipy import stats

from backtracking.engine.sampling import Choice, SamplingParams, choose, gumbels, noise_key, uniforms

MASK = 2**64 - 1


def splitmix(x: int) -> int:
    """SplitMix64's finaliser in plain integers."""
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def test_noise_is_the_published_hash():
    golden = 0x9E3779B97F4A7C15
    for key, step, token in [(0, 0, 0), (12345, 7, 151_000), (2**63 - 1, 8191, 3)]:
        stream = splitmix((key + (step + 1) * golden) & MASK)
        bits = splitmix((stream + (token + 1) * golden) & MASK)
        expected = ((bits >> 11) + 0.5) * 2.0**-53
        got = uniforms(torch.tensor([key]), torch.tensor([step]), torch.tensor([[token]]))
        assert float(got) == expected


def oracle_kept(logits: np.ndarray, temperature: float, top_p: float, top_k: int) -> np.ndarray:
    """The exact truncated distribution over the vocabulary, by full sort in float64."""
    scaled = logits.astype(np.float64) / temperature
    order = np.lexsort((np.arange(len(scaled)), -scaled))
    probabilities = np.exp(scaled[order] - scaled.max())
    if top_k:
        probabilities[top_k:] = 0
    probabilities /= probabilities.sum()
    before = np.cumsum(probabilities) - probabilities
    probabilities[1:][before[1:] >= top_p] = 0
    result = np.zeros_like(scaled)
    result[order] = probabilities / probabilities.sum()
    return result


CASES = [
    pytest.param(SamplingParams(1, 0.7, 0.95), 60, 1.5, id="nucleus inside the candidates"),
    pytest.param(SamplingParams(1, 1.3, 0.9), 128, 0.6, id="nucleus past the first candidates"),
    pytest.param(SamplingParams(1, 1.0, 1.0, 5), 200, 1.0, id="top-k"),
    pytest.param(SamplingParams(1, 0.8, 0.6, 12), 200, 1.0, id="top-k then top-p"),
    pytest.param(SamplingParams(1, 1.0, 1.0, 100), 128, 2.0, id="top-k beyond the first candidates"),
    pytest.param(SamplingParams(1, 0.9), 60, 2.0, id="whole vocabulary"),
]


@pytest.mark.parametrize(("params", "vocabulary", "spread"), CASES)
def test_sampled_distribution_is_exact(params, vocabulary, spread):
    """Chi-square of 200,000 draws against the exact truncated softmax."""
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(vocabulary, generator=generator) * spread
    expected = oracle_kept(logits.numpy(), params.temperature, params.top_p, params.top_k)
    draws, batch = 200_000, 2000
    keys = torch.tensor([noise_key(5, str(i), 0) for i in range(batch)])
    counts = np.zeros(vocabulary)
    for step in range(draws // batch):
        choice = choose(logits.expand(batch, -1), keys, torch.full((batch,), step), params)
        counts += np.bincount(choice.tokens.numpy(), minlength=vocabulary)
    assert counts[expected == 0].sum() == 0
    # Rare tokens are pooled so that every cell expects at least ten draws.
    common = expected * draws >= 10
    observed = np.append(counts[common], counts[~common].sum())
    predicted = np.append(expected[common], expected[~common].sum()) * draws
    if predicted[-1] < 10:
        observed, predicted = observed[:-1], predicted[:-1] * observed[:-1].sum() / predicted[:-1].sum()
    assert len(observed) > 2
    assert stats.chisquare(observed, predicted, sum_check=False).pvalue > 1e-4


def test_nucleus_equals_the_full_sort_on_every_row():
    """Each row's choice is the Gumbel-max over the exactly sorted kept set, ties and widening included."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(120, 4096, generator=generator) * torch.linspace(0.05, 6, 120)[:, None]
    logits[::3] = (logits[::3] * 2).round() / 2  # many exact ties
    keys = torch.tensor([noise_key(0, str(i), 1) for i in range(120)])
    steps = torch.arange(120)
    everything = torch.arange(4096)[None, :]
    noise = gumbels(keys, steps, everything).numpy()
    for params in (
        SamplingParams(1, 0.7, 0.9),
        SamplingParams(1, 1.0, 0.95, 40),
        SamplingParams(1, 1.0, 1.0, 3),
    ):
        got = choose(logits, keys, steps, params).tokens.numpy()
        for i in range(120):
            kept = oracle_kept(logits[i].numpy(), params.temperature, params.top_p, params.top_k) > 0
            scores = logits[i].double().numpy() / params.temperature + noise[i]
            assert got[i] == np.where(kept, scores, -np.inf).argmax(), (params, i)


def test_noise_is_uniform_and_uncorrelated_across_rows_steps_and_tokens():
    keys = torch.tensor([noise_key(0, str(e), s) for e in range(40) for s in range(5)])
    tokens = torch.arange(100)[None, :]
    cube = torch.stack([uniforms(keys, torch.full((200,), step), tokens) for step in range(50)]).numpy()
    assert stats.kstest(cube.ravel(), "uniform").pvalue > 1e-4
    centred = cube - 0.5
    n = centred[:-1].size
    for shifted in (
        centred[1:] * centred[:-1],
        centred[:, 1:] * centred[:, :-1],
        centred[..., 1:] * centred[..., :-1],
    ):
        correlation = shifted.mean() * 12
        assert abs(correlation) < 5 / np.sqrt(min(n, shifted.size))


def test_noise_depends_on_seed_example_and_sample_but_on_no_order():
    keys = [noise_key(1, "a", 0), noise_key(2, "a", 0), noise_key(1, "b", 0), noise_key(1, "a", 1)]
    assert len(set(keys)) == 4
    tokens = torch.arange(50)[None, :]
    forward = uniforms(torch.tensor(keys), torch.arange(4), tokens)
    backward = uniforms(torch.tensor(keys[::-1]), torch.arange(3, -1, -1), tokens)
    assert torch.equal(forward, backward.flip(0))


def test_greedy_takes_the_first_of_equals():
    logits = torch.zeros(2, 300)
    logits[0, [40, 200]] = 1.0
    choice = choose(
        logits,
        torch.zeros(2, dtype=torch.long),
        torch.zeros(2, dtype=torch.long),
        SamplingParams(1, do_sample=False),
    )
    assert choice.tokens.tolist() == [40, 0]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize(
    "params", [SamplingParams(1, 0.7, 0.9), SamplingParams(1), SamplingParams(1, do_sample=False)]
)
def test_unusable_logits_are_marked_and_spare_their_neighbours(bad, params):
    logits = torch.randn(3, 500, generator=torch.Generator().manual_seed(0))
    clean = choose(logits, torch.arange(3), torch.arange(3), params)
    logits[1, 77] = bad
    choice = choose(logits, torch.arange(3), torch.arange(3), params)
    assert choice.usable.tolist() == [True, False, True]
    assert choice.tokens[[0, 2]].tolist() == clean.tokens[[0, 2]].tolist()


def test_logprobs_are_those_of_the_untruncated_model():
    logits = torch.randn(4, 500, generator=torch.Generator().manual_seed(0))
    choice = choose(logits, torch.arange(4), torch.arange(4), SamplingParams(1, 0.5, 0.9, logprobs=True))
    expected = torch.log_softmax(logits.double(), -1)[torch.arange(4), choice.tokens]
    assert torch.allclose(choice.logprobs.double(), expected, atol=1e-5)


def test_what_is_kept_of_a_choice():
    tokens, usable = torch.tensor([3, 4]), torch.tensor([True, True])
    logprobs, entropies = torch.tensor([-0.5, -1.5]), torch.tensor([0.25, 0.75])
    assert Choice(tokens, usable, None).readings() == [(None, None)] * 2
    assert Choice(tokens, usable, logprobs).readings() == [(-0.5, None), (-1.5, None)]
    assert Choice(tokens, usable, logprobs, entropies).readings() == [(-0.5, 0.25), (-1.5, 0.75)]


@pytest.mark.parametrize("vocabulary", [3000, 32_769, 50_257, 49_152])
def test_what_is_read_of_a_row_knows_nothing_of_other_rows(two_threads, vocabulary):
    """To the last bit, for any number of rows, with sums that threads could share."""
    logits = torch.randn(23, vocabulary, generator=torch.Generator().manual_seed(1)) * 4
    params = SamplingParams(1, 0.7, 0.9, logprobs=True)
    keys, steps = torch.arange(23), torch.zeros(23, dtype=torch.long)
    together = choose(logits, keys, steps, params)
    for size in (1, 2, 7):
        apart = [
            choose(logits[i : i + size], keys[i : i + size], steps[i : i + size], params)
            for i in range(0, 23, size)
        ]
        assert torch.equal(torch.cat([part.tokens for part in apart]), together.tokens)
        assert torch.equal(torch.cat([part.logprobs for part in apart]), together.logprobs)
