"""Write the table in docs/models.md: how far a tiny random model of every family of transformers gets."""

import os
import re
import sys
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import CONFIG_MAPPING, AutoModelForCausalLM
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from backtracking.engine.generate import Prompt, Row, SamplingParams, generate_rows
from backtracking.errors import UserError
from backtracking.interventions import BASELINE, Condition, Intervention
from backtracking.mechanism.passes import takes_arms
from backtracking.model.loading import LoadedModel

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "engine"))

from tiny import VOCAB, NumberTokenizer  # noqa: E402 (found through the path above)

PAGE = ROOT / "docs" / "models.md"
BEGIN, END = "<!-- families: written by `make docs` -->\n", "<!-- end of families -->\n"
FAMILIES = tuple(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)

LAYERS = 4
_GROUPS = (
    (VOCAB, "vocab_size decoder_vocab_size vocab_size_per_layer_input unpadded_vocab_size"),
    (256, "max_position_embeddings n_positions max_seq_len n_ctx"),
    (100, "shape_vocab_size pronunciation_vocab_size encoder_hash_byte_group_vocab"),
    (
        64,
        "intermediate_size intermediate_size_mlp dff d_ff ffn_dim dim_ff decoder_ffn_dim encoder_ffn_dim "
        "ffn_hidden_size mamba_d_ssm attention_chunk_size expert_ffn_hidden_size",
    ),
    (
        32,
        "hidden_size d_model n_embd embedding_size embed_dim lru_width moe_intermediate_size "
        "shared_expert_intermediate_size word_embed_proj_dim",
    ),
    (16, "kv_lora_rank q_lora_rank"),
    (12, "sliding_window attention_window_size"),
    (
        8,
        "head_dim dim_head rotary_dim qk_rope_head_dim qk_nope_head_dim index_topk index_head_dim "
        "query_pre_attn_scalar mamba_n_heads mamba_d_head mamba_d_state mamba_num_heads mamba_head_dim "
        "mamba_chunk_size chunk_size state_size ssm_state_size linear_key_head_dim linear_value_head_dim "
        "linear_head_dim hidden_size_per_layer_input laurel_rank",
    ),
    (
        LAYERS,
        "num_hidden_layers n_layer n_layers num_layers decoder_layers num_decoder_layers "
        "encoder_layers num_encoder_layers",
    ),
    (
        4,
        "num_attention_heads n_head n_heads decoder_attention_heads encoder_attention_heads num_heads "
        "num_experts num_local_experts n_routed_experts moe_num_experts mamba_dt_rank time_step_rank "
        "linear_num_value_heads linear_num_heads index_n_heads",
    ),
    (
        2,
        "num_key_value_heads num_experts_per_tok num_experts_per_token moe_topk "
        "bos_token_id type_vocab_size linear_num_key_heads attn_layer_period "
        "global_attn_every_n_layers full_attention_interval",
    ),
    (
        1,
        "eos_token_id n_group topk_group num_expert_group first_k_dense_replace num_dense_layers "
        "mamba_n_groups n_groups attn_layer_offset",
    ),
    (0, "pad_token_id"),
)
SIZES: dict[str, Any] = {name: size for size, names in _GROUPS for name in names.split()}
_LATENT = {"num_key_value_heads": 4, "v_head_dim": 8}
_TURNS = ["sliding_attention", "full_attention"] * 2
PARTICULAR: dict[str, dict[str, Any]] = {
    "bamba": {"attn_layer_indices": [1, 3]},
    "deepseek_v2": {"topk_method": "greedy", "num_experts_per_tok": 2},
    "dots1": {"n_shared_experts": 1, "n_routed_experts": 4, "num_experts_per_tok": 2},
    "falcon": {"head_dim": None},
    "gemma3n_text": {
        "layer_types": _TURNS,
        "intermediate_size": [64] * LAYERS,
        "num_kv_shared_layers": 0,
        "activation_sparsity_pattern": None,
    },
    "hunyuan_v1_dense": {"head_dim": 8},
    "hunyuan_v1_moe": {"head_dim": 8},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"] * 2},
    "mamba2": {"num_heads": 8},
    "ministral": {"head_dim": 8},
    "nemotron": {"num_key_value_heads": 2, "head_dim": 8},
    "prophetnet": {"num_hidden_layers": None},
    "reformer": {"is_decoder": True, "axial_pos_shape": [16, 16], "axial_pos_embds_dim": [16, 16]},
    "xlnet": {"max_position_embeddings": None},
    "zaya": {"num_experts_per_tok": 1},
}
"""What the sizes above do not fit; None leaves the family's own default."""
KNOWN = {
    "llama": "Llama 2, 3; DeepSeek-R1-Distill-Llama; SmolLM2; Yi",
    "qwen2": "Qwen 2, 2.5; DeepSeek-R1-Distill-Qwen; QwQ; OpenThinker; s1",
    "qwen3": "Qwen 3; DeepSeek-R1-0528-Qwen3",
    "qwen3_moe": "Qwen 3 A3B, A22B",
    "qwen3_next": "Qwen3-Next",
    "qwen3_5_text": "Qwen 3.5",
    "qwen3_5_moe_text": "Qwen 3.5, mixture of experts",
    "qwen2_moe": "Qwen1.5-MoE, Qwen2-57B",
    "gpt_oss": "gpt-oss",
    "deepseek_v2": "DeepSeek V2, V2-Lite",
    "deepseek_v3": "DeepSeek V3, R1; Kimi K2",
    "deepseek_v32": "DeepSeek V3.2",
    "deepseek_v4": "DeepSeek V4",
    "mistral": "Mistral 7B, Nemo; Magistral",
    "ministral3": "Ministral 3",
    "mixtral": "Mixtral",
    "gemma": "Gemma 1",
    "gemma2": "Gemma 2",
    "gemma3_text": "Gemma 3, text",
    "gemma3": "Gemma 3, with images",
    "gemma3n_text": "Gemma 3n, text",
    "gemma4_text": "Gemma 4, text",
    "phi": "Phi 1, 1.5, 2",
    "phi3": "Phi 3, 4; Phi-4-reasoning",
    "phimoe": "Phi-3.5-MoE",
    "granite": "Granite 3",
    "granitemoe": "Granite 3 MoE",
    "granitemoehybrid": "Granite 4",
    "cohere": "Command R",
    "cohere2": "Command R7B, Command A",
    "glm4": "GLM-4, GLM-Z1",
    "glm4_moe": "GLM-4.5, 4.6",
    "llama4_text": "Llama 4, text",
    "minimax": "MiniMax-Text-01, M1",
    "minimax_m2": "MiniMax M2",
    "kimi_linear": "Kimi Linear",
    "lfm2": "LFM2",
    "nemotron_h": "Nemotron-H, Nemotron Nano 2",
    "nemotron": "Nemotron 3, 4; Minitron",
    "jamba": "Jamba",
    "falcon_h1": "Falcon-H1",
    "falcon": "Falcon",
    "falcon_mamba": "Falcon Mamba",
    "mamba": "Mamba",
    "mamba2": "Mamba 2",
    "bamba": "Bamba",
    "zamba2": "Zamba 2",
    "recurrent_gemma": "RecurrentGemma",
    "olmo2": "OLMo 2",
    "olmo3": "OLMo 3, OLMo-Think",
    "olmoe": "OLMoE",
    "smollm3": "SmolLM3",
    "exaone4": "EXAONE 4; EXAONE Deep",
    "seed_oss": "Seed-OSS",
    "ernie4_5": "ERNIE 4.5",
    "hunyuan_v1_dense": "Hunyuan",
    "minicpm3": "MiniCPM 3",
    "starcoder2": "StarCoder 2",
    "stablelm": "StableLM 2",
    "gpt2": "GPT-2",
    "gpt_neo": "GPT-Neo",
    "gpt_neox": "Pythia, GPT-NeoX",
    "gptj": "GPT-J",
    "codegen": "CodeGen",
    "opt": "OPT",
    "bloom": "BLOOM",
    "mpt": "MPT",
    "rwkv": "RWKV 4",
    "openai-gpt": "GPT (2018)",
}
"""Families in the order in which researchers bring them, and models of each."""


