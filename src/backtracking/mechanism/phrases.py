"""How a phrase goes on: the chance that its rest follows, once its first piece has been said.

The first pieces are fed behind a position, all in one pass: each sees the text up to its position and the
pieces of its own phrase, nothing else. What is read is always the unchanged model.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache

from backtracking.measurements.controls import Reading
from backtracking.mechanism.masks import attention_masks, rewind
from backtracking.mechanism.partial import Values
from backtracking.mechanism.passes import (
    QUERIES_PER_PASS,
    Padded,
    batches,
    read_padded,
    recording,
    residuals,
    takes_arms,
)
from backtracking.mechanism.proved import last_state
from backtracking.model.loading import LoadedModel
from backtracking.text.onsets.triggers import Phrase

LOGITS_AT_ONCE = 1 << 25
Chances = Mapping[Phrase, float]
"""Of phrases of several pieces: how likely the rest is behind the first."""


@dataclass(frozen=True)
class _Pieces:
    """The beginnings of phrases, shorter than the phrase itself: each is fed once, whatever it goes on to."""

    starts: tuple[Phrase, ...]

    @classmethod
    def of(cls, phrases: Sequence[Phrase]) -> "_Pieces":
        return cls(tuple(sorted({ids[:k] for ids in phrases for k in range(1, len(ids))})))

    def __len__(self) -> int:
        return len(self.starts)

    def tokens(self, device: torch.device) -> Tensor:
        return torch.tensor([start[-1] for start in self.starts], device=device)

    def depths(self, device: torch.device) -> Tensor:
        """How far behind the position each stands."""
        return torch.tensor([len(start) for start in self.starts], device=device)

    def sees(self, device: torch.device) -> Tensor:
        """[piece, piece]: itself and what stands before it in its phrase."""
        return torch.tensor(
            [[one[: len(other)] == other for other in self.starts] for one in self.starts], device=device
        )


class PhraseReader:
    """Reads at positions of texts how likely each phrase of several pieces goes on behind its first."""

    def __init__(self, loaded: LoadedModel, phrases: Sequence[Phrase], budget: int) -> None:
        self.phrases = in_pieces(phrases)
        self._loaded = loaded
        self._budget = budget
        self._pieces = _Pieces.of(self.phrases)

    @torch.no_grad()
    def __call__(
        self, texts: Sequence[Sequence[int]], places: Sequence[Sequence[int]]
    ) -> Iterator[tuple[int, Tensor]]:
        """Per text its chances, [place, phrase]; a place is the position ahead of the first piece."""
        if not self.phrases:
            for index, wanted in enumerate(places):
                yield index, torch.zeros(len(wanted), 0)
            return
        if not takes_arms(self._loaded):
            for index, (text, wanted) in enumerate(zip(texts, places, strict=True)):
                yield index, torch.stack([self._read_alone(text[: place + 1]) for place in wanted])
            return
        for group in batches([len(text) for text in texts], self._budget):
            batch = Padded.of([texts[k] for k in group], self._loaded.device)
            cache = DynamicCache()
            read_padded(self._loaded, batch, cache)
            most = max(len(places[k]) for k in group)
            # Texts with fewer places repeat their last one.
            asked = torch.tensor(
                [[*places[k], *[places[k][-1]] * (most - len(places[k]))] for k in group],
                device=self._loaded.device,
            )
            size = max(1, QUERIES_PER_PASS // len(self._pieces))
            all_chances = torch.cat(
                [self._read(batch, cache, asked[:, k : k + size]) for k in range(0, most, size)], dim=1
            )
            for index, chances in zip(group, all_chances, strict=True):
                yield index, chances[: len(places[index])]

    def _read_alone(self, text: Sequence[int]) -> Tensor:
        """[phrase], from a plain pass per piece, for models that share none."""
        states = [last_state(self._loaded, [*text, *start]) for start in self._pieces.starts]
        return self._chances(torch.cat(states))

    def _read(self, batch: Padded, cache: DynamicCache, places: Tensor) -> Tensor:
        """[text, place, phrase]"""
        loaded, (rows, count) = self._loaded, places.shape
        width, device = batch.ids.shape[1], places.device
        depths = self._pieces.depths(device)
        positions = (places[:, :, None] + depths).reshape(rows, -1)
        columns = batch.positions.masked_fill(batch.mask == 0, width)[:, None, :]
        before = columns <= places.repeat_interleave(len(self._pieces), dim=1)[:, :, None]
        same = torch.eye(count, dtype=torch.bool, device=device)
        own = torch.kron(same, self._pieces.sees(device)).bool()
        seen = torch.cat([before, own.expand(rows, -1, -1)], dim=2)
        last = residuals(loaded)[loaded.n_layers - 1]
        with recording({"end": last}, lambda output: output) as kept:
            loaded.model.base_model(
                input_ids=self._pieces.tokens(device).repeat(rows, count),
                attention_mask=attention_masks(loaded, seen, batch.positions, positions),
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
            )
        rewind(cache, width)
        states = kept["end"].reshape(rows, count, len(self._pieces), -1)
        return torch.stack([torch.stack([self._chances(state) for state in text]) for text in states])

    def _chances(self, states: Tensor) -> Tensor:
        """Of every phrase at one place: the product over its pieces behind the first."""
        numbers = {start: number for number, start in enumerate(self._pieces.starts)}
        steps = [(numbers[ids[:k]], ids[k]) for ids in self.phrases for k in range(1, len(ids))]
        pieces = torch.tensor([piece for piece, _ in steps])
        tokens = torch.tensor([token for _, token in steps], device=states.device)
        size = max(1, LOGITS_AT_ONCE // self._loaded.vocab_size)
        read = []
        for start in range(0, len(states), size):
            here = (pieces >= start) & (pieces < start + size)
            log_probs = self._loaded.readout(states[start : start + size]).float().log_softmax(-1)
            read.append((here, log_probs[pieces[here] - start, tokens[here]].cpu()))
        logs = torch.zeros(len(steps))
        for here, values in read:
            logs[here] = values
        lengths = [len(ids) - 1 for ids in self.phrases]
        return torch.stack([part.sum() for part in torch.split(logs, lengths)]).exp()


def in_pieces(phrases: Iterable[Phrase]) -> tuple[Phrase, ...]:
    """The phrases of several pieces."""
    return tuple(ids for ids in phrases if len(ids) > 1)


def read_chances(
    loaded: LoadedModel, items: Sequence[tuple[Reading, object]], phrases: Sequence[Phrase], budget: int
) -> Iterator[tuple[int, Values]]:
    """Per position the chances of the phrases, in their order."""
    reader = PhraseReader(loaded, phrases, budget)
    for place, chances in reader([at.seen for at, _ in items], [[at.pos] for at, _ in items]):
        yield place, {"chances": chances[0].tolist()}
