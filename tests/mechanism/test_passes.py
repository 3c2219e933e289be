"""The fast pass against whole forwards, and recorded states against the model's own outputs."""

import pytest
import torch
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    CohereConfig,
    CohereForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    GraniteConfig,
    GraniteForCausalLM,
    Lfm2Config,
    Lfm2ForCausalLM,
    MistralConfig,
    MistralForCausalLM,
)

from backtracking.mechanism.passes import (
    UNCHANGED,
    Edit,
    Padded,
    Site,
    TailScan,
    batches,
    component_outputs,
    read_padded,
    recording,
    residuals,
    takes_arms,
)
from backtracking.model.loading import LoadedModel

from .oracle import Change, whole_forward
from .worlds import PIECES, random_model, tokenizer

SMALL = {
    "vocab_size": len(PIECES),
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "initializer_range": 0.2,
}


def _gpt2() -> LoadedModel:
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(PIECES), n_embd=32, n_layer=3, n_head=4, initializer_range=0.2, eos_token_id=2
    )
    return LoadedModel.wrap(GPT2LMHeadModel(config).eval(), tokenizer(), "gpt2")


def _mistral() -> LoadedModel:
    torch.manual_seed(0)
    config = MistralConfig(**SMALL, num_key_value_heads=2, sliding_window=8)
    return LoadedModel.wrap(MistralForCausalLM(config).eval(), tokenizer(), "mistral")


def _gemma3() -> LoadedModel:
    torch.manual_seed(0)
    config = Gemma3TextConfig(
        **SMALL,
        num_key_value_heads=2,
        head_dim=8,
        sliding_window=8,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
    )
    return LoadedModel.wrap(Gemma3ForCausalLM(config).eval(), tokenizer(), "gemma3")


def _granite() -> LoadedModel:
    """Parts and logits are multiplied by numbers of the config."""
    torch.manual_seed(0)
    config = GraniteConfig(
        **SMALL, num_key_value_heads=2, residual_multiplier=0.3, logits_scaling=0.5, attention_multiplier=0.3
    )
    return LoadedModel.wrap(GraniteForCausalLM(config).eval(), tokenizer(), "granite")


def _cohere() -> LoadedModel:
    """Attention and MLP side by side; a final norm that takes the mean away; scaled logits."""
    torch.manual_seed(0)
    config = CohereConfig(**SMALL, num_key_value_heads=2, logit_scale=0.5, eos_token_id=2)
    return LoadedModel.wrap(CohereForCausalLM(config).eval(), tokenizer(), "cohere")


def _bloom() -> LoadedModel:
    """Parts are added inside attention and MLP; positions come from the mask."""
    torch.manual_seed(0)
    config = BloomConfig(vocab_size=len(PIECES), hidden_size=32, n_layer=3, n_head=4, initializer_range=0.2)
    return LoadedModel.wrap(BloomForCausalLM(config).eval(), tokenizer(), "bloom")


def _lfm2() -> LoadedModel:
    """A convolution in place of attention, which keeps a state of its own."""
    torch.manual_seed(0)
    layers = ["conv", "full_attention", "full_attention"]
    config = Lfm2Config(**SMALL, num_key_value_heads=2, layer_types=layers)
    return LoadedModel.wrap(Lfm2ForCausalLM(config).eval(), tokenizer(), "lfm2")


MODELS = {
    "qwen2": random_model, "gpt2": _gpt2, "mistral": _mistral, "gemma3": _gemma3,
    "granite": _granite, "cohere": _cohere, "bloom": _bloom, "lfm2": _lfm2,
}  # fmt: skip


def test_who_shares_passes():
    """What keeps more than keys and values, or takes no mask of ours, is read arm by arm."""
    assert [name for name, model in MODELS.items() if not takes_arms(model())] == ["bloom", "lfm2"]


def _sequences() -> list[list[int]]:
    generator = torch.Generator().manual_seed(3)
    return [
        torch.randint(3, len(PIECES), (length,), generator=generator).tolist() for length in (4, 21, 9, 13)
    ]


def _changes(arm, length, donors):
    """An arm in the oracle's terms; donors hold [1, tail, width] per site, the last token last."""
    return [
        Change(
            edit.site.component,
            edit.site.layer,
            edit.site.head,
            length - 1 - back,
            float(edit.factor) if edit.factor is not None else donors[edit.site][0, -1 - back],
        )
        for edit in arm
        for back in edit.back
    ]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("tail", [1, 3])
