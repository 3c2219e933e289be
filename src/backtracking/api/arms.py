"""What a generation is run under, written down before any model is there: `bt.scale("attn", 5, 0.5)`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite, nan
from operator import index
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from pydantic import ValidationError

from backtracking.api.settings import refusal
from backtracking.errors import UserError
from backtracking.interventions import Arm, Condition, Intervention, Shape, When
from backtracking.run.paths import check_id
from backtracking.run.provenance import digest
from backtracking.run.records import BASELINE_NAME

if TYPE_CHECKING:
    from torch import Tensor

    from backtracking.api.rows import Rows


WhenPhase = Literal["decode", "prefill", "all"]


@runtime_checkable
class Layered(Protocol):
    """Directions of all layers, one of which is the best: what `lm.direction(rows)` gives."""

    @property
    def best_layer(self) -> int:
        """The layer that is meant where none is named."""

    def vector(self, layer: int) -> "Tensor":
        """The direction after a layer."""


@dataclass(frozen=True)
class ArmRecipe:
    """An arm before it meets a model: interventions, tokens never to sample, or draws of random controls.

    Recipes add up: `bt.scale("attn", 5, 0.5) + bt.zero("mlp", 3)` is one arm that does both.
    """

    name: str
    interventions: tuple[Intervention, ...] = ()
    vectors: "Mapping[str, Tensor]" = field(default_factory=dict, compare=False, repr=False)
    """The directions that interventions name."""
    suppressed: tuple[str, ...] | None = None
    """Phrases that are never completed; empty for the model's own triggers."""
    draws: int = 0
    """How many random controls of the same shape take the place of the interventions."""
    over: "Rows | None" = field(default=None, compare=False, repr=False)
    """The rows over whose controls the means are taken that interventions name."""

    def __post_init__(self) -> None:
        if self.name == BASELINE_NAME and (self.interventions or self.suppressed is not None):
            raise UserError(
                f"an arm that changes the model cannot be called {BASELINE_NAME!r}",
                "analyses take the rows of that name as the model unchanged",
                "give it another name",
            )

    def __add__(self, other: "ArmRecipe") -> "ArmRecipe":
        if not isinstance(other, ArmRecipe):
            return NotImplemented
        if self.draws or other.draws:
            raise UserError(
                "a random control cannot be combined with another arm",
                next_step="make the control of the whole arm: bt.random_like(a + b)",
            )
        both = [part for part in (self, other) if part.name != BASELINE_NAME]
        suppressed = [part.suppressed for part in both if part.suppressed is not None]
        return ArmRecipe(
            "+".join(part.name for part in both) or BASELINE_NAME,
            tuple(one for part in both for one in part.interventions),
            {**self.vectors, **other.vectors},
            tuple(phrase for phrases in suppressed for phrase in phrases) if suppressed else None,
            over=self.over or other.over,
        )

    def __repr__(self) -> str:
        return f"Arm({self.name!r})"

    def _repr_html_(self) -> str:
        from backtracking.api.display import facts_html
        from backtracking.claims.wording import counted

        does = [_told(one) for one in self.interventions]
        never = [] if self.suppressed is None else list(self.suppressed) or ["the model's own triggers"]
        draws = counted(self.draws, "draw")
        controls = [f"{draws} of other components of the same shape"] if self.draws else []
        return facts_html(
            f"Arm {self.name!r}", {"does": does, "never completes": never, "controls": controls}
        )

    def named(self, name: str) -> "ArmRecipe":
        """The same arm under a name of your choice, written like a run's."""
        if not isinstance(name, str):
            raise UserError(f"an arm's name is a text, not {name!r}", next_step='arm.named("mine")')
        return replace(self, name=check_id("arm name", name))

    def fit(self, shape: Shape, seed: int, suppress: frozenset[str]) -> Arm:
        """The arm as the engine runs it; `suppress` are the phrases that it never completes."""
        from backtracking.model.random_control import random_arm

        if self.draws:
            return random_arm(self.name, self.interventions, self.draws, shape, seed)
        condition = Condition(name=self.name, interventions=self.interventions, suppress_phrases=suppress)
        return Arm(self.name, self.name, None, (condition,))


def _told(one: Intervention) -> str:
    """What is done where, as a person would write it down."""
    head = "" if one.head is None else f" head {one.head}"
    return f"{one.mode} {one.strength:g} on {one.component} {one.layer}{head}, {one.when.phase}"


