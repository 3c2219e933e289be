"""Forward passes for analysis: padded batches, recorded activations, and many ablations in one pass.

An ablation of the last tokens cannot change the keys and values of the tokens before them. So a prefix is
read once, and every arm (a set of edits) of the last `tail` tokens rides in one further pass as extra queries
that see the shared prefix and their own arm only.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from backtracking.errors import UserError
from backtracking.mechanism.masks import attention_masks, check_mask_support, own_tails, rewind
from backtracking.mechanism.proved import PROBES, last_state, proved
from backtracking.model.loading import LoadedModel
from backtracking.model.mapping import check_finite, first_tensor

BlockKind = Literal["attn", "mlp"]
KINDS: tuple[BlockKind, BlockKind] = ("attn", "mlp")
"""In the order in which a block writes."""
QUERIES_PER_PASS = 256


@dataclass(frozen=True, order=True)
class Site:
    """A component: an attention or MLP block, or one attention head before the output projection."""

    component: BlockKind
    layer: int
    head: int | None = None


@dataclass(frozen=True)
class Edit:
    """What is done to one component at chosen positions, counted back from the last (0)."""

    site: Site
    factor: float | None = 0.0
    """Multiplies the output; None replaces it by the donor's."""
    back: tuple[int, ...] = (0,)


Edits = tuple[Edit, ...]
UNCHANGED: Edits = ()


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Indices in groups of similar length whose padded size stays within `budget` tokens."""
    group: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda k: -lengths[k]):
        if group and (len(group) + 1) * lengths[group[0]] > budget:
            yield group
            group = []
        group.append(index)
    if group:
        yield group


@dataclass(frozen=True)
class Padded:
    """Sequences of a batch, padded on the left, so that their ends line up."""

    ids: Tensor
    mask: Tensor
    positions: Tensor

    @classmethod
    def of(cls, sequences: Sequence[Sequence[int]], device: torch.device) -> "Padded":
        """Lays sequences into one batch, on a device."""
        width = max(map(len, sequences))
        ids = torch.zeros(len(sequences), width, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, sequence in enumerate(sequences):
            if len(sequence):
                ids[row, width - len(sequence) :] = torch.tensor(sequence)
                mask[row, width - len(sequence) :] = 1
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        return cls(ids.to(device), mask.to(device), positions.to(device))


def read_padded(loaded: LoadedModel, batch: Padded, cache: DynamicCache | None = None) -> None:
    """One ordinary pass over a batch; what is wanted of it is recorded by hooks or kept in the cache."""
    if not loaded.reads_padded:
        raise UserError(
            f"{loaded.name}: texts of different lengths cannot be read side by side",
            "with padding in front of a text the model computes other numbers than without",
            "the reference engine generates with this model; for the analyses, choose another",
        )
    read = loaded.model.base_model(
        input_ids=batch.ids,
        attention_mask=batch.mask,
        position_ids=batch.positions,
        past_key_values=cache,
        use_cache=cache is not None,
    )
    check_finite(loaded.name, read[0][batch.mask.bool()])


Take = Callable[[Tensor], Tensor]


@contextmanager
def recording(modules: Mapping[Any, nn.Module], take: Take) -> Iterator[dict[Any, Tensor]]:
    """Keep `take(output)` of each module while the block runs."""
    kept: dict[Any, Tensor] = {}

    def keep(key: Any) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            kept[key] = take(first_tensor(output))

        return hook

    with ExitStack() as stack:
        for key, module in modules.items():
            stack.callback(module.register_forward_hook(keep(key)).remove)
        yield kept


def residuals(loaded: LoadedModel) -> dict[int, nn.Module]:
    """The modules whose outputs are the residual stream after each layer."""
    return {layer: block.layer for layer, block in enumerate(loaded.blocks)}


def module_at(loaded: LoadedModel, site: Site) -> nn.Module:
    """The module whose output a site is."""
    block = loaded.blocks[site.layer]
    return block.attn if site.component == "attn" else block.mlp


def scale_at(loaded: LoadedModel, site: Site) -> float:
    """What the layer multiplies a site's output by when it adds it to the residual stream."""
    block = loaded.blocks[site.layer]
    return block.attn_scale if site.component == "attn" else block.mlp_scale


