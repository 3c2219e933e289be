"""Interventions as data: what is done to which component, how strongly, and when.

A record here binds to no model and imports no torch; `model/gates.py` compiles it onto a loaded model. What a
mode means stands in `MODES` alone: validation, gates, hooks, arms and scans read it there.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_serializer,
    model_serializer,
    model_validator,
)

from backtracking.run.records import BASELINE_NAME

Component = Literal["attn", "mlp", "resid"]
ComponentPlace = tuple[Component, int, int | None]
"""Component, layer and head."""
COMPONENTS: tuple[Component, ...] = ("attn", "mlp", "resid")
StatePlace = Literal["deciding", "window"]
DIRECTION_PLACES: tuple[StatePlace, ...] = ("deciding", "window")
"""The states a direction is taken from: the one that decides an onset, or the mean of those before it."""


@dataclass(frozen=True)
class Mode:
    """What a kind of intervention means."""

    apply: Callable[[Any, Any, Any], Any]
    """From the output, the strength (broadcast over its last axis) and the vector or None to the new output.

    Tensors come in and one goes out; methods and operators do, so that no torch is imported here.
    """
    neutral: float
    """The strength at which nothing changes."""
    components: tuple[Component, ...] = COMPONENTS
    """What it can be done to."""
    needs_vector: bool = False
    """Whether it takes a saved direction or mean."""
    own_vector: bool = False
    """Whether the vector is that of the component itself: another component takes its own."""
    unit_vector: bool = False
    """Whether the vector is brought to length one."""
    fixed: float | None = None
    """Its strength where the record's own has no say."""
    same_as: str | None = None
    """The mode that does the same at a strength of its own; both share a column of gates."""
    has_doses: bool = True
    """Whether there is something between acting and leaving alone."""

    def __post_init__(self) -> None:
        if not math.isfinite(self.neutral):
            raise ValueError("a mode's neutral strength is finite: doses lie between it and the arm's own")


def _scale(output: Any, strength: Any, _: Any) -> Any:
    return output * strength


def _replace(output: Any, strength: Any, vector: Any) -> Any:
    return output.where(strength <= 0, vector.to(output.dtype))


def _add(output: Any, strength: Any, vector: Any) -> Any:
    return output + strength * vector


def _project(output: Any, strength: Any, vector: Any) -> Any:
    return output - strength * (output * vector).sum(-1, keepdim=True) * vector


MODES: dict[str, Mode] = {
    "scale": Mode(_scale, neutral=1.0),
    "zero": Mode(_scale, neutral=1.0, fixed=0.0, same_as="scale"),
    "mean": Mode(_replace, neutral=0.0, fixed=1.0, needs_vector=True, own_vector=True, has_doses=False),
    "add": Mode(_add, neutral=0.0, components=("resid",), needs_vector=True),
    "project": Mode(_project, neutral=0.0, components=("resid",), needs_vector=True, unit_vector=True),
}
"""Every kind of intervention; a new one is a line here."""


def _known(mode: str) -> str:
    if mode not in MODES:
        raise ValueError(f"unknown mode {mode!r}: choose one of {', '.join(MODES)}")
    return mode


def mean_vector(component: str, layer: int) -> str:
    """The name of a component's mean output."""
    return f"mean_{component}_{layer}"


def direction_vector(place: StatePlace, layer: int) -> str:
    """The name of the direction at a place, after a layer."""
    return f"onset_{place}_{layer}"


def direction_vectors(n_layers: int) -> frozenset[str]:
    """The names of all directions of a model."""
    return frozenset(direction_vector(place, k) for place in DIRECTION_PLACES for k in range(n_layers))


def scale_factor(mode: str, strength: float) -> float | None:
    """What a mode multiplies an output by; none for modes that do more than multiply."""
    if mode not in MODES or (MODES[mode].same_as or mode) != "scale":
        return None
    fixed = MODES[mode].fixed
    return strength if fixed is None else fixed


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class When(_Data):
    """The positions at which an intervention acts; gates combine (all must hold)."""

    phase: Literal["decode", "prefill", "all"] = Field(
        default="decode", description="Which forward passes: generated tokens, the prompt, or both."
    )
    steps: tuple[int, ...] | None = Field(
        default=None, description="Only while producing these completion steps (0 = first new token)."
    )
    after_tokens: frozenset[int] | None = Field(
        default=None, description="Only right after one of these token ids (sentence ends, newlines)."
    )
    onset: Literal["any", "from_first", "until_first"] = Field(
        default="any", description="Only from, or only up to, the row's first backtracking onset."
    )

    @field_serializer("after_tokens")
    def _sorted(self, tokens: frozenset[int] | None) -> list[int] | None:
        return None if tokens is None else sorted(tokens)


