"""Config sections of Phase 2: the sweeps and the onset step."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator, model_validator

from backtracking.config.base import Name, Number, PositiveInt, ReportPath, Section
from backtracking.interventions import Intervention, When

BEST_SUBSET = "best"


class ComponentRef(Section):
    """Short form of a subset's member: the sweep decides what is done to it."""

    component: Literal["attn", "mlp"]
    """Attention or MLP block."""
    layer: Annotated[int, Field(ge=0)]
    """Which layer, from 0."""


def _spell_out(member: Any) -> Any:
    if isinstance(member, list | tuple) and len(member) == 2:
        return {"component": member[0], "layer": member[1]}
    return member


def _form(member: Any) -> str:
    if isinstance(member, dict):
        return "short" if set(member) <= {"component", "layer"} else "full"
    return "full" if isinstance(member, Intervention) else "short"


SubsetMember = Annotated[
    Annotated[ComponentRef, Tag("short")] | Annotated[Intervention, Tag("full")],
    Discriminator(_form),
    BeforeValidator(_spell_out),
]


class Subset(Section):
    """One arm: a set of components, of full intervention records, or one of the controls made from them."""

    components: tuple[SubsetMember, ...] = ()
    """`[attn, 15]` pairs, or records with component, layer, mode, strength, when."""
    from_selected_layers: bool = False
    """Take the components that Phase 1's scan selected."""
    suppress_triggers: bool = False
    """Leave the model alone and never sample the piece that would complete a strict trigger phrase."""
    random_like: Name | None = None
    """A control for that subset: as many random components, or random directions of equal norm."""
    draws: PositiveInt = 10
    """How many different random draws `random_like` pools (all, if they are fewer)."""
    only: Literal["always", "sentence_starts", "from_first_onset", "until_first_onset"] = "always"
    """When the components act: at every generated token, only where a sentence begins, only from the row's
    first onset on, or only up to it. Not for records with a `when` of their own."""

    @model_validator(mode="before")
    @classmethod
    def _list_is_components(cls, data: Any) -> Any:
        return {"components": data} if isinstance(data, list | tuple) else data

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        sources = (self.components, self.from_selected_layers, self.suppress_triggers, self.random_like)
        if sum(map(bool, sources)) != 1:
            raise ValueError(
                "needs exactly one of: a non-empty list of components, from_selected_layers: true, "
                "suppress_triggers: true, random_like: NAME"
            )
        if self.only != "always":
            self._check_gate()
        keys = [(member.component, member.layer) for member in self.components]
        repeated = sorted({f"[{c}, {layer}]" for c, layer in keys if keys.count((c, layer)) > 1})
        if repeated and all(isinstance(member, ComponentRef) for member in self.components):
            raise ValueError(f"names a component twice: {', '.join(repeated)}")
        return self

    def _check_gate(self) -> None:
        if self.suppress_triggers or self.random_like is not None:
            raise ValueError("`only` says when components act: it takes components or from_selected_layers")
        if any(isinstance(member, Intervention) and member.when != When() for member in self.components):
            raise ValueError("give `only`, or `when` in the records, but not both")


class SubsetSweepConfig(Section):
    """Which component subsets are tried."""

    enabled: bool = True
    """Whether Phase 2 runs the sweep."""
    variant: Name = "baseline_think_newline"
    """The prompt format it runs in."""
    subsets: dict[Name, Subset] = Field(default_factory=dict)
    """The subsets by name."""

    @model_validator(mode="after")
    def _controls_have_originals(self) -> Self:
        for name, subset in self.subsets.items():
            like = subset.random_like
            if like is None:
                continue
            original = self.subsets.get(like)
            if original is None or not (original.components or original.from_selected_layers):
                listed = ", ".join(key for key, other in self.subsets.items() if other.random_like is None)
                raise ValueError(
                    f"{name}: random_like names no subset of components: {like!r}; there are {listed}"
                )
        return self

    @model_validator(mode="after")
    def _names_are_no_scales(self) -> Self:
        for name in self.subsets:
            stem, _, scale = name.rpartition("_x")
            if stem in self.subsets and _is_number(scale):
                raise ValueError(f"{name}: this is the name of subset {stem!r} at scale {scale}; rename it")
        return self


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


class ScaleSweepConfig(Section):
    """How strongly one subset is turned down."""

    enabled: bool = True
    """Whether Phase 2 runs the sweep."""
    variant: Name = "baseline_think_newline"
    """The prompt format it runs in."""
    subset_name: Name = "mlp_late_cluster"
    """A subset of the subset sweep, or `best` for the arm picked from that sweep."""
    scales: tuple[Number, ...] = Field(default=(0.0, 0.25, 0.5, 0.75, 0.9), min_length=1)
    """Factors on the components' outputs."""

    @field_validator("scales")
    @classmethod
    def _distinct(cls, scales: tuple[Number, ...]) -> tuple[Number, ...]:
        if len(set(scales)) < len(scales):
            raise ValueError("scales must differ")
        return scales