def components(loaded: LoadedModel) -> dict[Site, nn.Module]:
    """Every block's modules that write to the residual stream, in the order in which they write."""
    sites = [Site(kind, layer) for layer in range(loaded.n_layers) for kind in KINDS]
    return {site: module_at(loaded, site) for site in sites}


@torch.no_grad()
def component_outputs(
    loaded: LoadedModel, sequences: Sequence[Sequence[int]], tail: int, budget: int
) -> dict[Site, Tensor]:
    """Each component's output at the last `tail` positions of each sequence: [sequence, tail, hidden]."""
    modules = components(loaded)
    outputs = {
        site: torch.empty(len(sequences), tail, loaded.hidden_size, dtype=loaded.dtype, device=loaded.device)
        for site in modules
    }
    for group in batches([len(sequence) for sequence in sequences], budget):
        with recording(modules, lambda output: output[:, -tail:]) as kept:
            read_padded(loaded, Padded.of([sequences[k] for k in group], loaded.device))
        for site, values in kept.items():
            outputs[site][group] = values
    return outputs


@dataclass(frozen=True)
class _Compiled:
    """Edits of one module that act on the same queries in the same way."""

    site: Site
    factor: float | None
    queries: Tensor
    backs: Tensor


def _compile(arms: Sequence[Edits], tail: int, device: torch.device, before: int = 0) -> list[_Compiled]:
    """Edits by module; `before` positions stand in the same pass ahead of the first arm's tail."""
    places: dict[tuple[Site, float | None], list[tuple[int, int]]] = {}
    for number, arm in enumerate(arms):
        for edit in arm:
            edits_at = places.setdefault((edit.site, edit.factor), [])
            edits_at.extend(
                (before + number * tail + tail - 1 - back, back) for back in edit.back if back < tail
            )
    return [
        _Compiled(
            site,
            factor,
            torch.tensor([query for query, _ in where], device=device),
            torch.tensor([tail - 1 - back for _, back in where], device=device),
        )
        for (site, factor), where in places.items()
        if where
    ]


