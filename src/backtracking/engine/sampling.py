"""Token choice with noise that belongs to the row: a function of (run seed, example, sample, step, token id).

Gumbel-max over the truncated distribution: adding independent Gumbel noise to the log-probabilities of the
tokens that are kept and taking the largest is an exact draw from their renormalised softmax. The noise is a
counter-based hash: it does not depend on what else is in the batch, and is computed for the candidates only.
"""

import math
from dataclasses import dataclass
from typing import Literal, Self

import torch
from torch import Tensor

from backtracking.config.generation import LoopDetection, SamplingConfig
from backtracking.errors import UserError
from backtracking.run.seed import derive_seed

_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed 64-bit integer
_MIX_1 = -4658895280553007687  # 0xBF58476D1CE4E5B9
_MIX_2 = -7723592293110705685  # 0x94D049BB133111EB
_FIRST_CANDIDATES = 64
_BLOCK = 64
_NOISE_ROWS = 16
_LEAST_TEMPERATURE = 1e-4
# On a CPU a few rows at a time, so that their logits stay in the cache and in memory that is at hand already.
_CPU_LOGITS = 1 << 20


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
        wrong = [
            ("max_new_tokens", self.max_new_tokens, "1 or more", self.max_new_tokens >= 1),
            ("top_k", self.top_k, "0 (no limit) or more", self.top_k >= 0),
            ("top_p", self.top_p, "above 0, and 1 (no limit) at most", 0.0 < self.top_p <= 1.0),
        ]
        for name, value, wanted, holds in wrong:
            if not holds:
                raise UserError(f"{name} {value} is out of range", next_step=f"give {wanted}")
        if self.do_sample and not self.temperature < math.inf:
            raise UserError(
                f"temperature {self.temperature} is not a finite number",
                next_step="give a number such as 0.7",
            )
        if self.do_sample and not self.temperature >= _LEAST_TEMPERATURE:
            raise UserError(
                f"temperature {self.temperature:g} is too small to sample at",
                f"logits divided by less than {_LEAST_TEMPERATURE:g} leave the range of numbers",
                "set do_sample: false, which takes the likeliest token",
            )

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
    """One chosen token per row; a row whose logits are not usable is marked, not guessed."""

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
    """Choose the next token of each row from its logits [rows, vocabulary]."""
    at_once = len(logits) if logits.device.type != "cpu" else max(_CPU_LOGITS // logits.shape[1], 1)
    parts = [
        _choose(logits[i : i + at_once], keys[i : i + at_once], steps[i : i + at_once], params)
        for i in range(0, len(logits), at_once)
    ]
    return Choice(
        tokens=torch.cat([part.tokens for part in parts]),
        usable=torch.cat([part.usable for part in parts]),
        logprobs=_joined([part.logprobs for part in parts]),
        entropies=_joined([part.entropies for part in parts]),
    )


def _joined(parts: list[Tensor | None]) -> Tensor | None:
    """The parts as one, where they are kept."""
    kept = [part for part in parts if part is not None]
    return torch.cat(kept) if kept else None


def _choose(logits: Tensor, keys: Tensor, steps: Tensor, params: SamplingParams) -> Choice:
    logits = logits.float()
    usable = torch.isfinite(logits.amax(-1))
    logits = torch.where(usable[:, None], logits, 0.0) if not bool(usable.all()) else logits
    if not params.do_sample:
        tokens = logits.argmax(-1)
    else:
        scaled = logits / params.temperature
        if params.top_p >= 1.0 and params.top_k == 0:
            tokens = _draw_from_all(scaled, keys, steps)
        else:
            tokens = _draw_truncated(scaled, keys, steps, params)
    logprobs = entropies = None
    if params.logprobs:
        logprobs = logits.gather(-1, tokens[:, None])[:, 0] - logits.logsumexp(-1)
    if params.logprobs == "with_entropy":
        entropies = torch.special.entr(logits.softmax(-1)).sum(-1)
    return Choice(tokens, usable, logprobs, entropies)


def _draw_from_all(scaled: Tensor, keys: Tensor, steps: Tensor) -> Tensor:
    """Gumbel-max over the whole vocabulary, a few rows at a time to bound memory."""
    device = scaled.device
    scaled, keys, steps = (part.to(with_float64(device)) for part in (scaled, keys, steps))
    everything = torch.arange(scaled.shape[1], device=scaled.device)[None, :]
    parts = [
        (
            scaled[i : i + _NOISE_ROWS]
            + gumbels(keys[i : i + _NOISE_ROWS], steps[i : i + _NOISE_ROWS], everything)
        ).argmax(-1)
        for i in range(0, len(scaled), _NOISE_ROWS)
    ]
    return torch.cat(parts).to(device)


def _draw_truncated(scaled: Tensor, keys: Tensor, steps: Tensor, params: SamplingParams) -> Tensor:
    """Gumbel-max over top-k, then top-p; rows whose set reaches past the candidates are redrawn, wider."""
    log_probs = torch.log_softmax(scaled, -1)
    width = min(scaled.shape[1], max(_FIRST_CANDIDATES, params.top_k + 1))
    tokens, covered = _draw_among(log_probs, keys, steps, params, width)
    while not bool(covered.all()):
        width = min(scaled.shape[1], width * 8)
        rows = (~covered).nonzero()[:, 0]
        tokens[rows], covered[rows] = _draw_among(log_probs[rows], keys[rows], steps[rows], params, width)
    return tokens


def _draw_among(
    log_probs: Tensor, keys: Tensor, steps: Tensor, params: SamplingParams, width: int
) -> tuple[Tensor, Tensor]:
    """Draw from the kept part of the `width` most likely tokens; tell whether that is all of the kept set."""
    values, ids = _largest(log_probs, width)
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
    covered = (last_kept > values[:, -1]) | (width == log_probs.shape[1])
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
