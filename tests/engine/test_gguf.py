"""Weights in a GGUF file: one is made on the spot, loaded, and says the same as its original."""

import json

import pytest
import torch
from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

from backtracking.config.schema import ModelConfig
from backtracking.errors import UserError
from backtracking.model.loading import load_model
from backtracking.organism.bundle import bundled_reasoner_path

gguf = pytest.importorskip("gguf")
pytest.importorskip("accelerate")

NAMES = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip
"""Tensors of transformers by the names that GGUF has for them."""


def gguf_name(name):
    module, kind = name.rsplit(".", 1)
    if module.startswith("model.layers."):
        _, _, layer, part = module.split(".", 3)
        return f"blk.{layer}.{NAMES[part]}.{kind}"
    return f"{NAMES[module]}.{kind}"


def write_gguf(path, model, tokenizer_file, tokenizer):
    config = model.config
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    words = json.loads(tokenizer_file.read_text())["model"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokenizer.convert_ids_to_tokens(range(len(tokenizer))))
    special = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
    writer.add_token_types([3 if token in special else 1 for token in range(len(tokenizer))])
    writer.add_token_merges([" ".join(pair) for pair in words["merges"]])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    for name, tensor in model.state_dict().items():
        writer.add_tensor(gguf_name(name), tensor.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_a_gguf_file_made_on_the_spot_loads_and_says_the_same(tmp_path):
    reasoner = bundled_reasoner_path()
    tokenizer = AutoTokenizer.from_pretrained(reasoner)
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256, tie_word_embeddings=False,
        initializer_range=0.2, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    plain = Qwen2ForCausalLM(config).eval()
    write_gguf(tmp_path / "tiny.gguf", plain, reasoner / "tokenizer.json", tokenizer)
    loaded = load_model(
        ModelConfig(hf_id=str(tmp_path), gguf_file="tiny.gguf", device="cpu", torch_dtype="float32")
    )
    text = "12+5=17. Wait, that is wrong."
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    assert loaded.tokenizer(text, add_special_tokens=False)["input_ids"] == ids[0].tolist()
    assert (loaded.n_layers, loaded.dtype) == (2, torch.float32)
    with torch.no_grad():
        torch.testing.assert_close(loaded.model(ids).logits, plain(ids).logits)


def test_a_missing_package_is_named_with_the_command_that_installs_it(tmp_path, monkeypatch):
    def lacking(*_, **__):
        raise ImportError("Loading a GGUF checkpoint requires accelerate")

    monkeypatch.setattr(AutoTokenizer, "from_pretrained", lacking)
    with pytest.raises(UserError, match="could not be loaded") as caught:
        load_model(ModelConfig(hf_id=str(tmp_path), gguf_file="tiny.gguf", device="cpu"))
    assert caught.value.next_step == "run: pip install 'backtracking[gguf]'"