_MEASURED = re.compile(r" by (up to )?[\d.e+-]+( \(largest logit [\d.e+-]+\))?")
"""What differs from machine to machine in the last digits."""


@dataclass(frozen=True)
class Outcome:
    """What became of one family: either things proved, or the words it was refused with."""

    family: str
    parts: str = ""
    """Which modules write to the residual stream, layer kinds apart; empty where the model was refused."""
    scans: str = ""
    reference: bool = False
    batched: bool = False
    is_equal: bool | None = None
    """Whether both engines wrote the same tokens, with and without an intervention."""
    note: str = ""

    def line(self) -> str:
        """The family's row in the table."""
        engines = ["yes" if done else "no" for done in (self.reference, self.batched)]
        cells = [f"`{self.family}`", KNOWN.get(self.family, ""), self.parts or "no", self.scans or "no"]
        note = _MEASURED.sub("", self.note).replace("|", "/")
        return "| " + " | ".join([*cells, *engines, note]) + " |"


def tiny_model(family: str) -> Any:
    """A model of a family with random weights, small in every size that its config has."""
    config_class = CONFIG_MAPPING[family]
    sizes = {**_sizes(config_class()), **PARTICULAR.get(family, {})}
    config = config_class(**{name: size for name, size in sizes.items() if size is not None})
    with torch.device("meta"):
        parameters = sum(p.numel() for p in AutoModelForCausalLM.from_config(config).parameters())
    if parameters > 2e7:
        raise ValueError(f"{parameters:,} parameters are left with every size that is known made small")
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config)


