"""The release folder: whole, small, quick to load, and refused when damaged."""

import shutil

import pytest
import torch
from transformers import AutoModelForCausalLM

from backtracking.config.schema import ModelConfig
from backtracking.errors import UserError
from backtracking.model.source import check_source
from backtracking.organism.bundle import bundled_reasoner_path, verify_checksums
from backtracking.organism.design import DESIGNS
from backtracking.run.bundled import BUNDLED


@pytest.fixture(params=BUNDLED)
def copy(request, tmp_path):
    return shutil.copytree(bundled_reasoner_path(request.param), tmp_path / "reasoner")


def test_every_file_of_the_release_is_covered_by_a_checksum(copy):
    listed = {line.split("  ")[1] for line in (copy / "SHA256SUMS").read_text().splitlines()}
    assert listed == {path.name for path in copy.iterdir()} - {"SHA256SUMS"}
    assert {"model.safetensors", "config.json", "tokenizer.json", "MODEL_CARD.md"} <= listed


def test_one_changed_byte_is_refused_with_the_name_of_the_file(copy):
    weights = copy / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(UserError, match="damaged") as raised:
        verify_checksums(copy)
    assert "model.safetensors" in raised.value.why


def test_a_name_that_does_not_ship_is_refused_with_those_that_do():
    with pytest.raises(UserError, match="'bundled:guesser'") as raised:
        bundled_reasoner_path("bundled:guesser")
    assert "bundled" in raised.value.next_step
    with pytest.raises(UserError, match="'bundled:guesser'"):
        check_source(ModelConfig(hf_id="bundled:guesser"))


@pytest.mark.parametrize("name", ["config.json", "SHA256SUMS"])
def test_a_missing_file_is_refused(copy, name):
    (copy / name).unlink()
    with pytest.raises(UserError) as raised:
        verify_checksums(copy)
    assert f"{name} is missing" in raised.value.why


@pytest.mark.parametrize("name", BUNDLED)
def test_the_model_loads_in_float32_with_the_size_of_its_recipe(name):
    model = AutoModelForCausalLM.from_pretrained(bundled_reasoner_path(name))
    recipe = next(design.recipe for design in DESIGNS.values() if design.bundled == name)
    assert model.dtype == torch.float32
    assert model.config.model_type == "qwen2"
    assert model.config.num_hidden_layers == recipe.layers
    assert model.config.hidden_size == recipe.width
    assert model.num_parameters() <= 4e6


@pytest.mark.parametrize("content", [b"", b"3c2a140c639c2a8c", b"\x00\xff\xfe\n\x80  a\n"])
def test_a_record_that_does_not_cover_the_model_is_refused(copy, content):
    (copy / "SHA256SUMS").write_bytes(content)
    with pytest.raises(UserError) as raised:
        verify_checksums(copy)
    assert "does not list" in raised.value.why
    assert "model.safetensors" in raised.value.why
