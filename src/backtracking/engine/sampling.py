"""Token choice with noise that belongs to the row: a function of (run seed, example, sample, step, token id).

Gumbel-max over the truncated distribution: adding independent Gumbel noise to the log-probabilities of the
tokens that are kept and taking the largest is an exact draw from their renormalised softmax. The noise is a
counter-based hash: it does not depend on what else is in the batch, and is computed for the candidates only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
import torch
from torch import Tensor

from backtracking.config.generation import LoopDetection, SamplingConfig
from backtracking.errors import UserError
from backtracking.run.seed import derive_seed

_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed 64-bit integer
_MIX_1 = -4658895280553007687  # 0xBF58476D1CE4E5B9
_MIX_2 = -7723592293110705685  # 0x94D049BB133111EB
_FIRST_CANDIDATES, _FIRST_ON_A_CPU = 64, 16
"""Tokens looked at first: few on a CPU, where each costs; elsewhere so many that a second look, for which the
host has to wait, is rare."""
_BLOCK = 64
_NOISE = 1 << 19
_LEAST_TEMPERATURE = 1e-4
# On a CPU a few rows at a time, so that their logits stay in the cache and in memory that is at hand already.
_CPU_LOGITS = 1 << 20


def is_whole(value: object, *, least: int) -> bool:
    """Whether a value is a whole number, and not too small; `True` is none."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= least)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number) and bool(np.isfinite(value))


@dataclass(frozen=True)
class SamplingParams:
    """How tokens are chosen and when a row ends."""

    max_new_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    do_sample: bool = True
    logprobs: bool | Literal["with_entropy"] = False
    loop: LoopDetection | None = None

    def __post_init__(self) -> None:
        wanted = {
            "max_new_tokens": (is_whole(self.max_new_tokens, least=1), "a whole number, 1 or more"),
            "top_k": (is_whole(self.top_k, least=0), "a whole number, 0 (no limit) or more"),
            "top_p": (
                _is_number(self.top_p) and 0.0 < self.top_p <= 1.0,
                "above 0, and 1 (no limit) at most",
            ),
            "temperature": (_is_number(self.temperature), "a finite number such as 0.7"),
            "do_sample": (isinstance(self.do_sample, bool), "true or false"),
            "logprobs": (self.logprobs in (True, False, "with_entropy"), 'true, false or "with_entropy"'),
            "loop": (self.loop is None or isinstance(self.loop, LoopDetection), "a LoopDetection or none"),
        }
        for name, (holds, what) in wanted.items():
            if not holds:
                raise UserError(f"{name} {getattr(self, name)!r} cannot be used", next_step=f"give {what}")
        if self.do_sample and not self.temperature >= _LEAST_TEMPERATURE:
            raise UserError(
                f"temperature {self.temperature:g} is too small to sample at",
                f"logits divided by less than {_LEAST_TEMPERATURE:g} leave the range of numbers",
                "set do_sample: false, which takes the likeliest token",
            )

    @property
    def truncates(self) -> bool:
        """Whether the unlikeliest tokens are never drawn."""
        return self.top_p < 1.0 or self.top_k > 0

    @classmethod
    def from_config(cls, config: SamplingConfig) -> Self:
        """What a config's `generation` section asks for."""
        return cls(
            max_new_tokens=config.max_new_tokens,
            temperature=config.temperature,
            top_p=config.top_p,
            top_k=config.top_k,
            do_sample=config.do_sample,
            logprobs=config.logprobs,
            loop=config.loop_detection,
        )


@dataclass(frozen=True)
class Choice:
    """One chosen token per row, on the host; a row whose logits are not usable is marked, not guessed."""

    tokens: Tensor
    usable: Tensor
    logprobs: Tensor | None
    entropies: Tensor | None = None
    """In nats, of the whole distribution at temperature 1, as log-probabilities are."""

    def readings(self) -> list["TokenReading"]:
        """What is kept of each row's choice."""
        none = [None] * len(self.tokens)
        logprobs = none if self.logprobs is None else self.logprobs.tolist()
        entropies = none if self.entropies is None else self.entropies.tolist()
        return list(zip(logprobs, entropies, strict=True))


TokenReading = tuple[float | None, float | None]
"""The log-probability of a chosen token, and the entropy of the choice; none where they are not kept."""
NOT_READ: TokenReading = (None, None)