baseline = ArmRecipe(BASELINE_NAME)
"""The model as it is."""


def scale(
    component: Literal["attn", "mlp"],
    layer: int | Sequence[int],
    factor: float,
    *,
    head: int | None = None,
    when: WhenPhase | When = "decode",
) -> ArmRecipe:
    """Multiply what an attention or MLP block (or one attention head) writes by a factor.

    `when` says at which tokens: `"decode"` (those generated; the prompt stays as it is), `"prefill"`,
    `"all"`, or a `When` record for chosen steps, tokens, or from the first onset on.
    """
    layers, factor = _layers(layer), _number("bt.scale: factor", factor)
    _check_block("bt.scale", component)
    head = None if head is None else _whole("bt.scale: head", head)
    members = [
        _member("bt.scale", when, component=component, layer=one, strength=factor, head=head)
        for one in layers
    ]
    spot = "" if head is None else f"h{head}"
    name = "+".join(f"{component}{one}{spot}x{factor:g}" for one in layers)
    return ArmRecipe(name, tuple(members))


def zero(
    component: Literal["attn", "mlp"],
    layer: int | Sequence[int],
    *,
    head: int | None = None,
    when: WhenPhase | When = "decode",
) -> ArmRecipe:
    """Remove what a block (or one attention head) writes: `scale` by 0."""
    return scale(component, layer, 0.0, head=head, when=when)


def mean(component: Literal["attn", "mlp"], layer: int | Sequence[int], rows: "Rows") -> ArmRecipe:
    """Replace what a block writes, at every generated token, by its mean over the matched controls of rows.

    The rows are a baseline with onsets; controls are drawn from them as `lm.scan` does.
    """
    layers = _layers(layer)
    _check_block("bt.mean", component)
    if not hasattr(rows, "study_rows"):  # rows know arms, so that arms cannot import them
        raise UserError(
            f"bt.mean: {rows!r} are not rows", "the mean is taken over rows", "give what lm.generate gave"
        )
    members = []
    for one in layers:
        named = {"component": component, "layer": one, "vector": f"mean_{component}_{one}"}
        members.append(_member("bt.mean", "decode", mode="mean", **named))
    return ArmRecipe("+".join(f"{component}{one}mean" for one in layers), tuple(members), over=rows)


def steer(
    direction: "Layered | Tensor | Sequence[float]",
    strength: float,
    *,
    layer: int | None = None,
    when: WhenPhase | When = "decode",
) -> ArmRecipe:
    """Add `strength` times a direction to the residual stream after a layer; below zero leads away from it.

    The direction is what `lm.direction(rows)` found (its best layer unless another is named), or a vector of
    the model's width with its `layer`.
    """
    return _along("add", direction, strength, layer, when)


def project(
    direction: "Layered | Tensor | Sequence[float]",
    strength: float = 1.0,
    *,
    layer: int | None = None,
    when: WhenPhase | When = "decode",
) -> ArmRecipe:
    """Take a share (1: all) of the residual stream along a direction out of it, after a layer."""
    return _along("project", direction, strength, layer, when)


def suppress_triggers(phrases: Sequence[str] = ()) -> ArmRecipe:
    """Leave the model alone and never let it complete a trigger phrase: the piece that would is not sampled.

    Without phrases, those are the strict triggers that the model was loaded with.
    """
    if isinstance(phrases, str) or not all(isinstance(phrase, str) for phrase in phrases):
        raise UserError(
            f"{phrases!r} is not a list of phrases", next_step='e.g. bt.suppress_triggers(["wait"])'
        )
    return ArmRecipe("suppress_triggers", suppressed=tuple(phrases))


def random_like(arm: ArmRecipe, draws: int = 10) -> ArmRecipe:
    """A control of the arm's shape: as many other components, or other directions of equal norm.

    The draws are dealt to the rows in turn, so that together they are one arm.
    """
    if not isinstance(arm, ArmRecipe):
        raise UserError(f"{arm!r} is not an arm", next_step='e.g. bt.random_like(bt.zero("attn", 5))')
    if not arm.interventions:
        raise UserError(f"{arm.name!r} changes no component", "there is nothing to draw others for")
    if not isinstance(draws, int) or draws < 1:
        raise UserError(
            f"a control needs a whole number of draws, at least one, not {draws}",
            next_step="draw 1 or more; 10 is usual",
        )
    return replace(arm, name=f"random_like_{arm.name}", draws=draws)


