"""What is read off logits: the onset token, its family, all triggers, contrast families, and divergence."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from backtracking.config.schema import AnalysisConfig
from backtracking.errors import UserError
from backtracking.measurements.controls import Event
from backtracking.text.tokenization import TokenFamilies, Tokenizer

CONTRAST_FAMILIES = ("continue", "end")


@dataclass(frozen=True)
class Target:
    """The tokens that one event is about; its controls are scored on the same."""

    onset: int
    family: tuple[int, ...]
    """What begins the event's own phrase: which word it is."""
    triggers: tuple[int, ...]
    """What begins any trigger phrase: whether an onset comes at all."""
    contrasts: Mapping[str, tuple[int, ...]]

    @property
    def contrast(self) -> tuple[int, ...]:
        """Words that go on without turning back; the end tokens where a vocabulary has none."""
        return self.contrasts["continue"] or self.contrasts["end"]


class Targets:
    """Derives the targets of events from a tokenizer's vocabulary."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        config: AnalysisConfig,
        triggers: Iterable[str],
        end_tokens: Iterable[int],
    ) -> None:
        self._family = cache(TokenFamilies(tokenizer))
        self._triggers = {token for phrase in triggers for token in self._family(phrase)}
        self._continue = {token for word in config.contrast_words for token in self._family(word)}
        self._end = set(end_tokens)
        self._fixed = (
            None if config.logit_lens_token is None else _one_token(tokenizer, config.logit_lens_token)
        )

    def __call__(self, event: Event) -> Target:
        onset = event.onset_id if self._fixed is None else self._fixed
        family = {onset, *self._family(event.phrase)}
        triggers = family | self._triggers
        contrasts = {"continue": self._continue - triggers, "end": self._end - triggers}
        return Target(
            onset,
            tuple(sorted(family)),
            tuple(sorted(triggers)),
            {name: tuple(sorted(ids)) for name, ids in contrasts.items()},
        )


def _one_token(tokenizer: Tokenizer, text: str) -> int:
    ids = [int(token) for token in tokenizer.encode(text, add_special_tokens=False)]
    if len(ids) != 1:
        raise UserError(
            f"analysis.logit_lens_token: {text!r} is {len(ids)} tokens for this model",
            "the lens follows a single token",
            "choose a text that is one token (mind the leading space), or null for each event's own",
        )
    return ids[0]


def log_mass(log_probs: Tensor, tokens: Sequence[int]) -> Tensor:
    """Log of the summed probability of some tokens; NaN for none."""
    if not tokens:
        return log_probs.new_full(log_probs.shape[:-1], torch.nan)
    return log_probs[..., list(tokens)].logsumexp(-1)


def log_odds(log_probs: Tensor, tokens: Sequence[int]) -> Tensor:
    """Log-odds of some tokens against all others."""
    others = torch.ones(log_probs.shape[-1], dtype=torch.bool, device=log_probs.device)
    others[list(tokens)] = False
    return log_mass(log_probs, tokens) - log_probs[..., others].logsumexp(-1)


def logit_gap(logits: Tensor, target: Target) -> Tensor:
    """The onset token's logit above the mean logit of its contrast; NaN without a contrast."""
    if not target.contrast:
        return logits.new_full(logits.shape[:-1], torch.nan)
    return logits[..., target.onset] - logits[..., list(target.contrast)].mean(-1)


def rank(logits: Tensor, token: int) -> Tensor:
    """How many tokens stand above `token` (0: it leads)."""
    return (logits > logits[..., token, None]).sum(-1)


def lens_readout(logits: Tensor, target: Target) -> dict[str, Tensor]:
    """Absolute readings of logits [..., vocabulary]."""
    logits = logits.float()
    log_probs = logits.log_softmax(-1)
    return {
        "logit": logits[..., target.onset],
        "logprob": log_probs[..., target.onset],
        "rank": rank(logits, target.onset).float(),
        "family": log_mass(log_probs, target.family),
        **{name: log_mass(log_probs, target.contrasts[name]) for name in CONTRAST_FAMILIES},
    }


def change_readout(logits: Tensor, target: Target, next_id: int) -> dict[str, Tensor]:
    """Changes of each arm against arm 0, the unchanged one; logits are [arm, vocabulary]."""
    logits = logits.float()
    log_probs = logits.log_softmax(-1)
    kept = log_probs[0]
    absolute = {
        "logit": logits[:, target.onset],
        "logprob": log_probs[:, target.onset],
        "family": log_mass(log_probs, target.family),
        "log_odds": log_odds(log_probs, target.family),
        "triggers": log_mass(log_probs, target.triggers),
        "trigger_log_odds": log_odds(log_probs, target.triggers),
        "gap": logit_gap(logits, target),
        "next_logprob": log_probs[:, next_id],
    }
    changes = {name: values[1:] - values[0] for name, values in absolute.items()}
    changes["kl"] = (kept.exp() * (kept - log_probs[1:])).nan_to_num(nan=0.0).sum(-1).clamp(min=0.0)
    return changes