def noise_key(seed: int, example_id: str, sample_id: int) -> int:
    """The row's stream of noise; conditions and prompt variants share it, so that they are paired."""
    return derive_seed(seed, "token noise", example_id, sample_id)


def _mix(x: Tensor) -> Tensor:
    """SplitMix64's finaliser on int64 lanes; shifts are logical."""
    x = (x ^ ((x >> 30) & 0x3FFFFFFFF)) * _MIX_1
    x = (x ^ ((x >> 27) & 0x1FFFFFFFFF)) * _MIX_2
    return x ^ ((x >> 31) & 0x1FFFFFFFF)


def with_float64(device: torch.device) -> torch.device:
    """Where noise is computed: on the device itself, or on the host where the device has no float64."""
    return torch.device("cpu") if device.type == "mps" else device


def uniforms(keys: Tensor, steps: Tensor, tokens: Tensor) -> Tensor:
    """Noise in (0, 1), float64, of shape [rows, tokens]: 53 bits of a hash of key, step and token id."""
    streams = _mix(keys + (steps + 1) * _GOLDEN)
    bits = _mix(streams[:, None] + (tokens + 1) * _GOLDEN)
    return (((bits >> 11) & 0x1FFFFFFFFFFFFF).double() + 0.5) * 2.0**-53


def gumbels(keys: Tensor, steps: Tensor, tokens: Tensor) -> Tensor:
    """Standard Gumbel noise from `uniforms`."""
    return -torch.log(-torch.log(uniforms(keys, steps, tokens)))


def choose(logits: Tensor, keys: Tensor, steps: Tensor, params: SamplingParams) -> Choice:
    """Choose the next token of each row from its logits [rows, vocabulary].

    The host waits for the device once, and once more for each second look.
    """
    first = _FIRST_ON_A_CPU if logits.device.type == "cpu" else _FIRST_CANDIDATES
    width = min(logits.shape[1], max(first, params.top_k + 1))
    read = _read(logits, params, width)
    normalisers = read.get("normalisers")
    found = {"usable": read["usable"]}
    if not params.do_sample:
        found["tokens"] = read["likeliest"]
    elif not params.truncates:
        found["tokens"] = _draw_from_all(logits, keys, steps, params.temperature)
    else:
        found["tokens"], covered = _draw_among(read, keys, steps, params, logits.shape[1])
        found["covered"] = covered | ~found["usable"]
    if normalisers is not None:
        found["logprobs"] = _logits_of(found["tokens"], logits) - normalisers
    if "entropies" in read:
        found["entropies"] = read["entropies"]
    found = _on_host(found)
    while "covered" in found and not bool(found["covered"].all()):
        width = min(logits.shape[1], width * 8)
        rows = (~found["covered"]).nonzero()[:, 0]
        there = rows.to(logits.device)
        read = _read(logits[there], replace(params, logprobs=False), width)
        tokens, covered = _draw_among(read, keys[there], steps[there], params, logits.shape[1])
        again = {"tokens": tokens, "covered": covered}
        if normalisers is not None:
            again["logprobs"] = _logits_of(tokens, logits[there]) - normalisers[there]
        for name, part in _on_host(again).items():
            found[name][rows] = part
    return Choice(found["tokens"], found["usable"], found.get("logprobs"), found.get("entropies"))


def _logits_of(tokens: Tensor, logits: Tensor) -> Tensor:
    return logits.gather(-1, tokens[:, None])[:, 0].float()


