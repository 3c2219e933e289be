"""What a run is asked to do: every section and key of a config file, with its meaning."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from backtracking.config.base import Name, Number, PositiveInt, ReportPath, Section, Seed
from backtracking.config.generation import GenerationConfig
from backtracking.config.onsets import StudiedOnsets, TurnSection
from backtracking.config.phase2 import BEST_SUBSET, Phase2Config
from backtracking.config.workers import RunConfig
from backtracking.interventions import scale_factor

NO_MODEL = "none"
IMPORTED = "imported"
"""The one prompt format of traces that were written elsewhere."""


class ModelConfig(Section):
    """The model under study."""

    hf_id: str = "bundled"
    """Hugging Face id, a local folder, `bundled` or `bundled:doubter` for a reasoner that ships with the
    package, or `none` for imported traces without a tokenizer."""
    revision: str | None = None
    """Branch, tag or commit on the hub; the resolved commit is recorded in the run."""
    trust_remote_code: bool = False
    """Allow code from the model's repository to run. Leave false unless you have read that code."""
    torch_dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the weights; `auto` takes the checkpoint's own on a GPU and float32 on a CPU."""
    device: str = Field(default="auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
    """`auto` picks cuda, then mps, then cpu."""
    attn_implementation: Literal["eager", "sdpa", "flash_attention_2"] | None = None
    """Attention kernel of the reference path; null leaves the choice to transformers."""
    use_cache: bool = True
    """Keep keys and values between steps (reference path)."""
    gguf_file: str | None = None
    """Name of a GGUF file inside `hf_id` to load instead of safetensors (extra: `gguf`)."""

    @model_validator(mode="before")
    @classmethod
    def _accept_dtype(cls, data: Any) -> Any:
        if isinstance(data, dict) and "dtype" in data:
            if "torch_dtype" in data:
                raise ValueError("give either `dtype` or `torch_dtype`, not both")
            data = {("torch_dtype" if key == "dtype" else key): value for key, value in data.items()}
        return data

    @field_validator("torch_dtype", mode="before")
    @classmethod
    def _strip_torch_prefix(cls, value: Any) -> Any:
        return value.removeprefix("torch.") if isinstance(value, str) else value


MADE_HERE = "tiny_arithmetic"
"""The dataset that is made on the spot."""


class DatasetConfig(Section):
    """The problems."""

    name: str = "gsm8k"
    """`gsm8k`, `tiny_arithmetic` (made on the spot for the bundled reasoner), or any hub dataset id
    with `question` and `answer` columns, or others that `columns` names."""
    hub_config: str | None = None
    """The hub dataset's configuration; null means `main` for gsm8k and none otherwise."""
    path: str | None = None
    """A local JSONL, JSON, CSV or Parquet file, or a folder written by `datasets`; spares the network."""
    split: str = "test"
    """The split to read."""
    columns: dict[Literal["id", "question", "answer", "answer_value"], str] | None = None
    """What the dataset calls its columns where they have other names, e.g.
    `{question: problem, answer: solution}`; null means by these names. `answer` is a number or ends in
    `#### N`; a column with any other bare value is `answer_value`."""
    max_examples: PositiveInt = 200
    """How many problems to study."""
    shuffle: bool = True
    """Draw the problems at random instead of taking the first ones."""
    seed: Seed = 0
    """Seeds the draw."""
    save_path: str | None = None
    """A .jsonl file that the prepared problems are written to; null keeps them in the run folder."""

    @field_validator("columns")
    @classmethod
    def _gives_each_column_once(cls, columns: dict[str, str] | None) -> dict[str, str] | None:
        role_of: dict[str, str] = {}
        for role, column in (columns or {}).items():
            if column in role_of:
                raise ValueError(f"{column!r} is given for both {role_of[column]} and {role}")
            role_of[column] = role
        return columns

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.columns and self.path is None and self.name == MADE_HERE:
            raise ValueError(f"columns name those of a dataset, but {MADE_HERE} is made on the spot")
        if self.save_path is not None and not self.save_path.endswith(".jsonl"):
            raise ValueError("save_path must name a .jsonl file")
        if self.path and self.save_path and Path(self.path).resolve() == Path(self.save_path).resolve():
            raise ValueError("save_path is path: the prepared problems would replace their source")
        return self


class FormattingVariant(Section):
    """One way of opening the assistant's turn."""

    name: Name
    """How commands and tables call it."""
    think_open: str = ""
    """Text that the assistant's turn is forced to begin with."""
    think_close: str = ""
    """Text that ends the reasoning; empty when there is no such mark."""


class PromptingConfig(Section):
    """How a problem becomes a prompt."""

    system_prompt: str | None = None
    """Text of a system turn; null for none."""
    template: str = "{question}"
    """The user's turn; must contain {question}."""
    use_chat_template: bool = True
    """Wrap the turn in the tokenizer's chat template; false for base models."""
    formatting_variants: tuple[FormattingVariant, ...] = Field(
        default=(
            FormattingVariant(name="baseline_think_newline", think_open="<think>\n", think_close="</think>"),
            FormattingVariant(name="think_same_line", think_open="<think> ", think_close="</think>"),
            FormattingVariant(name="no_think_tags"),
        ),
        min_length=1,
    )
    """The ways of opening the assistant's turn; the first is the main one."""

    @field_validator("template")
    @classmethod
    def _has_question(cls, value: str) -> str:
        if "{question}" not in value:
            raise ValueError("must contain {question}, where the problem's text goes")
        return value

    @field_validator("formatting_variants")
    @classmethod
    def _distinct(cls, variants: tuple[FormattingVariant, ...]) -> tuple[FormattingVariant, ...]:
        names = [variant.name for variant in variants]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"names must differ; repeated: {', '.join(repeated)}")
        opens: dict[str, str] = {}
        for variant in variants:
            if variant.think_open in opens:
                raise ValueError(
                    f"{opens[variant.think_open]!r} and {variant.name!r} open the turn in the same way "
                    f"({variant.think_open!r}), so they would be the same prompt"
                )
            opens[variant.think_open] = variant.name
        return variants

    @property
    def variant_names(self) -> tuple[str, ...]:
        """The prompt variants in the order of the config."""
        return tuple(variant.name for variant in self.formatting_variants)


