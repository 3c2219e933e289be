"""What the engine would get wrong is refused by name, before anything is generated."""

from dataclasses import replace

import pytest
import torch
import transformers
from tiny import CONFIGS, VOCAB, NumberTokenizer, build, prompt, tiny

from backtracking.engine.generate import Row, SamplingParams, generate_rows
from backtracking.errors import UserError
from backtracking.interventions import Condition, Intervention, When
from backtracking.model.gates import GateTable
from backtracking.model.loading import LoadedModel

EXPERTS = {
    "vocab_size": VOCAB, "hidden_size": 32, "intermediate_size": 32, "moe_intermediate_size": 32,
    "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "num_experts_per_tok": 1,
    "max_position_embeddings": 128, "eos_token_id": 1, "bos_token_id": 2, "pad_token_id": 0,
}  # fmt: skip

LATENT = {
    **EXPERTS, "num_key_value_heads": 4, "q_lora_rank": None, "kv_lora_rank": 16, "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8, "v_head_dim": 16, "n_routed_experts": 2, "n_group": 1, "topk_group": 1,
    "first_k_dense_replace": 2,
}  # fmt: skip


def generate(model, rows, new_tokens=12):
    return list(generate_rows(model, rows, SamplingParams(new_tokens), seed=0))


def refuses(model, why, length=9):
    with pytest.raises(
        UserError, match=rf"(?s){model.name}: the batched engine cannot.*{why}.*engine: reference"
    ):
        generate(model, [Row(prompt(0, length), 0)], 60)


def test_latent_attention():
    refuses(build(transformers.DeepseekV3Config(**LATENT)), "its attention is latent")


def test_layers_that_keep_other_states():
    model = LoadedModel.wrap(transformers.LlamaForCausalLM(CONFIGS["llama"]()), NumberTokenizer())
    model.model.config.layer_types = ["full_attention", "linear_attention", "full_attention"]
    refuses(model, "layers of type linear_attention")


def test_sliding_windows_that_live_in_masks_alone():
    """Where layers tell attention of the window (Mistral, Gemma), `test_greedy_equals_generate` passes it."""
    phimoe = {**EXPERTS, "num_local_experts": 2}
    refuses(build(transformers.PhimoeConfig(**phimoe, sliding_window=12)), "sliding window")
    assert generate(build(transformers.PhimoeConfig(**phimoe)), [Row(prompt(0), 0)])
    qwen = {**EXPERTS, "num_experts": 2, "shared_expert_intermediate_size": 32, "sliding_window": 12}
    used = transformers.Qwen2MoeConfig(**qwen, use_sliding_window=True, max_window_layers=1)
    refuses(build(used), "sliding window")
    assert generate(build(transformers.Qwen2MoeConfig(**qwen)), [Row(prompt(0), 0)])


def test_rotary_embeddings_that_grow_with_the_batch():
    config = CONFIGS["llama"]()
    config.rope_parameters = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}
    model = build(config)
    [record] = generate(model, [Row(prompt(0, 236), 0)], 100)
    assert record.completion_tokens <= 20  # the context ends the row before the embedding changes
    config.rope_parameters["original_max_position_embeddings"] = 64
    assert generate(model, [Row(prompt(0, 5), 0)], 60)  # 64 positions are fed
    refuses(model, "dynamic rotary embedding", length=6)


BAD_CONDITIONS = [
    (Intervention(component="mlp", layer=3), "mlp 3 does not exist"),
    (Intervention(component="attn", layer=0, head=4), "head 4 of attn 0 does not exist"),
    (Intervention(component="resid", layer=0, mode="add", vector="nowhere"), "no vector named 'nowhere'"),
    (Intervention(component="resid", layer=0, mode="add", vector="short"), r"shape \[3\]"),
    (Intervention(component="resid", layer=0, mode="add", vector="infinite"), "not finite"),
    (Intervention(component="resid", layer=0, mode="project", vector="zero"), "length is zero"),
    (Intervention(component="mlp", layer=0, when=When(steps=(0,))), "never acts"),
    (Intervention(component="mlp", layer=0, when=When(phase="prefill", steps=(1,))), "never acts"),
    (Intervention(component="mlp", layer=0, when=When(phase="all", steps=())), "never acts"),
    (Intervention(component="mlp", layer=0, when=When(phase="all", steps=(-1,))), "never acts"),
    (Intervention(component="mlp", layer=0, when=When(after_tokens=frozenset())), "never acts"),
    (Intervention(component="mlp", layer=0, when=When(after_tokens=frozenset({VOCAB}))), "never acts"),
    (Intervention(component="mlp", layer=0, when=When(phase="prefill", onset="from_first")), "never acts"),
    (Intervention(component="mlp", layer=0, when=When(onset="from_first")), "no onset phrases"),
]
VECTORS = {"short": torch.ones(3), "infinite": torch.full((32,), torch.inf), "zero": torch.zeros(32)}


