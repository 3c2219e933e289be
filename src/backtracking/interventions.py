"""Interventions as data: what is done to which component, how strongly, and when.

A record here binds to no model and imports no torch; `hooks.py` compiles it onto a loaded model.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from backtracking.run.records import BASELINE_NAME

Component = Literal["attn", "mlp", "resid"]
Mode = Literal["scale", "zero", "mean", "add", "project"]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


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


class Intervention(_Data):
    """One change to one component of one layer."""

    component: Component
    layer: Annotated[int, Field(ge=0)]
    mode: Mode = "scale"
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
        if self.mode in ("add", "project", "mean") and self.vector is None:
            raise ValueError(f"mode {self.mode!r} needs `vector`, the name of a saved direction or mean")
        if self.mode in ("scale", "zero") and self.vector is not None:
            raise ValueError(f"mode {self.mode!r} takes no `vector`")
        if self.mode in ("add", "project") and self.component != "resid":
            raise ValueError(f"mode {self.mode!r} acts on the residual stream: set component to 'resid'")
        if self.head is not None and self.component != "attn":
            raise ValueError("only attention has heads: remove `head` or set component to 'attn'")
        return self


class Condition(_Data):
    """A named set of interventions that a row is generated under; empty means baseline."""

    name: str
    interventions: tuple[Intervention, ...] = ()
    suppress_tokens: frozenset[int] = Field(
        default=frozenset(), description="Token ids that can never be sampled under this condition."
    )
    draw: int | None = Field(default=None, description="Which random draw of a pooled condition this is.")


BASELINE = Condition(name=BASELINE_NAME)