def _read(logits: Tensor, params: SamplingParams, width: int) -> dict[str, Tensor]:
    """All that the whole vocabulary is needed for, row by row: the likeliest tokens, totals, what is kept."""
    at_once = len(logits) if logits.device.type != "cpu" else max(_CPU_LOGITS // logits.shape[1], 1)
    parts = [_read_at_once(logits[i : i + at_once], params, width) for i in range(0, len(logits), at_once)]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _read_at_once(logits: Tensor, params: SamplingParams, width: int) -> dict[str, Tensor]:
    logits = logits.float()
    largest = logits.amax(-1)
    read = {"usable": torch.isfinite(largest)}
    if not params.do_sample:
        read["likeliest"] = logits.argmax(-1)
    elif params.truncates:
        relative = _relative(logits, largest, params.temperature)
        values, read["ids"] = _largest(relative, width)
        read["log_probs"] = values - _log_total(relative)[:, None]
    if params.logprobs:
        read["normalisers"] = largest + _log_total(_relative(logits, largest, 1.0))
    if params.logprobs == "with_entropy":
        read["entropies"] = torch.special.entr(logits.softmax(-1)).sum(-1)
    return read


def _relative(logits: Tensor, largest: Tensor, temperature: float) -> Tensor:
    """Logits at a temperature, each less its row's largest: log-probabilities but for the row's total."""
    return torch.add(largest[:, None] * (-1 / temperature), logits, alpha=1 / temperature)


def _log_total(relative: Tensor) -> Tensor:
    """The logarithm of each row's sum of weights; the logits are overwritten.

    `logsumexp` and `log_softmax` give the same; on a CPU they take longer, most of it for fresh memory.
    """
    weights = relative.exp_()
    # The sum of one row alone would be split among threads, which changes its last bit.
    return (weights if len(weights) > 1 else weights.repeat(2, 1)).sum(-1)[: len(weights)].log_()


def _on_host(parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Flags, whole numbers below 2^31 and float32 of every row, brought to the host in one go."""
    if all(part.device.type == "cpu" for part in parts.values()):
        return dict(parts)
    packed = [part.view(torch.int32) if part.is_floating_point() else part.int() for part in parts.values()]
    came = torch.stack(packed).cpu()
    return {
        name: row.view(torch.float32) if part.is_floating_point() else row.to(part.dtype)
        for (name, part), row in zip(parts.items(), came, strict=True)
    }


def _draw_from_all(logits: Tensor, keys: Tensor, steps: Tensor, temperature: float) -> Tensor:
    """Gumbel-max over the whole vocabulary, a few rows at a time to bound memory."""
    home, at_once = with_float64(logits.device), max(_NOISE // logits.shape[1], 1)
    everything = torch.arange(logits.shape[1], device=home)[None, :]
    parts = [
        (part.to(home).float() / temperature + gumbels(key.to(home), step.to(home), everything)).argmax(-1)
        for part, key, step in zip(*(torch.split(x, at_once) for x in (logits, keys, steps)), strict=True)
    ]
    return torch.cat(parts).to(logits.device)


def _draw_among(
    read: Mapping[str, Tensor], keys: Tensor, steps: Tensor, params: SamplingParams, vocabulary: int
) -> tuple[Tensor, Tensor]:
    """Draw from the kept part of the likeliest tokens: Gumbel-max over top-k, then top-p.

    Tells which rows have all of their kept set among them; the others are to be drawn again, among more.
    """
    values, ids = read["log_probs"], read["ids"]
    probabilities = values.exp()
    if params.top_k:
        probabilities[:, params.top_k :] = 0.0
        probabilities /= probabilities.sum(-1, keepdim=True)
    kept = (probabilities.cumsum(-1) - probabilities) < params.top_p
    kept[:, 0] = True
    if params.top_k:
        kept[:, params.top_k :] = False
    home = with_float64(values.device)
    noisy = values.to(home).double() + gumbels(keys.to(home), steps.to(home), ids.to(home))
    best = noisy.masked_fill_(~kept.to(home), -torch.inf).argmax(-1, keepdim=True).to(ids.device)
    # A token outside can belong to the set only if the last kept one is the last candidate, or ties with it.
    last_kept = values.gather(-1, kept.sum(-1, keepdim=True) - 1)[:, 0]
    covered = (last_kept > values[:, -1]) | (values.shape[1] == vocabulary)
    return ids.gather(-1, best)[:, 0], covered


def _largest(scaled: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """The `width` largest entries, largest first, ties by token id."""
    rows, vocabulary = scaled.shape
    blocks = vocabulary // _BLOCK
    if blocks * _BLOCK == vocabulary and width * 4 <= blocks:
        # The `width` largest entries lie in the `width` blocks with the largest maxima: two small selections
        # instead of one over the whole vocabulary.
        blocked = scaled.view(rows, blocks, _BLOCK)
        chosen = blocked.amax(-1).topk(width, sorted=False).indices
        pool = blocked.gather(1, chosen[:, :, None].expand(-1, -1, _BLOCK)).view(rows, -1)
        values, at = pool.topk(width, sorted=False)
        ids = chosen.gather(1, at // _BLOCK) * _BLOCK + at % _BLOCK
    else:
        values, ids = scaled.topk(width, sorted=False)
    ids, order = ids.sort(-1)
    values, order = values.gather(-1, order).sort(dim=-1, descending=True, stable=True)
    return values, ids.gather(-1, order)