class Intervention(_Data):
    """One change to one component of one layer."""

    component: Component
    layer: Annotated[int, Field(ge=0)]
    mode: Annotated[str, AfterValidator(_known)] = "scale"
    strength: float = Field(
        default=0.0, description="Factor for scale, coefficient for add, share removed for project."
    )
    head: int | None = Field(
        default=None, description="One attention head only, before the output projection."
    )
    vector: str | None = Field(
        default=None, description="Name of the saved direction (add, project) or mean (mean)."
    )
    when: When = When()

    @model_validator(mode="after")
    def _consistent(self) -> "Intervention":
        rule = MODES[self.mode]
        if rule.needs_vector and self.vector is None:
            raise ValueError(f"mode {self.mode!r} needs `vector`, the name of a saved direction or mean")
        if not rule.needs_vector and self.vector is not None:
            raise ValueError(f"mode {self.mode!r} takes no `vector`")
        if self.component not in rule.components:
            where = "the residual stream" if rule.components == ("resid",) else " and ".join(rule.components)
            allowed = " or ".join(map(repr, rule.components))
            raise ValueError(f"mode {self.mode!r} acts on {where}: set component to {allowed}")
        if self.head is not None and self.component != "attn":
            raise ValueError("only attention has heads: remove `head` or set component to 'attn'")
        return self

    @property
    def operation(self) -> str:
        """The mode whose gates it uses."""
        return MODES[self.mode].same_as or self.mode

    @property
    def applied_strength(self) -> float:
        """The strength that its gates apply."""
        fixed = MODES[self.mode].fixed
        return self.strength if fixed is None else fixed

    @property
    def place(self) -> ComponentPlace:
        """Which component it acts on: its kind, layer and head."""
        return (self.component, self.layer, self.head)


class Condition(_Data):
    """A named set of interventions that a row is generated under; empty means baseline."""

    name: str
    interventions: tuple[Intervention, ...] = ()
    suppress_tokens: frozenset[int] = Field(
        default=frozenset(), description="Token ids that can never be sampled under this condition."
    )
    suppress_phrases: frozenset[str] = Field(
        default=frozenset(), description="Phrases of which none can ever be completed, in any case."
    )
    draw: int | None = Field(default=None, description="Which random draw of a pooled condition this is.")

    @field_serializer("suppress_tokens")
    def _sorted(self, tokens: frozenset[int]) -> list[int]:
        return sorted(tokens)

    @model_serializer(mode="wrap")
    def _as_before(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A condition that forbids no phrase is written as it was before there were any."""
        data: dict[str, Any] = plain(self)
        phrases = data.pop("suppress_phrases")
        return data | {"suppress_phrases": sorted(phrases)} if phrases else data

    @property
    def suppresses(self) -> bool:
        """Whether there is anything that its rows can never say."""
        return bool(self.suppress_tokens or self.suppress_phrases)


BASELINE = Condition(name=BASELINE_NAME)


@dataclass(frozen=True)
class Shape:
    """How many layers and heads a model has: what an intervention can name."""

    n_layers: int
    n_heads: int

    def __str__(self) -> str:
        return f"layers 0 to {self.n_layers - 1} and heads 0 to {self.n_heads - 1}"

    def lacks(self, component: str, layer: int, head: int | None = None) -> str:
        """The named place in words when the model does not have it; empty when it does."""
        if layer not in range(self.n_layers):
            return f"{component} {layer}"
        if head is not None and head not in range(self.n_heads):
            return f"head {head} of {component} {layer}"
        return ""


ArmKind = Literal["baseline", "intervention", "suppression", "random control"]


@dataclass(frozen=True)
class Arm:
    """What rows are compared under; several members are draws of a random control, dealt over the rows."""

    name: str
    subset_name: str
    scale: float | None
    members: tuple[Condition, ...]

    @property
    def num_components(self) -> int:
        """How many components a member changes; draws of one control change equally many."""
        return len({intervention.place for intervention in self.members[0].interventions})

    @property
    def kind(self) -> ArmKind:
        """What the arm is; only interventions can win, the others are what they are measured against."""
        first = self.members[0]
        if first.draw is not None:
            return "random control"
        if first.suppresses:
            return "suppression"
        return "intervention" if first.interventions else "baseline"

    def for_row(self, problem_index: int, sample_id: int) -> Condition:
        """The member that a row runs under; every draw meets problems and samples alike.

        Neighbouring problems begin far apart, so that few rows are spread as evenly as many.
        """
        count = len(self.members)
        return self.members[(problem_index * _stride(count) + sample_id) % count]


def _stride(count: int) -> int:
    """A step through all of them that leaves no large gap early on: near the golden section."""
    golden = count * (math.sqrt(5) - 1) / 2
    return min((k for k in range(1, count + 1) if math.gcd(k, count) == 1), key=lambda k: abs(k - golden))


BASELINE_ARM = Arm(BASELINE_NAME, BASELINE_NAME, None, (BASELINE,))