def _sizes(default: Any) -> dict[str, Any]:
    """The small sizes of a default config, with those of the configs inside it."""
    sizes = {name: size for name, size in SIZES.items() if _own(default, name) is not None}
    depth = _own(default, "num_hidden_layers")
    if "kv_lora_rank" in sizes:
        sizes.update(_LATENT)
    if _own(default, "initializer_range") is not None:
        sizes["initializer_range"] = 0.3
    for name, value in default.to_dict().items():
        if isinstance(value, list) and len(value) == depth:
            kinds = list({str(one): one for one in value}.values())
            sizes[name] = [kinds[layer % len(kinds)] for layer in range(LAYERS)]
    for name in getattr(default, "sub_configs", {}):
        if (inner := _own(default, name)) is not None:
            kind = {"model_type": inner.model_type} if inner.model_type else {}
            sizes[name] = {**_sizes(inner), **kind}
    return sizes


def _own(config: Any, name: str) -> Any:
    # Configs whose layers differ raise errors of several kinds when asked for the one number.
    try:
        return getattr(config, name, None)
    except (ValueError, RuntimeError):
        return None


HALVED = Condition(
    name="changed",
    interventions=(
        Intervention(component="attn", layer=1, strength=0.3),
        Intervention(component="mlp", layer=2, strength=0.0),
    ),
)
SAMPLED = SamplingParams(6, 1.0, 0.95)


def try_family(family: str) -> Outcome:
    """Build, load, and generate; what is refused is refused by a `UserError`, and anything else is raised."""
    try:
        model = tiny_model(family)
    # Families need packages, towers for images or sizes of their own; that says nothing of the program.
    except Exception as error:
        return Outcome(family, note=f"not tried: no tiny model can be made ({_first_line(error)})")
    try:
        loaded = LoadedModel.wrap(model, NumberTokenizer(), family)
    except UserError as refused:
        return Outcome(family, note=refused.why)
    rows, notes = {}, []
    for engine in ("reference", "batched"):
        try:
            rows[engine] = _tokens(loaded, engine)
        except UserError as refused:
            notes.append(refused.why)
    both = len(rows) == 2
    return Outcome(
        family,
        _parts(loaded),
        _scans(loaded),
        "reference" in rows,
        "batched" in rows,
        rows["reference"] == rows["batched"] if both else None,
        "; ".join(notes),
    )


def _tokens(loaded: LoadedModel, engine: Any) -> dict[tuple[str, str], list[int]]:
    prompts = [
        Prompt(str(n), "plain", f"prompt {n}", tuple((n * 37 + 13 * i * i + 5) % 317 + 3 for i in range(n)))
        for n in (5, 13)
    ]
    rows = [Row(prompt, 0, condition) for prompt in prompts for condition in (BASELINE, HALVED)]
    records = generate_rows(loaded, rows, SAMPLED, seed=0, engine=engine, slots=4)
    return {(record.example_id, record.condition): record.completion_ids for record in records}


def _parts(loaded: LoadedModel) -> str:
    kinds = [
        " + ".join(
            _scaled(part, scale)
            for part, scale in ((block.attn, block.attn_scale), (block.mlp, block.mlp_scale))
        )
        for block in loaded.blocks
    ]
    return "; ".join(dict.fromkeys(kinds))


def _scaled(part: torch.nn.Module, scale: float) -> str:
    return f"`{type(part).__name__}`" + ("" if scale == 1.0 else f" × {scale:.3g}")


def _scans(loaded: LoadedModel) -> str:
    if not loaded.reads_padded:
        return ""
    return "yes" if takes_arms(loaded) else "one by one"


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].split(". ")[0].strip(". ")


def outcomes(families: Iterable[str]) -> Iterator[Outcome]:
    """What becomes of each family, quietly."""
    transformers.logging.set_verbosity(transformers.logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for family in families:
            yield try_family(family)


def table(found: Iterable[Outcome]) -> str:
    """Counts, then a line per family: those that are known first."""
    order = {family: place for place, family in enumerate(KNOWN)}
    lines = sorted(found, key=lambda one: (order.get(one.family, len(order)), one.family))
    tried = [one for one in lines if not one.note.startswith("not tried")]
    mapped = [one for one in tried if one.parts]
    counts = (
        f"Of {len(lines)} families in transformers {transformers.__version__}, {len(tried)} were tried: "
        f"{len(mapped)} have a residual stream that is proved to be the sum of its parts, "
        f"{sum(bool(one.scans) for one in mapped)} can be read by the analyses, "
        f"{sum(one.reference for one in mapped)} the reference engine and "
        f"{sum(one.batched for one in mapped)} the batched engine, with the same tokens from both engines in "
        f"{sum(one.is_equal is True for one in mapped)} of these.\n"
    )
    head = (
        "| family | models | what writes | analyses | reference | batched | why not |\n" + "|---" * 7 + "|\n"
    )
    return "\n" + counts + "\n" + head + "\n".join(one.line() for one in lines) + "\n\n"


def render(found: Iterable[Outcome]) -> str:
    """The page with its table made anew."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    return before + BEGIN + table(found) + END + rest.partition(END)[2]


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    PAGE.write_text(render(outcomes(FAMILIES)), encoding="utf-8")