def as_arms(given: Any) -> list[ArmRecipe]:
    """The arms of one generation: each an arm, and told apart by name."""
    is_one = isinstance(given, str) or not isinstance(given, Iterable)
    arms: list[Any] = [given] if is_one else list(given)
    for arm in arms:
        if not isinstance(arm, ArmRecipe):
            raise UserError(
                f"{arm!r} is not an arm",
                "an arm is what bt.scale and its like give, and bt.baseline",
                'arms=[bt.baseline, bt.scale("attn", 5, 0.5), bt.suppress_triggers()]',
            )
    if not arms:
        raise UserError("there is no arm to generate under", next_step="arms=[bt.baseline, ...]")
    names = [arm.name for arm in arms]
    if shared := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(
            f"several arms are called {', '.join(map(repr, shared))}",
            "rows are told apart by their arm's name",
            "give one another name: arm.named('other')",
        )
    return arms


def _check_block(where: str, component: str) -> None:
    """Refuse what is no block of a layer: the residual stream is steered, not scaled."""
    if component not in ("attn", "mlp"):
        raise UserError(
            f"{where}: component must be 'attn' or 'mlp', not {component!r}",
            "an arm of this kind changes what a block writes",
            "name a block; bt.steer and bt.project act on the residual stream",
        )


def _number(called: str, value: Any) -> float:
    """A finite number of any kind; a text is none, nor is a truth value."""
    try:
        number = nan if isinstance(value, bool | str) else float(value)
    except (TypeError, ValueError):
        number = nan
    if not isfinite(number):
        raise UserError(f"{called} is a finite number, not {value!r}", next_step="give one, e.g. 0.5")
    return number


def _whole(called: str, value: Any) -> int:
    """A whole number of any kind; a truth value is none."""
    try:
        if isinstance(value, bool):
            raise TypeError
        return index(value)
    except TypeError:
        raise UserError(
            f"{called} is a whole number, not {value!r}", next_step='e.g. bt.scale("attn", 5, 0.5)'
        ) from None


def _layers(layer: Any) -> list[int]:
    """One layer, or several."""
    is_one = isinstance(layer, str) or not isinstance(layer, Iterable) or getattr(layer, "ndim", 1) == 0
    layers = [_whole("a layer", one) for one in ([layer] if is_one else layer)]
    if not layers:
        raise UserError("an arm without layers changes nothing", next_step="name a layer, or use bt.baseline")
    return layers


def _along(
    mode: Literal["add", "project"],
    direction: Any,
    strength: float,
    layer: int | None,
    when: WhenPhase | When,
) -> ArmRecipe:
    label = "steer" if mode == "add" else "project"
    strength = _number(f"bt.{label}: strength", strength)
    if isinstance(direction, Layered):
        layer = direction.best_layer if layer is None else layer
        vector = direction.vector(layer)
    else:
        vector = _tensor(direction)
    if layer is None:
        raise UserError(
            "a bare vector has no layer", next_step="say after which layer it acts: bt.steer(v, 2.0, layer=4)"
        )
    layer = _whole("a layer", layer)
    key = f"vector_{digest(vector.tolist())[:12]}"
    member = _member(
        f"bt.{label}", when, component="resid", layer=layer, mode=mode, strength=strength, vector=key
    )
    return ArmRecipe(f"{label}{layer}x{strength:g}", (member,), {key: vector})


def _tensor(vector: Any) -> "Tensor":
    import torch

    try:
        tensor = torch.as_tensor(vector).detach().float().cpu()
    except (TypeError, ValueError, RuntimeError):
        raise UserError(
            f"a direction is a vector of numbers, or what lm.direction(rows) found, not {vector!r}"
        ) from None
    if tensor.dim() != 1:
        raise UserError(f"a direction is one vector, not a shape of {list(tensor.shape)}")
    return tensor


def _member(where: str, when: WhenPhase | When, **fields: Any) -> Intervention:
    """One change to one component, where the fields are those of one."""
    try:
        chosen = when if isinstance(when, When) else When(phase=when)
        return Intervention(when=chosen, **fields)
    except ValidationError as error:
        raise refusal(error, Intervention, where, {"phase": "when"}) from None
