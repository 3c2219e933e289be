"""The module map: right for every family, refused when it does not add up."""

import pytest
import torch
import transformers
from tiny import CONFIGS, FAMILIES, NumberTokenizer, build, tiny
from torch import nn

from backtracking.config.schema import ModelConfig
from backtracking.errors import UserError
from backtracking.model.loading import LoadedModel, first_tensor, load_model, resolve_device


@pytest.mark.parametrize("family", FAMILIES)
def test_removing_every_contribution_leaves_the_embedding(family):
    """With all attention and MLP outputs zeroed, the last residual state is the first one, bit for bit."""
    model = tiny(family)
    ids = torch.arange(5, 15)[None, :]
    states: dict[str, torch.Tensor] = {}

    def zero(module, args, output):
        hidden = torch.zeros_like(first_tensor(output))
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    def first(module, args, kwargs):
        states["in"] = args[0] if args else kwargs["hidden_states"]

    def last(module, args, output):
        states["out"] = first_tensor(output)

    handles = [m.register_forward_hook(zero) for b in model.blocks for m in (b.attn, b.mlp)]
    handles.append(model.blocks[0].layer.register_forward_pre_hook(first, with_kwargs=True))
    handles.append(model.blocks[-1].layer.register_forward_hook(last))
    with torch.no_grad():
        model.model(input_ids=ids)
    for handle in handles:
        handle.remove()
    assert torch.equal(states["in"], states["out"])
    assert model.n_layers == 3
    assert model.head_dim * model.n_heads == 32


@pytest.mark.parametrize("family", ["gemma2", "gemma3"])
def test_sandwich_norms_are_the_contribution(family):
    block = tiny(family).blocks[0]
    assert block.attn is block.layer.post_attention_layernorm
    assert block.mlp is block.layer.post_feedforward_layernorm


def test_readout_of_the_last_state_is_the_models_logits():
    model = tiny("gemma2")  # caps its logits
    ids = torch.arange(5, 15)[None, :]
    with torch.no_grad():
        output = model.model(input_ids=ids, output_hidden_states=True)
        state = {}
        handle = model.blocks[-1].layer.register_forward_hook(lambda m, a, o: state.update(h=first_tensor(o)))
        model.model(input_ids=ids)
        handle.remove()
        assert torch.allclose(model.readout(state["h"]), output.logits, atol=1e-5)


def test_a_model_that_does_not_add_up_is_refused_by_name():
    model = transformers.LlamaForCausalLM(CONFIGS["llama"]())

    class Doubling(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.self_attn, self.mlp, self.inner = inner.self_attn, inner.mlp, inner

        def forward(self, hidden_states, **kwargs):
            return self.inner(hidden_states, **kwargs) * 1.01

    model.model.layers[1] = Doubling(model.model.layers[1])
    with pytest.raises(UserError, match=r"(?s)cannot be intervened on.*layer 1 \(Doubling\)"):
        LoadedModel.wrap(model, NumberTokenizer())


def test_scaled_residuals_are_refused():
    config = transformers.GraniteConfig(
        vocab_size=300, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, residual_multiplier=0.5, max_position_embeddings=64,
    )  # fmt: skip
    with pytest.raises(UserError, match="differs from residual-out"):
        build(config)


def test_eos_may_be_one_several_or_none():
    model = transformers.LlamaForCausalLM(CONFIGS["llama"]())
    silent = type("Silent", (), {"eos_token_id": None})()
    for given, expected in ((7, {7}), ([7, 9], {7, 9}), (None, set())):
        model.generation_config.eos_token_id = given
        model.config.eos_token_id = None
        assert LoadedModel.wrap(model, silent).eos_token_ids == expected


def test_load_from_a_folder(tmp_path):
    original = tiny("llama")
    original.model.save_pretrained(tmp_path)
    words = {f"w{i}": i for i in range(320)}
    from tokenizers import Tokenizer, models

    transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="w0")), eos_token="w1"
    ).save_pretrained(tmp_path)
    loaded = load_model(ModelConfig(hf_id=str(tmp_path), device="cpu"))
    ids = torch.arange(5, 15)[None, :]
    with torch.no_grad():
        assert torch.equal(loaded.model(ids).logits, original.model(ids).logits)
    assert loaded.dtype == torch.float32
    assert loaded.context_length == 256
    assert load_model(ModelConfig(hf_id=str(tmp_path), torch_dtype="bfloat16")).dtype == torch.bfloat16


def test_what_cannot_be_loaded_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="could not be loaded"):
        load_model(ModelConfig(hf_id="nobody/nothing", device="cpu"))
    with pytest.raises(UserError, match=r"(?s)could not be loaded.*check the folder"):
        load_model(ModelConfig(hf_id=str(tmp_path), device="cpu"))
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="not available on this machine"):
            resolve_device("cuda:0")
