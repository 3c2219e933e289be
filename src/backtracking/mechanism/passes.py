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
from backtracking.model.loading import LoadedModel, check_finite, first_tensor

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


def _compile(arms: Sequence[Edits], tail: int, device: torch.device) -> list[_Compiled]:
    places: dict[tuple[Site, float | None], list[tuple[int, int]]] = {}
    for number, arm in enumerate(arms):
        for edit in arm:
            edits_at = places.setdefault((edit.site, edit.factor), [])
            edits_at.extend((number * tail + tail - 1 - back, back) for back in edit.back if back < tail)
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

    A pass of arms holds at most `budget` tokens over all sequences, or one arm if even that is more.
    """

    def __init__(
        self, loaded: LoadedModel, arms: Sequence[Edits], *, tail: int = 1, budget: int | None = None
    ) -> None:
        _check_mask_support(loaded)
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
                    self._loaded, _visible(prefix, len(arms), self._tail), prefix.positions, positions
                ),
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
            )
        return kept["end"]


def rewind(cache: DynamicCache, width: int) -> None:
    """Forget what was read behind the first `width` positions."""
    for layer in cache.layers:
        layer.keys = layer.keys[:, :, :width]
        layer.values = layer.values[:, :, :width]


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


def _check_mask_support(loaded: LoadedModel) -> None:
    kernel = getattr(loaded.model.config, "_attn_implementation", "eager")
    if kernel not in ("eager", "sdpa"):
        raise UserError(
            f"model.attn_implementation: {kernel} cannot run the scans",
            "they need an attention mask of their own",
            "set model.attn_implementation: sdpa for logit-lens, ablation-scan and the analyses after them",
        )


def attention_masks(loaded: LoadedModel, seen: Tensor, prefix: Tensor, positions: Tensor) -> Any:
    """Masks for queries behind a prefix; per layer type where a model mixes full and sliding attention.

    `seen` says what each query may see, [batch, query, key]; the others where prefix and queries stand.
    """
    config = loaded.model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ())
    window = getattr(config, "sliding_window", None)
    slides = "sliding_attention" in kinds if kinds else window is not None
    near = seen
    if slides and window is not None:
        key_positions = torch.cat([prefix, positions], dim=1)
        near = seen & (positions[:, :, None] - key_positions[:, None, :] < window)
    if len(kinds) > 1:
        return {
            kind: _additive(near if kind == "sliding_attention" else seen, loaded.dtype) for kind in kinds
        }
    return _additive(near, loaded.dtype)


def _visible(prefix: Padded, arms: int, tail: int) -> Tensor:
    """[batch, query, key]: the prefix without its padding, and earlier tokens of the same arm."""
    queries = arms * tail
    device = prefix.ids.device
    arm = torch.arange(queries, device=device) // tail
    step = torch.arange(queries, device=device) % tail
    own = (arm[:, None] == arm[None, :]) & (step[:, None] >= step[None, :])
    before = prefix.mask.bool()[:, None, :].expand(-1, queries, -1)
    return torch.cat([before, own.expand(len(prefix.ids), -1, -1)], dim=2)


def _additive(seen: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill(
        ~seen, torch.finfo(dtype).min
    )[:, None]
