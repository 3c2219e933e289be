"""Affine translators per layer, after the tuned lens of Belrose et al. (2023), fitted on a run's rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from backtracking.mechanism.passes import Padded, Take, batches, read_padded, recording, residuals
from backtracking.model.loading import LoadedModel
from backtracking.run.progress import Bar

POSITIONS_PER_ROW = 24
EPOCHS = 12
BATCH = 256
LEARNING_RATE = 3e-3


@dataclass(frozen=True)
class Translators:
    """Per layer a residual map and a shift: the state becomes `state + map(state) + shift`."""

    maps: Tensor
    shifts: Tensor

    def __call__(self, layer: int, hidden: Tensor) -> Tensor:
        """The state of a layer as the last layer would put it."""
        state = hidden.to(self.maps.dtype)
        moved = state + state @ self.maps[layer].T + self.shifts[layer]
        return moved.to(hidden.dtype)

    def save(self, path: Path) -> None:
        """Writes maps and shifts as safetensors."""
        from safetensors.torch import save_file

        save_file({"maps": self.maps.cpu().contiguous(), "shifts": self.shifts.cpu().contiguous()}, path)


@torch.no_grad()
def sample_states(loaded: LoadedModel, rows: Sequence[Sequence[int]], budget: int, seed: int) -> Tensor:
    """States after each layer at random positions of the rows: [position, layer, hidden]."""
    generator = torch.Generator().manual_seed(seed)
    states = []
    for group in batches([len(row) for row in rows], budget):
        sequences = [rows[k] for k in group]
        batch = Padded.of(sequences, loaded.device)
        width = batch.ids.shape[1]
        places = [
            torch.randperm(len(s), generator=generator)[:POSITIONS_PER_ROW] + width - len(s)
            for s in sequences
        ]
        at = torch.cat(places).to(loaded.device)
        row = torch.cat([torch.full_like(chosen, k) for k, chosen in enumerate(places)]).to(loaded.device)
        with recording(residuals(loaded), _taking(row, at)) as kept:
            read_padded(loaded, batch)
        states.append(torch.stack([kept[layer] for layer in range(loaded.n_layers)], dim=1).cpu())
    return torch.cat(states).float()


def _taking(row: Tensor, at: Tensor) -> Take:
    return lambda output: output[row, at]


def fit_translators(loaded: LoadedModel, states: Tensor, seed: int, bar: Bar | None = None) -> Translators:
    """Minimise KL(final ‖ translated) for every layer but the last, which is read as it is."""
    size, device = loaded.hidden_size, loaded.device
    maps = torch.zeros(loaded.n_layers, size, size, device=device)
    shifts = torch.zeros(loaded.n_layers, size, device=device)
    for layer in range(loaded.n_layers - 1):
        weight = nn.Parameter(maps[layer].clone())
        shift = nn.Parameter(shifts[layer].clone())
        _fit_layer(loaded, states, layer, weight, shift, seed)
        maps[layer], shifts[layer] = weight.detach(), shift.detach()
        if bar is not None:
            bar.advance(note=f"layer {layer}")
    return Translators(maps, shifts)


def _fit_layer(
    loaded: LoadedModel, states: Tensor, layer: int, weight: nn.Parameter, shift: nn.Parameter, seed: int
) -> None:
    optimizer = torch.optim.Adam([weight, shift], lr=LEARNING_RATE)
    generator = torch.Generator().manual_seed(seed)
    total = EPOCHS * max(1, -(-len(states) // BATCH))
    step = 0
    for _ in range(EPOCHS):
        order = torch.randperm(len(states), generator=generator)
        for start in range(0, len(states), BATCH):
            optimizer.param_groups[0]["lr"] = LEARNING_RATE * (1 - step / total)
            batch = states[order[start : start + BATCH]].to(loaded.device)
            loss = lens_loss(loaded, batch[:, layer], batch[:, -1], weight, shift)
            weight.grad, shift.grad = torch.autograd.grad(loss, [weight, shift])
            optimizer.step()
            step += 1


def lens_loss(loaded: LoadedModel, state: Tensor, final: Tensor, weight: Tensor, shift: Tensor) -> Tensor:
    """Mean KL from the model's own next-token distribution to the translated layer's."""
    with torch.no_grad():
        target = loaded.readout(final.to(loaded.dtype)).float().log_softmax(-1)
    moved = state + state @ weight.T + shift
    guess = loaded.readout(moved.to(loaded.dtype)).float().log_softmax(-1)
    return (target.exp() * (target - guess)).sum(-1).mean()
