import shutil

import pytest

from tests.foundation import study
from tests.foundation.command import CommandLine


@pytest.fixture(scope="session")
def finished(made_once):
    """Both phases, run once by the command line; tests work on copies."""
    return made_once("finished", study.make)


@pytest.fixture
def run(finished, tmp_path, monkeypatch):
    """A copy of the finished runs to damage at will."""
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def cli(capsys, monkeypatch):
    return CommandLine(capsys, monkeypatch)


@pytest.fixture
def workdir(tmp_path, monkeypatch):
    """An empty folder to start commands in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def random_reasoner(tmp_path_factory):
    """A folder with a tiny randomly initialised Qwen2 and the organism's kind of tokenizer."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from backtracking.organism.tokenizer import train_tokenizer

    folder = tmp_path_factory.mktemp("random_reasoner")
    tokenizer = train_tokenizer(n=200)
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
        initializer_range=0.2,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def small_config(random_reasoner, workdir):
    """A Phase 1 config that runs in seconds on the random model."""
    path = workdir / "small.yaml"
    path.write_text(
        f"""
run: {{name: small, run_id: small}}
model: {{hf_id: "{random_reasoner}"}}
dataset: {{name: tiny_arithmetic, max_examples: 8}}
generation: {{num_samples_per_prompt: 2, max_new_tokens: 24, temperature: 1.0, top_p: 1.0}}
analysis: {{topk_layers_for_generation: 1}}
ablation_generation: {{random_draws: 2, fixed_prefixes: 0}}
"""
    )
    return path