def test_tail_scan_equals_whole_forwards(name, tail):
    loaded = MODELS[name]()
    sequences = _sequences()
    donor = {
        site: values.flip(0) for site, values in component_outputs(loaded, sequences, tail, budget=64).items()
    }
    sites = [Site(kind, layer) for kind in ("attn", "mlp") for layer in range(loaded.n_layers)]
    arms = [UNCHANGED]
    arms += [
        (Edit(site, factor, (back,)),)
        for site in sites
        for factor in (0.0, 0.5, None)
        for back in range(tail)
    ]
    arms += [(Edit(Site("attn", 1, head)),) for head in range(4)]
    arms += [(Edit(sites[0]), Edit(sites[-1], 0.3), Edit(Site("attn", 2, 1)))]
    fast = TailScan(loaded, arms, tail=tail)(sequences, donor)
    changes = (fast - fast[:, :1]).abs().amax(-1)
    assert (changes[:, 1:] > 1e-3).float().mean() > 0.7, (
        "the arms must do something for the comparison to mean any"
    )
    for row, sequence in enumerate(sequences):
        own = {site: values[row : row + 1] for site, values in donor.items()}
        for number, arm in enumerate(arms):
            hidden, _ = whole_forward(loaded.model, sequence, _changes(arm, len(sequence), own))
            torch.testing.assert_close(fast[row, number], hidden, atol=1e-4, rtol=1e-4)


def test_more_arms_than_fit_one_pass_give_the_same(monkeypatch):
    loaded = random_model()
    arms = [UNCHANGED, *[(Edit(Site(kind, layer)),) for kind in ("attn", "mlp") for layer in range(4)]]
    whole = TailScan(loaded, arms)(_sequences())
    monkeypatch.setattr("backtracking.mechanism.passes.QUERIES_PER_PASS", 2)
    torch.testing.assert_close(TailScan(loaded, arms)(_sequences()), whole, atol=1e-4, rtol=1e-4)


def test_a_pass_of_arms_stays_within_the_budget():
    loaded = random_model()
    sequences = _sequences()
    arms = [UNCHANGED, *[(Edit(Site(kind, layer)),) for kind in ("attn", "mlp") for layer in range(4)]]
    scan = TailScan(loaded, arms, budget=4 * len(sequences))  # which tries the model out first
    sizes = []
    handle = loaded.model.base_model.register_forward_pre_hook(
        lambda _, __, given: sizes.append(given["input_ids"].numel()), with_kwargs=True
    )
    bounded = scan(sequences)
    handle.remove()
    assert max(sizes[1:]) == 4 * len(sequences) and len(sizes) == 1 + 3
    torch.testing.assert_close(bounded, TailScan(loaded, arms)(sequences), atol=1e-4, rtol=1e-4)


def test_zeroing_every_component_leaves_the_embedding():
    loaded = random_model()
    arm = tuple(Edit(Site(kind, layer)) for kind in ("attn", "mlp") for layer in range(loaded.n_layers))
    sequences = _sequences()
    ends = torch.tensor([sequence[-1] for sequence in sequences])
    fast = TailScan(loaded, [arm])(sequences)[:, 0]
    torch.testing.assert_close(fast, loaded.model.get_input_embeddings()(ends))


def test_recorded_residuals_are_the_models_hidden_states():
    loaded = random_model()
    sequences = _sequences()
    with torch.no_grad(), recording(residuals(loaded), lambda output: output) as kept:
        read_padded(loaded, Padded.of(sequences, loaded.device))
    for row, sequence in enumerate(sequences):
        states = loaded.model(input_ids=torch.tensor([sequence]), output_hidden_states=True).hidden_states
        for layer in range(loaded.n_layers - 1):
            mine = kept[layer][row, -len(sequence) :]
            torch.testing.assert_close(mine, states[layer + 1][0], atol=1e-4, rtol=1e-3)


def test_batches_cover_all_within_the_budget():
    lengths = [5, 50, 7, 7, 30, 1, 100]
    groups = list(batches(lengths, 60))
    assert sorted(index for group in groups for index in group) == list(range(len(lengths)))
    assert all(len(group) == 1 or len(group) * max(lengths[k] for k in group) <= 60 for group in groups)
