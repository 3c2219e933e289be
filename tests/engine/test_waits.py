"""How often the host waits for the device in a decoding step, counted on a stand-in for its tensors."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from tiny import prompt, tiny

from backtracking.engine import batched
from backtracking.engine.generate import Row, SamplingParams, generate_rows
from backtracking.interventions import BASELINE, Condition, Intervention

FAR = torch.device("xpu")
COUNTS = Counter()
READS = {
    torch.Tensor.item, torch.Tensor.tolist, torch.Tensor.cpu, torch.Tensor.numpy, torch.Tensor.nonzero,
    torch.Tensor.__bool__, torch.Tensor.__int__, torch.Tensor.__float__, torch.Tensor.__index__,
    torch.Tensor.equal, torch.Tensor.masked_select, torch.Tensor.unique, torch.Tensor.is_nonzero,
    torch.nonzero, torch.equal, torch.masked_select, torch.unique, torch.is_nonzero, torch.allclose,
}  # fmt: skip
"""What the host can only do once the device is done."""


class Far(torch.Tensor):
    """A tensor of another device; whatever makes the host wait for it is counted."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function == torch.Tensor.device.__get__:
            return FAR
        to_host = any(str(part) == "cpu" for part in args[1:] if isinstance(part, str | torch.device))
        leaves = function is torch.Tensor.cpu or (function is torch.Tensor.to and to_host)
        picks = function in (torch.Tensor.__getitem__, torch.Tensor.__setitem__) and _has_mask(args[1])
        if function in READS or leaves or picks:
            COUNTS["waits"] += 1
        result = super().__torch_function__(function, types, args, kwargs or {})
        return result.as_subclass(torch.Tensor) if leaves else result


def _has_mask(index):
    """Whether some are picked by truth values: how many there are is known to the device alone."""
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(part, torch.Tensor) and part.dtype == torch.bool for part in parts)


class Sends(torch.overrides.TorchFunctionMode):
    """Makes what is sent to the stand-in's device, which torch itself does not know, one of its tensors."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if function is torch.Tensor.to and len(args) > 1 and args[1] == FAR:
            COUNTS["sent"] += not isinstance(args[0], Far)
            return args[0].as_subclass(Far)
        if kwargs.get("device") == FAR:
            COUNTS["sent"] += function is torch.tensor
            return function(*args, **(kwargs | {"device": "cpu"})).as_subclass(Far)
        return function(*args, **kwargs)


def rows():
    halved = Condition(name="halved", interventions=(Intervention(component="mlp", layer=1, strength=0.5),))
    return [Row(prompt(i, 4 + i), s, c) for i in range(6) for s in range(3) for c in (BASELINE, halved)]


def counted_steps(monkeypatch, params):
    """The rows as made on the stand-in's device, and what each decoding step counted."""
    advance, steps = batched.Batch._advance, []

    def counting(self):
        COUNTS.clear()
        ended = advance(self)
        steps.append(dict(COUNTS))
        return ended

    monkeypatch.setattr(batched.Batch, "_advance", counting)
    with Sends():
        records = list(generate_rows(replace(tiny("llama"), device=FAR), rows(), params, seed=0, slots=16))
    return records, steps


def told(records):
    return [(r.id, r.condition, r.completion_ids, r.logprobs, r.entropies) for r in records]


@pytest.mark.parametrize(
    "params",
    [
        SamplingParams(12, do_sample=False),
        SamplingParams(12, 1.0, logprobs="with_entropy"),
        SamplingParams(12, 0.2, 0.5, logprobs=True),
    ],
)
def test_a_step_waits_for_the_device_once(monkeypatch, params):
    """It reads what was chosen. Sent are the numbers of the pass, the gates, and the streams of noise.

    Where pages are moved together, which ones is sent as well.
    """
    expected = told(generate_rows(tiny("llama"), rows(), params, seed=0, slots=16))
    records, steps = counted_steps(monkeypatch, params)
    assert told(records) == expected
    assert len(steps) > 20 and {step["waits"] for step in steps} == {1}
    sent = Counter(step["sent"] for step in steps)
    assert set(sent) <= {3, 5} and sent[3] >= 0.9 * len(steps)


def test_a_second_look_waits_once_more(monkeypatch):
    """Where some row's nucleus reaches past the first candidates; its tokens are those of the host."""
    params = SamplingParams(8, 1.0, 0.999, logprobs=True)
    expected = told(generate_rows(tiny("llama"), rows(), params, seed=0, slots=16))
    records, steps = counted_steps(monkeypatch, params)
    assert told(records) == expected
    assert max(step["waits"] for step in steps) == 2


def test_the_stand_in_counts_what_makes_a_host_wait():
    far = torch.arange(4.0).as_subclass(Far)
    for read in (bool, float, int, torch.Tensor.item, torch.Tensor.tolist):
        COUNTS.clear()
        read(far[1])
        assert COUNTS["waits"] == 1, read
    for read in (
        torch.nonzero,
        torch.Tensor.cpu,
        lambda tensor: tensor[tensor > 1],
        lambda tensor: tensor.to("cpu"),
    ):
        COUNTS.clear()
        read(far)
        assert COUNTS["waits"] == 1, read