class ContinuationConfig(Section):
    """The intervention at the onset step alone."""

    enabled: bool = True
    """Whether Phase 2 runs it."""
    variant: Name = "baseline_think_newline"
    """Whose Phase 1 events are used."""
    max_events: PositiveInt = 150
    """How many events, spread over problems."""
    num_continuations: Annotated[int, Field(ge=0)] = 0
    """Continuations sampled from each event and scale, to see whether an onset comes a sentence later."""
    continuation_tokens: PositiveInt = 24
    """Length of those continuations."""
    subset_name: Name = "mlp_27_only"
    """A subset of the subset sweep."""
    scales: tuple[Number, ...] = Field(default=(0.0, 0.5, 0.9), min_length=1)
    """Factors on the components' outputs."""


class SearchConfig(Section):
    """The search beyond the named subsets (`backtracking phase2-search`)."""

    enabled: bool = False
    """Whether the pipeline runs it; the command runs it in any case."""
    budget_rows: PositiveInt = 12_000
    """How many completions it may spend."""
    max_examples: PositiveInt = 30
    """Problems per trial, out of the half that arms are picked on."""
    num_samples_per_prompt: PositiveInt = 2
    """Completions per problem and trial."""
    candidates: PositiveInt = 12
    """How many components it chooses among: the scan's most selective ones where there was a scan."""
    scales: tuple[Annotated[Number, Field(ge=0.0, lt=1.0)], ...] = Field(
        default=(0.0, 0.25, 0.5, 0.75, 0.9), min_length=1
    )
    """The factors it chooses among."""
    trials_at_once: PositiveInt = 8
    """Trials that share one run of the engine."""
    sampler: Literal["tpe", "nsga2"] = "tpe"
    """How the next trials are proposed."""


class ConfirmConfig(Section):
    """The picked arm measured on problems that it was not picked on (`backtracking phase2-confirm`)."""

    enabled: bool = True
    """Whether the pipeline runs it."""
    random_draws: PositiveInt = 10
    """Draws of the random control of the picked arm's shape."""
    fixed_prefixes: Annotated[int, Field(ge=0)] = 60
    """Prefixes of held-out rows from which every arm writes on, with a wrong result and without; 0: none."""


class Phase2ReportConfig(Section):
    """The written result of Phase 2."""

    report_path: ReportPath = "reports/backtracking_phase2_report.md"
    """Where, relative to the run folder."""


class Phase2Config(Section):
    """Deconfounded metrics, sweeps of decode-only interventions, and the onset step."""

    max_examples: PositiveInt = 120
    """Problems per arm (the first ones of the prepared dataset)."""
    num_samples_per_prompt: PositiveInt = 4
    """Completions per problem and arm."""
    compute_baseline_only_metrics: bool = True
    """Whether metrics-v2 is part of the pipeline."""
    accuracy_margin: Annotated[Number, Field(gt=0.0, lt=1.0)] = 0.05
    """The drop in accuracy (0.05 = five points) up to which accuracy counts as held."""
    stop_early: bool = False
    """Give an arm of the sweeps no more problems once its verdict is settled, and an arm of the search none
    once it surely is not the best (see docs/sequential.md). Off: every arm gets every problem."""
    decode_only: bool = True
    """Intervene on generated tokens only and leave the prompt untouched."""
    parting_probabilities: bool = False
    """Where an arm's text parts from the baseline's, read how likely both tokens were under both (one pass of
    what the two share, in phase2-specificity)."""
    hook_debug: bool = True
    """Write hook_debug.json, the count of what every hook did."""
    phase1_run_id: Name | None = None
    """The Phase 1 run to build on; --phase1-run-id overrides it, and a run remembers the last one."""
    subset_sweep: SubsetSweepConfig = SubsetSweepConfig()
    """The subset sweep."""
    scale_sweep: ScaleSweepConfig = ScaleSweepConfig()
    """The scale sweep."""
    continuation_ablation: ContinuationConfig = ContinuationConfig()
    """The continuation ablation."""
    search: SearchConfig = SearchConfig()
    """The search for arms beyond the named subsets."""
    confirm: ConfirmConfig = ConfirmConfig()
    """The confirmation on held-out problems."""
    report: Phase2ReportConfig = Phase2ReportConfig()
    """The written result."""

    @property
    def when(self) -> When:
        """Where the arms act: at generated tokens alone, or in the prompt too."""
        return When(phase="decode" if self.decode_only else "all")
