"""What is read off logits: the onset token, its family, all triggers, contrast families, and divergence."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property

import torch
from torch import Tensor

from backtracking.config.schema import AnalysisConfig
from backtracking.errors import UserError
from backtracking.measurements.controls import Event
from backtracking.mechanism.phrases import Chances
from backtracking.text.onsets.triggers import Phrase, Speller, shortest
from backtracking.text.tokenization import Tokenizer

CONTRAST_FAMILIES = ("continue", "end")


@dataclass(frozen=True)
class Openings:
    """Phrases by how they begin, each with the chance that its rest follows its first piece."""

    phrases: tuple[Phrase, ...]
    chances: tuple[float, ...]

    @classmethod
    def of(cls, phrases: Iterable[Phrase], chances: Chances | None = None) -> "Openings":
        """Phrases of which none begins with another; without a known chance, the first piece counts."""
        known = tuple(phrases)
        return cls(known, tuple((chances or {}).get(ids, 1.0) for ids in known))

    @cached_property
    def weights(self) -> dict[int, float]:
        """Per first piece the chance that one of the phrases goes on from it; 1 where it is distinctive."""
        summed: dict[int, float] = {}
        for ids, chance in zip(self.phrases, self.chances, strict=True):
            summed[ids[0]] = summed.get(ids[0], 0.0) + chance
        return {token: min(summed[token], 1.0) for token in sorted(summed)}

    @property
    def tokens(self) -> tuple[int, ...]:
        """The first pieces of all phrases."""
        return tuple(self.weights)


@dataclass(frozen=True)
class Target:
    """What one event is about; its controls are scored on the same."""

    onset: int
    family: Openings
    """What begins the event's own phrase: which word it is."""
    triggers: Openings
    """What begins any trigger phrase: whether an onset comes at all."""
    contrasts: Mapping[str, tuple[int, ...]]

    @property
    def contrast(self) -> tuple[int, ...]:
        """Words that go on without turning back; the end tokens where a vocabulary has none."""
        return self.contrasts["continue"] or self.contrasts["end"]

    @property
    def phrases(self) -> tuple[Phrase, ...]:
        """Every phrase that is scored."""
        return tuple(sorted({*self.family.phrases, *self.triggers.phrases}))

    def where(self, chances: Chances) -> "Target":
        """The same target at a position where phrases go on with these chances."""
        family, triggers = (Openings.of(part.phrases, chances) for part in (self.family, self.triggers))
        return replace(self, family=family, triggers=triggers)


class Targets:
    """Derives the targets of events from a tokenizer's vocabulary."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        config: AnalysisConfig,
        triggers: Iterable[str],
        end_tokens: Iterable[int],
    ) -> None:
        self._spell = cache(Speller(tokenizer))
        self._triggers = [ids for phrase in triggers for ids in self._spell(phrase)]
        self._continue = {ids[0] for word in config.contrast_words for ids in self._spell(word)}
        self._end = set(end_tokens)
        self._fixed = (
            None if config.logit_lens_token is None else _one_token(tokenizer, config.logit_lens_token)
        )

    def __call__(self, event: Event) -> Target:
        """The tokens that stand for the event's onset, for its family, and for any onset."""
        onset = event.onset_id if self._fixed is None else self._fixed
        spelled = self._spell(event.phrase)
        # An onset in a spelling of its own stands for its phrase.
        own = [] if onset in {ids[0] for ids in spelled} else [(onset,)]
        family = Openings.of(shortest([*spelled, *own]))
        triggers = Openings.of(shortest([*family.phrases, *self._triggers]))
        begun = {onset, *triggers.tokens}
        contrasts = {"continue": self._continue - begun, "end": self._end - begun}
        return Target(onset, family, triggers, {name: tuple(sorted(ids)) for name, ids in contrasts.items()})


def _one_token(tokenizer: Tokenizer, text: str) -> int:
    ids = [int(token) for token in tokenizer.encode(text, add_special_tokens=False)]
    if len(ids) != 1:
        raise UserError(
            f"analysis.logit_lens_token: {text!r} is {len(ids)} tokens for this model",
            "the lens follows a single token",
            "choose a text that is one token (mind the leading space), or null for each event's own",
        )
    return ids[0]


def log_mass(log_probs: Tensor, tokens: Sequence[int], weights: Tensor | None = None) -> Tensor:
    """Log of the summed probability of some tokens, each times its weight; NaN for none.

    Weights may differ from one place to the next: [..., token].
    """
    if not tokens:
        return log_probs.new_full(log_probs.shape[:-1], torch.nan)
    chosen = log_probs[..., list(tokens)]
    return (chosen if weights is None else chosen + weights.log()).logsumexp(-1)


def log_odds(log_probs: Tensor, tokens: Sequence[int], weights: Tensor | None = None) -> Tensor:
    """Log-odds of some tokens, each times its weight, against all else."""
    rest = log_probs.clone()
    if weights is None:
        rest[..., list(tokens)] = -torch.inf
    else:
        rest[..., list(tokens)] += (1.0 - weights).log()
    return log_mass(log_probs, tokens, weights) - rest.logsumexp(-1)


def opening_mass(log_probs: Tensor, openings: Openings) -> Tensor:
    """Log of the probability that any of the phrases comes."""
    return log_mass(log_probs, openings.tokens, _weights(log_probs, openings))


def opening_odds(log_probs: Tensor, openings: Openings) -> Tensor:
    """Log-odds of any of the phrases against all else."""
    return log_odds(log_probs, openings.tokens, _weights(log_probs, openings))


def _weights(log_probs: Tensor, openings: Openings) -> Tensor:
    return torch.tensor(list(openings.weights.values()), device=log_probs.device)


def logit_gap(logits: Tensor, target: Target) -> Tensor:
    """The onset token's logit above the mean logit of its contrast; NaN without a contrast."""
    if not target.contrast:
        return logits.new_full(logits.shape[:-1], torch.nan)
    return logits[..., target.onset] - logits[..., list(target.contrast)].mean(-1)


def token_rank(logits: Tensor, token: int) -> Tensor:
    """How many tokens stand above `token` (0: it leads)."""
    return (logits > logits[..., token, None]).sum(-1)


def lens_readout(logits: Tensor, target: Target) -> dict[str, Tensor]:
    """Absolute readings of logits [..., vocabulary]."""
    logits = logits.float()
    log_probs = logits.log_softmax(-1)
    return {
        "logit": logits[..., target.onset],
        "logprob": log_probs[..., target.onset],
        "rank": token_rank(logits, target.onset).float(),
        "family": opening_mass(log_probs, target.family),
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
        "family": opening_mass(log_probs, target.family),
        "log_odds": opening_odds(log_probs, target.family),
        "triggers": opening_mass(log_probs, target.triggers),
        "trigger_log_odds": opening_odds(log_probs, target.triggers),
        "gap": logit_gap(logits, target),
        "next_logprob": log_probs[:, next_id],
    }
    changes = {name: values[1:] - values[0] for name, values in absolute.items()}
    changes["kl"] = (kept.exp() * (kept - log_probs[1:])).nan_to_num(nan=0.0).sum(-1).clamp(min=0.0)
    return changes
