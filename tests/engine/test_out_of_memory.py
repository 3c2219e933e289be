"""Memory that runs out while a model is tried out says nothing about the model."""

import pytest
import torch

from backtracking.engine import forward
from backtracking.mechanism.proved import last_state, proved
from backtracking.model import mapping
from tests.engine.tiny import CONFIGS, build

FULL = "[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you tried"


def run_out(*_):
    raise RuntimeError(FULL)


@pytest.fixture
def loaded():
    return build(CONFIGS["llama"]())


@pytest.fixture
def starved(loaded):
    """The same model, which finds no memory any more."""
    handle = loaded.blocks[-1].mlp.register_forward_hook(run_out)
    yield loaded
    handle.remove()


def test_a_way_of_reading_is_not_given_up_for_it(loaded):
    ends = torch.cat([last_state(loaded, ids) for ids in ((5, 9, 14, 3, 8), (7, 4, 11, 6, 12, 13, 10, 9))])
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        proved(loaded, "a way of reading", run_out)
    assert proved(loaded, "a way of reading", lambda: ends), "it is asked again"
    assert not proved(loaded, "another way", lambda: ends + 1.0)


def test_the_model_is_not_refused_for_it(starved, monkeypatch):
    monkeypatch.setattr(forward, "prompt_pass", run_out)
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        forward.check_numbers(starved)
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        mapping._probe(starved.model, "llama")
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        mapping._reads_padded(starved.model, torch.zeros(1))
