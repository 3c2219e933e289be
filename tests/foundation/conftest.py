import shutil

import pytest

from tests.explore.conftest import type_commands
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
def random_reasoner(made_once):
    """A folder with a tiny randomly initialised Qwen2 and the organism's kind of tokenizer."""
    return made_once("random_reasoner", make_random_reasoner)


def make_random_reasoner(folder):
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from backtracking.organism.tokenizer import train_tokenizer

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


def write_small_config(folder, model):
    path = folder / "small.yaml"
    path.write_text(
        f"""
run: {{name: small, run_id: small}}
model: {{hf_id: "{model}"}}
dataset: {{name: tiny_arithmetic, max_examples: 8}}
generation: {{num_samples_per_prompt: 2, max_new_tokens: 24, temperature: 1.0, top_p: 1.0}}
analysis: {{topk_layers_for_generation: 1}}
ablation_generation: {{random_draws: 2, fixed_prefixes: 0}}
"""
    )
    return path


@pytest.fixture
def small_config(random_reasoner, workdir):
    """A Phase 1 config that runs in seconds on the random model."""
    return write_small_config(workdir, random_reasoner)


@pytest.fixture(scope="session")
def generated_once(made_once, random_reasoner):
    """The run of `small_config` with its completions."""

    def make(folder):
        write_small_config(folder, random_reasoner)
        type_commands([(command, "-c", "small.yaml") for command in ("prepare-data", "generate")], folder)

    return made_once("generated", make)


@pytest.fixture
def generated(generated_once, small_config, workdir):
    """A copy of that run, in the folder that one works in."""
    shutil.copytree(generated_once / "runs", workdir / "runs")
