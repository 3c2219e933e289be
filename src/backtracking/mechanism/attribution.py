"""Direct effects: what each component itself writes towards the onset, and what its removal takes."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from backtracking.errors import UserError
from backtracking.measurements.jackknife import jackknife, means
from backtracking.measurements.statistics import Array
from backtracking.mechanism.ablation_scan import ScanResult
from backtracking.mechanism.partial import Values
from backtracking.mechanism.passes import (
    Padded,
    Site,
    batches,
    components,
    module_at,
    read_padded,
    recording,
    residuals,
    scale_at,
)
from backtracking.mechanism.study import Item
from backtracking.model.loading import LoadedModel

TOLERANCE = 0.02


@dataclass(frozen=True)
class LinearReadout:
    """The final norm with its scale held at a whole state's own, and so linear in the state's parts."""

    gain: Tensor
    shift: Tensor
    centred: bool
    eps: float

    @classmethod
    def of(cls, loaded: LoadedModel) -> "LinearReadout":
        """Takes scale and shift from the model's final norm."""
        norm = loaded.final_norm
        even = torch.ones(loaded.hidden_size, device=loaded.device, dtype=loaded.dtype)
        eps = float(getattr(norm, "variance_epsilon", getattr(norm, "eps", 0.0)))
        if isinstance(norm, nn.LayerNorm) and norm.weight is not None:
            shift = even.float() * 0 if norm.bias is None else norm.bias.float()
            return cls(norm.weight.float(), shift, centred=True, eps=norm.eps)
        # An RMS norm of ones is its gain, whether the weight is stored as the gain or as the gain minus one.
        found = cls(norm(even).float() * (1 + eps) ** 0.5, torch.zeros_like(even.float()), False, eps)
        if found._holds(norm, even):
            return found
        # A state of mean zero and size one shows the gain of a norm that takes the mean away.
        swing = even.clone()
        swing[1::2] = -1
        up, down = norm(swing).float(), norm(-swing).float()
        found = cls((up - down) / 2 * swing.float() * (1 + eps) ** 0.5, (up + down) / 2, True, eps)
        if found._holds(norm, even):
            return found
        raise UserError(
            f"{loaded.name}: direct effects are not defined for this model",
            f"its final norm ({type(norm).__name__}) is neither a layer norm nor an RMS norm",
            "use the ablation scan, which needs no linear readout",
        )

    def _holds(self, norm: nn.Module, like: Tensor) -> bool:
        """Whether the norm of an uneven state is what the parts say."""
        state = torch.linspace(-1, 2, len(like), device=like.device).sin().to(like.dtype)
        said = self.of_part(state.float(), self.scale(state.float())) + self.shift
        return torch.allclose(said, norm(state).float(), rtol=0.02, atol=0.02)

    def scale(self, state: Tensor) -> Tensor:
        """[..., 1]: what the norm divides this state by."""
        return (self._centre(state).square().mean(-1, keepdim=True) + self.eps).sqrt()

    def of_part(self, part: Tensor, scale: Tensor) -> Tensor:
        """What one part of a state becomes behind the norm (the shift belongs to no part)."""
        return self._centre(part) * self.gain / scale

    def _centre(self, state: Tensor) -> Tensor:
        return state - state.mean(-1, keepdim=True) if self.centred else state


@dataclass(frozen=True)
class Gap:
    """The direction in the output embedding that reads onset minus contrast."""

    weight: Tensor
    offset: float

    @classmethod
    def of(cls, loaded: LoadedModel, item: Item) -> "Gap":
        """Takes an item's onset and contrast from the output embedding."""
        _, target = item
        head = loaded.model.get_output_embeddings()
        # Only the rows that are read: the whole matrix in float32 can take a gigabyte.
        rows = [target.onset, *target.contrast]
        weight = head.weight[rows].float()
        bias = getattr(head, "bias", None)
        shift = weight.new_zeros(len(rows)) if bias is None else bias[rows].float()
        scale = loaded.logit_scale
        return cls(scale * (weight[0] - weight[1:].mean(0)), scale * float(shift[0] - shift[1:].mean()))


@torch.no_grad()
def attribute(
    loaded: LoadedModel, items: Sequence[Item], budget: int, *, heads: bool = True
) -> Iterator[tuple[int, Values]]:
    """Per item each part's share of the onset-minus-contrast logit: embedding, constant, blocks, and heads.

    The parts sum to the model's logit difference (before any capping of logits); heads split their block's.
    """
    linear = LinearReadout.of(loaded)
    with_heads = heads and splits_into_heads(loaded)
    for group in batches([reading.pos + 1 for reading, _ in items], budget):
        states = _states(loaded, [items[k] for k in group], with_heads)
        for place, index in enumerate(group):
            gap = Gap.of(loaded, items[index])
            scale = linear.scale(states.final[place])

            def share(part: Tensor, gap: Gap = gap, scale: Tensor = scale) -> list[Any]:
                shares: list[Any] = (linear.of_part(part.float(), scale) @ gap.weight).tolist()
                return shares

            values: Values = {
                "embedding": share(states.start[place]),
                "constant": float(linear.shift @ gap.weight) + gap.offset,
                "blocks": share(states.blocks[place]),
            }
            _check_sum(loaded, values, share(states.final[place]))
            if states.heads is not None:
                values["heads"] = share(states.heads[place])
            yield index, values


@dataclass(frozen=True)
class _States:
    """[item, ...] at the deciding position; blocks in writing order; heads as [layer, head]."""

    start: Tensor
    blocks: Tensor
    final: Tensor
    heads: Tensor | None