@pytest.mark.parametrize(("intervention", "message"), BAD_CONDITIONS)
def test_conditions_that_bind_to_nothing(intervention, message):
    bad = Condition(name="bad", interventions=(intervention,))
    with pytest.raises(UserError, match=message):
        GateTable(tiny("llama"), VECTORS).add(bad)
    with pytest.raises(UserError, match=message):
        generate_rows(
            tiny("llama"),
            [Row(prompt(0), 0), Row(prompt(0), 0, bad)],
            SamplingParams(4),
            seed=0,
            vectors=VECTORS,
        )


def test_conditions_must_have_their_own_names():
    table = GateTable(tiny("llama"))
    table.add(Condition(name="x"))
    with pytest.raises(UserError, match="both called 'x'"):
        table.add(Condition(name="x", suppress_tokens=frozenset({4})))


@pytest.mark.parametrize("token", [-1, VOCAB])
def test_suppressed_tokens_must_exist(token):
    muted = Condition(name="y", suppress_tokens=frozenset({token}))
    with pytest.raises(UserError, match=rf"tokens that do not exist: \[{token}\]"):
        generate(tiny("llama"), [Row(prompt(0), 0, muted)])


def test_heads_whose_values_have_another_width():
    """Multi-head latent attention: a slice of `head_dim` would be part of one head, or of two."""
    one_head = Condition(name="h", interventions=(Intervention(component="attn", layer=1, head=1),))
    with pytest.raises(
        UserError, match=r"(?s)heads of this architecture cannot be told apart.*4 heads of width 8"
    ):
        GateTable(build(transformers.DeepseekV3Config(**LATENT))).add(one_head)


def test_settings_that_complete_nothing():
    with pytest.raises(UserError, match="slots: 0"):
        generate_rows(tiny("llama"), [Row(prompt(0), 0)], SamplingParams(4), seed=0, slots=0)
    with pytest.raises(UserError, match=r"(?s)temperature 1e-38 is too small.*do_sample: false"):
        SamplingParams(4, temperature=1e-38)
    SamplingParams(4, temperature=1e-38, do_sample=False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_new_tokens": 0},
        {"top_k": -1},
        {"top_p": 0.0},
        {"top_p": 1.5},
        {"top_p": float("nan")},
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"max_new_tokens": "8"},
        {"max_new_tokens": 2.5},
        {"max_new_tokens": True},
        {"top_k": None},
        {"top_k": 2.5},
        {"top_p": "0.9"},
        {"temperature": None},
        {"temperature": float("nan"), "do_sample": False},
        {"do_sample": 1},
        {"logprobs": "yes"},
        {"loop": 3},
    ],
)
def test_sampling_settings_out_of_range(wrong):
    name = next(iter(wrong))
    with pytest.raises(UserError, match=name):
        SamplingParams(**{"max_new_tokens": 4, **wrong})


@pytest.mark.parametrize("place", ["model.layers.1.self_attn.q_proj", "model.embed_tokens"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(place, value):
    """Also where fused attention hides them, or no token of a short input meets them."""
    broken = transformers.LlamaForCausalLM(CONFIGS["llama"]())
    with torch.no_grad():
        broken.get_submodule(place).weight[-1, 0] = value
    with pytest.raises(UserError, match=rf"NaN or infinity \({place}.weight\)"):
        LoadedModel.wrap(broken, NumberTokenizer())


def test_numbers_that_overflow():
    broken = transformers.LlamaForCausalLM(CONFIGS["llama"]())
    torch.nn.init.constant_(broken.model.layers[1].mlp.down_proj.weight, 3e38)
    with pytest.raises(UserError, match="not finite"):
        LoadedModel.wrap(broken, NumberTokenizer())


@pytest.mark.parametrize("asked", [{"slots": "many"}, {"slots": 1.5}, {"slots": None}, {"engine": "fast"}])
def test_arguments_that_mean_nothing(asked):
    rows = [Row(prompt(0), 0)]
    with pytest.raises(UserError, match=next(iter(asked))):
        list(generate_rows(tiny("llama"), rows, SamplingParams(4), seed=0, **asked))


def test_an_end_token_that_the_model_lacks():
    config = CONFIGS["llama"]()
    config.eos_token_id = VOCAB + 5
    with pytest.raises(UserError, match=f"end token {VOCAB + 5} is outside"):
        LoadedModel.wrap(transformers.LlamaForCausalLM(config), NumberTokenizer())


def test_one_example_with_two_prompts():
    same, other = prompt(0), replace(prompt(1), example_id=prompt(0).example_id)
    with pytest.raises(UserError, match="another prompt"):
        generate(tiny("llama"), [Row(same, 0), Row(other, 0)])
    for allowed in (Row(replace(other, variant="other"), 0), Row(other, 1)):
        assert len(generate(tiny("llama"), [Row(same, 0), allowed])) == 2