_PRIORITY = ("but wait", "wait", "hold on", "actually")


class DetectionConfig(TurnSection):
    """What counts as backtracking, and as an answer."""

    triggers_strict: tuple[str, ...] = Field(
        default=("wait", "hold on", "actually", "but wait"), min_length=1
    )
    """Phrases that mark backtracking beyond doubt."""
    triggers_relaxed: tuple[str, ...] = (
        "let me check",
        "let me double-check",
        "let me re-check",
        "let me recheck",
        "let me reconsider",
        "on second thought",
        "hmm",
        "that's not right",
        "i made a mistake",
        "alternatively",
    )
    """Weaker phrases, counted in addition to the strict ones for the relaxed rate."""
    onset_priority: tuple[str, ...] = _PRIORITY
    """Which phrase names the onset when several begin at the same place."""
    position_policy: Literal["clause_start", "anywhere"] = "clause_start"
    """Where a phrase must stand to count: at the start of a clause, or anywhere."""
    answer_regex: str | None = None
    """Overrides answer extraction; its first group (or whole match) is the answer, last match wins."""

    @field_validator("triggers_strict", "triggers_relaxed", "onset_priority")
    @classmethod
    def _real_phrases(cls, phrases: tuple[str, ...]) -> tuple[str, ...]:
        if any(not phrase.strip() for phrase in phrases):
            raise ValueError("a phrase is empty")
        return phrases

    @model_validator(mode="after")
    def _priority_names_triggers(self) -> Self:
        """The default order may stay when other triggers are chosen."""
        known = {phrase.lower() for phrase in (*self.triggers_strict, *self.triggers_relaxed, *_PRIORITY)}
        if unknown := [phrase for phrase in self.onset_priority if phrase.lower() not in known]:
            raise ValueError(f"onset_priority: no trigger is called {', '.join(map(repr, unknown))}")
        return self

    @field_validator("answer_regex")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                re.compile(value)
            except re.error as error:
                raise ValueError(f"not a regular expression: {error}") from error
        return value


class AnalysisConfig(Section):
    """Phase 1's look inside the model."""

    problems: Literal["search_half", "all"] = "search_half"
    """Which problems the analyses look into. They fit directions and select components, and Phase 2 confirms
    on no problem that was looked into: `all` leaves it few."""
    max_events: PositiveInt = 120
    """Backtracking events analysed, spread over problems."""
    control_samples: Annotated[int, Field(ge=0)] = 120
    """Matched positions without an onset."""
    logit_lens_token: str | None = None
    """A fixed token to follow through the layers; null follows each event's own onset token."""
    onsets: StudiedOnsets = "strict"
    """Which onsets every analysis is about."""
    stability: Literal["all", "stable"] = "all"
    """`stable` keeps to onsets that come again when their prefix is sampled again (`onset-stability`)."""
    stability_events: PositiveInt = 40
    """How many onsets, spread over problems, and matched positions without one are sampled again."""
    stability_samples: PositiveInt = 10
    """Continuations from just before each of them."""
    stability_window: PositiveInt = 8
    """Within how many tokens an onset must begin to count as come again."""
    stable_share: Annotated[Number, Field(gt=0.0, le=1.0)] = 0.5
    """The share of continuations with an onset from which on an onset is stable."""
    ablation_components: tuple[Literal["attn", "mlp"], ...] = Field(default=("attn", "mlp"), min_length=1)
    """Which kinds of component the scan removes."""
    ablation_layers: Literal["all"] | tuple[Annotated[int, Field(ge=0)], ...] = "all"
    """Which layers the scan covers."""
    topk_layers_for_generation: PositiveInt = 6
    """At most so many of the components of each kind that stand out are ablated in regeneration."""
    max_injections: PositiveInt = 60
    """Right baseline rows in which error injection rewrites a step."""
    lens: Literal["logit", "tuned"] = "logit"
    """`tuned` fits an affine translator per layer on the run's own baseline rows before reading."""
    contrast_words: tuple[str, ...] = ("so", "then", "now")
    """Words that continue without turning back; the onset is compared with them."""
    selection: Literal["selectivity", "effect"] = "selectivity"
    """What ranks components: log-odds of the triggers lost per nat of damage elsewhere, or the
    onset's logit alone."""
    collateral_floor: Annotated[Number, Field(gt=0.0)] = 0.02
    """Nats added to the damage in `selectivity`, so that components that do nothing do not lead."""
    max_collateral: Annotated[Number, Field(gt=0.0)] = 1.0
    """Components whose ablation costs more nats than this at controls are never selected by `selectivity`."""
    ablation_modes: tuple[Literal["zero", "scale", "mean", "resample"], ...] = Field(
        default=("zero", "mean"), min_length=1
    )
    """How the scan removes a component; the first decides, the others are reported beside it."""
    ablation_scale: Number = 0.5
    """The factor of mode `scale`."""
    batch_tokens: PositiveInt = 16384
    """Upper bound on the tokens of one forward pass; bounds memory."""


