"""Lens, scan and attribution against nnsight and TransformerLens on random models, where installed."""

import copy

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from backtracking.measurements.controls import Reading
from backtracking.mechanism.attribution import attribute
from backtracking.mechanism.logit_lens import read_lens
from backtracking.mechanism.passes import KINDS, UNCHANGED, Edit, Site, TailScan
from backtracking.mechanism.readouts import Openings, Target
from backtracking.model.loading import LoadedModel

VOCABULARY, LAYERS, HEADS = 61, 3, 4
SMALL = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": 2,
    "initializer_range": 0.2,
    "max_position_embeddings": 64,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
MODELS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SMALL)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SMALL)),
}
IDS = [5, 17, 33, 2, 48, 9, 21, 40, 13]
TARGET = Target(
    7, Openings.of([(7,), (8,)]), Openings.of([(7,), (8,), (9,)]), {"continue": (11, 12), "end": (1,)}
)
ITEM = (Reading("p", 0, (*IDS, 7), 4, len(IDS) - 1), TARGET)


class NoTokenizer:
    eos_token_id = 1


@pytest.fixture(params=MODELS)
def loaded(request):
    torch.manual_seed(0)
    return LoadedModel.wrap(MODELS[request.param]().eval(), NoTokenizer(), request.param)


def _mine(loaded):
    """Lens logits of the target by layer, the scan's final logits by component, and direct effects."""
    lens = dict(read_lens(loaded, [ITEM], budget=100))[0]["logit"]
    sites = [Site(kind, layer) for layer in range(LAYERS) for kind in KINDS]
    with torch.no_grad():
        scanned = loaded.readout(TailScan(loaded, [UNCHANGED, *((Edit(site),) for site in sites)])([IDS])[0])
    direct = dict(attribute(loaded, [ITEM], budget=100))[0]
    return lens, scanned, direct


def test_nnsight_reads_and_ablates_the_same(loaded):
    nnsight = pytest.importorskip("nnsight")
    lens, scanned, _ = _mine(loaded)
    peer = nnsight.NNsight(loaded.model)
    ids = torch.tensor([IDS])
    with torch.no_grad():
        for layer in range(LAYERS):
            with peer.trace(ids):
                hidden = peer.model.layers[layer].output.save()
            hidden = hidden[0] if isinstance(hidden, tuple) else hidden
            logits = loaded.model.lm_head(loaded.model.model.norm(hidden))[0, -1]
            assert lens[layer] == pytest.approx(float(logits[TARGET.onset]), abs=1e-4)
        for number, (layer, kind) in enumerate((layer, kind) for layer in range(LAYERS) for kind in KINDS):
            with peer.trace(ids):
                if kind == "attn":
                    peer.model.layers[layer].self_attn.output[0][:, -1] = 0.0
                else:
                    peer.model.layers[layer].mlp.output[:, -1] = 0.0
                logits = peer.lm_head.output.save()
            torch.testing.assert_close(scanned[1 + number], logits[0, -1], atol=1e-4, rtol=1e-4)


@pytest.fixture
def bridge(loaded):
    """TransformerLens's view of a copy of the model; building it changes the model it is given."""
    builder = pytest.importorskip("transformer_lens.model_bridge.sources._bridge_builder")
    copied = copy.deepcopy(loaded.model)
    return builder.build_bridge_from_module(copied, type(copied).__name__, hf_config=copied.config)


def test_transformer_lens_agrees_on_lens_scan_and_attribution(loaded, bridge):
    lens, scanned, direct = _mine(loaded)
    ids = torch.tensor([IDS])
    head, norm = loaded.model.lm_head.weight, loaded.model.model.norm
    with torch.no_grad():
        logits, cache = bridge.run_with_cache(ids)
        torch.testing.assert_close(logits[0, -1], scanned[0], atol=1e-4, rtol=1e-4)
        for layer in range(LAYERS):
            read = norm(cache[f"blocks.{layer}.hook_resid_post"])[0, -1] @ head.T
            assert lens[layer] == pytest.approx(float(read[TARGET.onset]), abs=1e-4)
        names = [f"blocks.{layer}.hook_{kind}_out" for layer in range(LAYERS) for kind in KINDS]
        for number, name in enumerate(names):
            ablated = bridge.run_with_hooks(ids, fwd_hooks=[(name, _drop_last)])
            torch.testing.assert_close(scanned[1 + number], ablated[0, -1], atol=1e-4, rtol=1e-4)
        final = cache[f"blocks.{LAYERS - 1}.hook_resid_post"][0, -1]
        scale = (final.square().mean() + norm.variance_epsilon).sqrt()
        weight = (head[TARGET.onset] - head[list(TARGET.contrast)].mean(0)) * norm.weight / scale
        for number, name in enumerate(names):
            assert direct["blocks"][number] == pytest.approx(float(cache[name][0, -1] @ weight), abs=1e-4)


def _drop_last(value, hook):
    value[:, -1] = 0.0
    return value