class TailScan:
    """Runs many arms on the last `tail` tokens of sequences at the price of one pass per prefix.

    Models that keep more than keys and values, or take no mask of ours, run each arm in a pass of its own.

    A pass of arms holds at most `budget` tokens over all sequences, or one arm if even that is more.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        arms: Sequence[Edits],
        *,
        tail: int = 1,
        budget: int | None = None,
        shares: bool | None = None,
    ) -> None:
        self._shares = takes_arms(loaded) if shares is None else shares
        self._loaded = loaded
        self._arms = arms
        self._tail = tail
        self._budget = budget

    @torch.no_grad()
    def __call__(
        self, sequences: Sequence[Sequence[int]], donors: Mapping[Site, Tensor] | None = None
    ) -> Tensor:
        """Last residual stream at each sequence's end, under every arm: [sequence, arm, hidden].

        `donors` holds what replaced outputs become: [sequence, tail, width] per site.
        """
        if short := [len(s) for s in sequences if len(s) < self._tail]:
            raise ValueError(f"a sequence of {short[0]} tokens is shorter than the tail of {self._tail}")
        if not self._shares:
            return torch.stack([self._alone(s, row, donors or {}) for row, s in enumerate(sequences)])
        prefix = Padded.of([sequence[: -self._tail] for sequence in sequences], self._loaded.device)
        tails = torch.tensor([list(s[-self._tail :]) for s in sequences], device=self._loaded.device)
        width = prefix.ids.shape[1]
        # A cache made without a config keeps every position, also in layers with a sliding window.
        cache = DynamicCache()
        if width:
            read_padded(self._loaded, prefix, cache)
        outputs = []
        for chunk in self._chunks(len(sequences)):
            outputs.append(self._tails(prefix, tails, chunk, cache, donors or {}))
            rewind(cache, width)
        return torch.cat(outputs, dim=1)

    def _alone(self, sequence: Sequence[int], row: int, donors: Mapping[Site, Tensor]) -> Tensor:
        """Every arm's last residual stream, [arm, hidden], from plain passes over the whole sequence."""
        own = {site: donor[row : row + 1] for site, donor in donors.items()}
        ends = []
        for arm in self._arms:
            before = len(sequence) - self._tail
            with editing(self._loaded, _compile([arm], self._tail, self._loaded.device, before), own):
                ends.append(last_state(self._loaded, sequence))
        return torch.cat(ends)

    def _chunks(self, rows: int) -> Iterator[Sequence[Edits]]:
        """The arms in groups that ride together."""
        tokens = QUERIES_PER_PASS if self._budget is None else min(QUERIES_PER_PASS, self._budget // rows)
        size = max(1, tokens // self._tail)
        for start in range(0, len(self._arms), size):
            yield self._arms[start : start + size]

    def _tails(
        self,
        prefix: Padded,
        tails: Tensor,
        arms: Sequence[Edits],
        cache: DynamicCache,
        donors: Mapping[Site, Tensor],
    ) -> Tensor:
        steps = torch.arange(self._tail, device=tails.device)
        positions = (prefix.mask.sum(1)[:, None] + steps).repeat(1, len(arms))
        last = residuals(self._loaded)[self._loaded.n_layers - 1]
        compiled = _compile(arms, self._tail, tails.device)
        ends = slice(self._tail - 1, None, self._tail)
        with (
            editing(self._loaded, compiled, donors),
            recording({"end": last}, lambda output: output[:, ends]) as kept,
        ):
            self._loaded.model.base_model(
                input_ids=tails.repeat(1, len(arms)),
                attention_mask=attention_masks(
                    self._loaded, own_tails(prefix.mask, len(arms), self._tail), prefix.positions, positions
                ),
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
            )
        return kept["end"]


@contextmanager
def editing(
    loaded: LoadedModel, compiled: Sequence[_Compiled], donors: Mapping[Site, Tensor]
) -> Iterator[None]:
    """Apply edits to the modules' outputs (to the projection's input for single heads)."""
    with ExitStack() as stack:
        for edit in compiled:
            if edit.site.head is None:
                hook = module_at(loaded, edit.site).register_forward_hook(_output_hook(edit, donors))
            else:
                projection = head_projection(loaded, edit.site.layer)
                hook = projection.register_forward_pre_hook(_head_hook(loaded, edit, donors))
            stack.callback(hook.remove)
        yield


def head_projection(loaded: LoadedModel, layer: int) -> nn.Module:
    """The layer's attention output projection, whose input is the heads end to end."""
    projection = loaded.blocks[layer].head_projection
    if projection is None:
        raise UserError(
            f"{loaded.name}: layer {layer} has no attention output projection under a known name",
            "single heads are changed on its input",
            "leave --heads out for this model",
        )
    return projection


def _edited(output: Tensor, edit: _Compiled, donors: Mapping[Site, Tensor], part: slice) -> Tensor:
    changed = output.clone()
    if edit.factor is None:
        changed[:, edit.queries, part] = donors[edit.site][:, edit.backs].to(output.dtype)
    else:
        changed[:, edit.queries, part] = output[:, edit.queries, part] * edit.factor
    return changed


def _output_hook(edit: _Compiled, donors: Mapping[Site, Tensor]) -> Callable[[nn.Module, Any, Any], Any]:
    def hook(_: nn.Module, __: Any, output: Any) -> Any:
        changed = _edited(first_tensor(output), edit, donors, slice(None))
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    return hook


def _head_hook(
    loaded: LoadedModel, edit: _Compiled, donors: Mapping[Site, Tensor]
) -> Callable[[nn.Module, Any], Any]:
    width = loaded.head_dim
    assert edit.site.head is not None
    part = slice(edit.site.head * width, (edit.site.head + 1) * width)

    def hook(_: nn.Module, args: tuple[Any, ...]) -> Any:
        return (_edited(args[0], edit, donors, part), *args[1:])

    return hook


def takes_arms(loaded: LoadedModel) -> bool:
    """Whether many short continuations of one text can share a pass: proved once per model."""
    check_mask_support(loaded)
    kinds = set(getattr(loaded.model.config.get_text_config(), "layer_types", None) or ())
    if kinds - {"full_attention", "sliding_attention"}:
        return False
    scan = TailScan(loaded, [UNCHANGED] * 3, tail=2, shares=True)
    return proved(loaded, "arms", lambda: scan(PROBES)[:, -1])