class AblationGenerationConfig(Section):
    """Regeneration with the selected components ablated."""

    enabled: bool = True
    """Whether Phase 1 regenerates under ablation at all."""
    mode: Literal["as_selected", "zero", "scale", "mean"] = "as_selected"
    """What is done to a component's output: `as_selected` is the scan's own way, the first of
    `analysis.ablation_modes` (`resample` cannot be done while text is written: it becomes `zero`)."""
    scale: Number = 0.0
    """The factor for mode `scale`; 0 equals zeroing, 1 changes nothing. Under `as_selected` any but 0 means
    mode `scale`."""
    random_control_seed: Seed = 1234
    """Seeds the draw of the random control's components."""
    random_draws: PositiveInt = 19
    """How many different random sets make up the random control (all, if they are fewer): as many components
    as the targeted set has, which together cost about as much elsewhere. The completions are spread over
    them. From 19 sets on, the lowest of all has p = 0.05."""
    fixed_prefixes: Annotated[int, Field(ge=0)] = 60
    """Prefixes of baseline rows from which every condition and random set writes on, with a wrong result and
    without; 0 leaves fixed-prefixes out of the pipeline."""

    @property
    def effective_scale(self) -> float:
        """The factor on a component's output: removing it whole is factor 0."""
        factor = scale_factor(self.mode, self.scale)
        return self.scale if factor is None else factor


class ReportConfig(Section):
    """The written result."""

    make_report: bool = True
    """Whether the pipeline ends with a report."""
    report_path: ReportPath = "reports/backtracking_state_transition_report.md"
    """Where, relative to the run folder."""


class ExperimentConfig(Section):
    """A whole config file."""

    run: RunConfig = RunConfig()
    """The run."""
    model: ModelConfig = ModelConfig()
    """The model."""
    dataset: DatasetConfig = DatasetConfig()
    """The problems."""
    prompting: PromptingConfig = PromptingConfig()
    """The prompts."""
    generation: GenerationConfig = GenerationConfig()
    """The sampling."""
    detection: DetectionConfig = DetectionConfig()
    """The detector."""
    analysis: AnalysisConfig = AnalysisConfig()
    """The analyses of Phase 1."""
    ablation_generation: AblationGenerationConfig = AblationGenerationConfig()
    """The ablated regeneration of Phase 1."""
    report: ReportConfig = ReportConfig()
    """The report of Phase 1."""
    tracking: Literal["none", "wandb", "trackio"] = "none"
    """Who is told what each stage found: numbers, tables and figures. Without a network, or a key for
    wandb, it is kept on disk."""
    phase2: Phase2Config | None = None
    """Phase 2; absent in a Phase 1 config."""

    @property
    def is_imported(self) -> bool:
        """Whether the run's completions are traces that were written elsewhere."""
        return self.prompting.variant_names == (IMPORTED,)

    @model_validator(mode="after")
    def _phase2_names_exist(self) -> Self:
        phase2 = self.phase2
        if phase2 is None:
            return self
        known = self.prompting.variant_names
        subsets = tuple(phase2.subset_sweep.subsets)
        problems = []
        for section in ("subset_sweep", "scale_sweep", "continuation_ablation"):
            part = getattr(phase2, section)
            if not part.enabled:
                continue
            if part.variant not in known:
                problems.append(
                    f"phase2.{section}.variant: no variant {part.variant!r}; there are {', '.join(known)}"
                )
            may_be_best = section == "scale_sweep" and part.subset_name == BEST_SUBSET
            if section != "subset_sweep" and part.subset_name not in subsets and not may_be_best:
                listed = ", ".join(subsets) or "none (phase2.subset_sweep.subsets is empty)"
                problems.append(
                    f"phase2.{section}.subset_name: no subset {part.subset_name!r}; there are {listed}"
                )
        if problems:
            raise ValueError("\n".join(problems))
        return self
