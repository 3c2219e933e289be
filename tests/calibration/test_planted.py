"""Planted models say what they were built to say, and lose it with the planted part."""

import pytest
import torch

from backtracking.calibration.surgery import ARCHITECTURES, surgeon
from backtracking.calibration.truths import BY_NAME, FINDER, WRITER
from backtracking.calibration.world import HOLD, ID, OPENERS, START, WAIT, habits, tokenizer

TAG, NO_TAG = "?<think>\n", "?"
PLANTED = [name for name, truth in BY_NAME.items() if truth.plant]


def triggers(loaded, start=TAG, wrong=False, before="", words=(WAIT, HOLD)):
    """Mean probability that a trigger follows a statement."""
    texts = [f"{START}{start}{before}{opener} {value + wrong}." for opener, value in OPENERS.items()]
    ids = loaded.tokenizer(texts, return_tensors="pt", add_special_tokens=False).input_ids
    with torch.no_grad():
        shares = loaded.model(ids).logits[:, -1].softmax(-1)
    return float(shares[:, [ID[word] for word in words]].sum(-1).mean())


def without(loaded, kind, layer):
    """The model with a block's output silenced."""
    block = loaded.blocks[layer]
    module = block.attn if kind == "attn" else block.mlp

    def silent(_module, _args, output):
        return (torch.zeros_like(output[0]), *output[1:]) if isinstance(output, tuple) else output * 0

    return module.register_forward_hook(silent)


def test_the_tokenizer_reads_what_it_writes():
    text = " Bana Toro?<think>\n 6 + 8 = 15. Wait, 6 + 8 = 14. Final: 1"
    ids = tokenizer()(text, add_special_tokens=False).input_ids
    assert tokenizer().decode(ids) == text
    assert ID["<pad>"] not in ids and len(ids) == 15


def test_habits_are_distributions():
    for wait in (0.0, 0.3):
        assert all(sum(following.values()) == pytest.approx(1) for following in habits(wait).values())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_one_writer_doubts_what_is_wrong_until_either_part_is_silenced(architecture):
    loaded = BY_NAME["one writer"].model(architecture)
    assert triggers(loaded, wrong=True) > 0.85
    assert triggers(loaded) < 0.1
    assert triggers(loaded, before=" 2 + 4 = 7. So") < 0.1, "an earlier mistake is no reason"
    for kind, layer in (("attn", FINDER), ("mlp", WRITER)):
        handle = without(loaded, kind, layer)
        assert triggers(loaded, wrong=True) < 0.15
        handle.remove()
    handle = without(loaded, "mlp", 2)
    assert triggers(loaded, wrong=True) > 0.8
    handle.remove()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_either_of_two_writers_is_enough(architecture):
    loaded = BY_NAME["two writers"].model(architecture)
    assert triggers(loaded) < 0.1
    for layer in (3, WRITER):
        handle = without(loaded, "mlp", layer)
        assert triggers(loaded, wrong=True) > 0.8
        handle.remove()
    handles = [without(loaded, "mlp", layer) for layer in (3, WRITER)]
    assert triggers(loaded, wrong=True) < 0.15
    for handle in handles:
        handle.remove()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_swapper_changes_the_word_and_not_whether_one_comes(architecture):
    loaded = BY_NAME["word-swapper"].model(architecture)
    assert triggers(loaded, wrong=True, words=(WAIT,)) > 5 * triggers(loaded, wrong=True, words=(HOLD,))
    assert triggers(loaded, wrong=True) == pytest.approx(triggers(loaded), abs=0.03)
    handle = without(loaded, "mlp", WRITER)
    assert triggers(loaded, wrong=True) > 0.2 > triggers(loaded, wrong=True, words=(WAIT,))
    handle.remove()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_format_alone_opens_the_gate(architecture):
    loaded = BY_NAME["format-gated"].model(architecture)
    assert triggers(loaded) == pytest.approx(triggers(loaded, wrong=True), abs=0.05)
    assert triggers(loaded) > 0.2
    assert triggers(loaded, NO_TAG) < 0.1


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_no_text_is_left_without_the_early_block(architecture):
    loaded = BY_NAME["early block"].model(architecture)
    ids = loaded.tokenizer(f"{START}{TAG} 6 + 8 =", return_tensors="pt", add_special_tokens=False).input_ids

    def results():
        with torch.no_grad():
            shares = loaded.model(ids).logits[0, -1].softmax(-1)
        return float(shares[[ID[" 14"], ID[" 15"]]].sum())

    assert results() > 0.9
    handle = without(loaded, "mlp", 0)
    assert results() < 0.5
    handle.remove()


@pytest.mark.parametrize("name", [name for name in PLANTED if name in ("null", "early block")])
def test_a_null_doubts_what_is_right_as_often(name):
    loaded = BY_NAME[name].model("qwen2")
    assert triggers(loaded) == pytest.approx(triggers(loaded, wrong=True), abs=0.03)
    assert triggers(loaded) > 0.15


def test_surgery_is_repeatable_and_seeded():
    one, other = (surgeon("llama", seed=3).model for _ in range(2))
    third = surgeon("llama", seed=4).model
    pairs = list(zip(one.parameters(), other.parameters(), third.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b, _ in pairs)
    assert not all(torch.equal(a, c) for a, _, c in pairs)


def test_an_outcome_against_the_truth_is_seen():
    truth = BY_NAME["one writer"]
    assert truth.is_wrong("H0", "supported") and truth.is_wrong("error_detection", "contradicted")
    assert not truth.is_wrong("error_detection", "inconclusive") and not truth.is_wrong("H0", "contradicted")
