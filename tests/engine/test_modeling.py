"""The module map: right for every family, refused when it does not add up."""

import pytest
import torch
import transformers
from tiny import _COMMON, CONFIGS, FAMILIES, NumberTokenizer, build, tiny
from torch import nn

from backtracking.config.schema import ModelConfig
from backtracking.errors import UserError
from backtracking.model.loading import LoadedModel, load_model, resolve_device
from backtracking.model.mapping import first_tensor


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


def read_parts(model, ids):
    """The first layer's input, what every layer is said to add, and the last layer's output."""
    start, end, parts, handles = [], [], [], []
    for block in model.blocks:
        for module, scale in ((block.attn, block.attn_scale), (block.mlp, block.mlp_scale)):

            def keep(_, __, output, scale=scale):
                parts.append(scale * first_tensor(output).double())

            handles.append(module.register_forward_hook(keep))
    first, last = model.blocks[0].layer, model.blocks[-1].layer
    handles.append(
        first.register_forward_pre_hook(
            lambda _, args, kwargs: start.append(args[0] if args else kwargs["hidden_states"]),
            with_kwargs=True,
        )
    )
    handles.append(last.register_forward_hook(lambda _, __, output: end.append(first_tensor(output))))
    with torch.no_grad():
        logits = model.model(input_ids=ids).logits
    for handle in handles:
        handle.remove()
    return start[0].double(), parts, end[0], logits


SUMS = {
    "granite": lambda: transformers.GraniteConfig(
        **_COMMON, residual_multiplier=0.22, logits_scaling=8.0, embedding_multiplier=12.0
    ),
    "cohere": lambda: transformers.CohereConfig(**_COMMON, logit_scale=0.0625),
    "falcon": lambda: transformers.FalconConfig(
        vocab_size=320, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, eos_token_id=1
    ),
    "bloom": lambda: transformers.BloomConfig(
        vocab_size=320, hidden_size=32, n_layer=3, n_head=4, eos_token_id=1
    ),
    "glm4": lambda: transformers.Glm4Config(**_COMMON, head_dim=8),
    "qwen3_next": lambda: transformers.Qwen3NextConfig(
        **_COMMON, head_dim=8, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16,
        shared_expert_intermediate_size=16, linear_num_key_heads=2, linear_num_value_heads=4,
        linear_key_head_dim=8, linear_value_head_dim=8,
        layer_types=["linear_attention", "full_attention", "linear_attention"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("family", SUMS)
def test_what_layers_add_sums_to_the_residual_stream(family):
    """Scaled sums, parallel blocks, norms behind the parts, adding inside the parts, mixers of two kinds."""
    model = build(SUMS[family]())
    start, parts, end, logits = read_parts(model, torch.arange(7, 19)[None])
    assert len(parts) == 6
    assert torch.allclose(start + sum(parts), end.double(), atol=1e-4)
    with torch.no_grad():
        assert torch.allclose(model.readout(end), logits, atol=1e-4)


def test_the_scales_are_those_of_the_config():
    granite, cohere = build(SUMS["granite"]()), build(SUMS["cohere"]())
    scales = [scale for block in granite.blocks for scale in (block.attn_scale, block.mlp_scale)]
    assert scales == pytest.approx([0.22] * 6, abs=1e-5)
    assert granite.logit_scale == pytest.approx(1 / 8, abs=1e-6)
    assert cohere.logit_scale == pytest.approx(0.0625, abs=1e-6)
    assert tiny("llama").logit_scale == tiny("llama").blocks[0].attn_scale == 1.0


def test_a_mixer_without_attention_has_no_heads():
    model = build(SUMS["qwen3_next"]())
    assert [model.has_separable_heads(layer) for layer in range(3)] == [False, True, False]
    assert [block.head_projection is None for block in model.blocks] == [True, False, True]


REFUSED = {
    "positions of all rows in one list": (
        lambda: transformers.OPTConfig(
            vocab_size=320, hidden_size=32, word_embed_proj_dim=32, num_hidden_layers=2, num_attention_heads=4
        ),
        "fc2 and final_layer_norm could not be tried",
    ),
    "one part": (
        lambda: transformers.MambaConfig(vocab_size=320, hidden_size=32, num_hidden_layers=2, state_size=4),
        "adds one part alone",
    ),
    "norms behind the sum": (
        lambda: transformers.OpenAIGPTConfig(vocab_size=320, n_embd=32, n_layer=2, n_head=4),
        "does not add up",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_other_sums_are_refused_in_words(kind):
    config, why = REFUSED[kind]
    with pytest.raises(UserError, match=why):
        build(config())


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