def _states(loaded: LoadedModel, items: Sequence[Item], heads: bool) -> _States:
    last = residuals(loaded)[loaded.n_layers - 1]
    modules: dict[Any, nn.Module] = {**components(loaded), "end": last}
    projections = {layer: block.head_projection for layer, block in enumerate(loaded.blocks)} if heads else {}
    with (
        recording(modules, _last) as kept,
        _recording_inputs({"start": loaded.blocks[0].layer, **projections}) as inputs,
    ):
        read_padded(loaded, Padded.of([reading.seen for reading, _ in items], loaded.device))
    by_head = [_head_outputs(loaded, layer, inputs[layer]) for layer in projections]
    return _States(
        inputs["start"].float(),
        torch.stack([scale_at(loaded, site) * kept[site].float() for site in components(loaded)], dim=1),
        kept["end"].float(),
        torch.stack(by_head, dim=1).float() if by_head else None,
    )


def _last(output: Tensor) -> Tensor:
    return output[:, -1]


@contextmanager
def _recording_inputs(modules: dict[Any, nn.Module | None]) -> Iterator[dict[Any, Tensor]]:
    kept: dict[Any, Tensor] = {}
    with ExitStack() as stack:
        for key, module in modules.items():
            if module is not None:

                def keep(_: nn.Module, args: Any, kwargs: Any, key: Any = key) -> None:
                    kept[key] = (args[0] if args else kwargs["hidden_states"])[:, -1]

                stack.callback(module.register_forward_pre_hook(keep, with_kwargs=True).remove)
        yield kept


def _head_outputs(loaded: LoadedModel, layer: int, concatenated: Tensor) -> Tensor:
    """What each head adds to the stream, without the projection's constant: [item, head, hidden]."""
    projection = loaded.blocks[layer].head_projection
    assert projection is not None
    width = loaded.head_dim
    alone = concatenated.new_zeros(len(concatenated), loaded.n_heads, concatenated.shape[-1])
    for head in range(loaded.n_heads):
        part = slice(head * width, (head + 1) * width)
        alone[:, head, part] = concatenated[:, part]
    constant = projection(torch.zeros_like(concatenated[:1]))
    outputs: Tensor = loaded.blocks[layer].attn_scale * (projection(alone) - constant)
    return outputs


def splits_into_heads(loaded: LoadedModel) -> bool:
    """Whether the blocks' attention output is the heads' projection itself (no norm stands after it)."""
    return all(
        block.head_projection is not None
        and any(
            module is block.head_projection for module in module_at(loaded, Site("attn", layer)).modules()
        )
        for layer, block in enumerate(loaded.blocks)
    )


def _check_sum(loaded: LoadedModel, values: Values, whole: Any) -> None:
    parts = float(values["embedding"]) + float(sum(values["blocks"]))
    size = float(sum(abs(value) for value in values["blocks"])) + abs(float(values["embedding"]))
    if abs(parts - float(whole)) > TOLERANCE * (1 + size):
        raise UserError(
            f"{loaded.name}: the parts of the residual stream do not sum to the logit difference",
            f"they give {parts:.4g}, the model {float(whole):.4g}",
            "direct effects are not defined for this architecture; the ablation scan is",
        )


def direct_table(
    problems: Sequence[str], sites: Sequence[Site], direct: Array, total: ScanResult | None
) -> pd.DataFrame:
    """One row per component: its direct effect, the total effect of its removal, and the share made up for.

    `direct` is [event, site]; self-repair is 1 − total / direct, given where the direct effect is above zero.
    """
    estimate = means(problems, direct)
    columns: dict[str, Any] = {
        "layer": [site.layer for site in sites],
        "component": [site.component for site in sites],
        "head": pd.array([site.head for site in sites], dtype="Int64"),
        "direct": estimate.value,
        "direct_low": estimate.low,
        "direct_high": estimate.high,
    }
    table = pd.DataFrame(columns)
    return table if total is None else table.join(_self_repair(problems, sites, direct, total))


def _self_repair(
    problems: Sequence[str], sites: Sequence[Site], direct: Array, total: ScanResult
) -> pd.DataFrame:
    places = {removal.site: k for k, removal in enumerate(total.removals)}
    known = [k for k, site in enumerate(sites) if site in places]
    here = direct[:, known]
    lost = -total.onset["gap"][:, [places[sites[k]] for k in known]]
    effect = means(problems, lost)
    with np.errstate(invalid="ignore", divide="ignore"):
        repair = jackknife(problems, np.stack([lost, here], axis=1), lambda sums: 1 - sums[0] / sums[1])
    positive = means(problems, here).low > 0
    rows = {
        "total": effect.value,
        "total_low": effect.low,
        "total_high": effect.high,
        "self_repair": np.where(positive, repair.value, np.nan),
        "self_repair_low": np.where(positive, repair.low, np.nan),
        "self_repair_high": np.where(positive, repair.high, np.nan),
    }
    return pd.DataFrame(rows, index=known)


def stack_direct(measured: Sequence[Values], loaded: LoadedModel) -> tuple[list[Site], Array]:
    """All block and head shares as [event, site]."""
    sites = list(components(loaded))
    blocks = np.array([values["blocks"] for values in measured], dtype=float)
    if "heads" not in measured[0]:
        return sites, blocks
    heads = np.array([values["heads"] for values in measured], dtype=float).reshape(len(measured), -1)
    by_head = [
        Site("attn", layer, head) for layer in range(loaded.n_layers) for head in range(loaded.n_heads)
    ]
    return [*sites, *by_head], np.concatenate([blocks, heads], axis=1)
