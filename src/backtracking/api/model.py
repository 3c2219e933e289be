"""A language model under study: it generates rows under arms, and analyses them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from backtracking.api.arms import ArmRecipe, as_arms, baseline
from backtracking.api.display import facts_html
from backtracking.api.problems import Asked, asked_about
from backtracking.api.results import Directions, Lens, Scan
from backtracking.api.rows import DetectorLike, RowReading, Rows
from backtracking.api.settings import as_section
from backtracking.config.base import PositiveInt
from backtracking.config.generation import SamplingConfig
from backtracking.config.schema import (
    AnalysisConfig,
    DetectionConfig,
    ModelConfig,
    PromptingConfig,
)
from backtracking.errors import UserError
from backtracking.interventions import Arm
from backtracking.run.bundled import BUNDLED
from backtracking.run.progress import Reporter, reporter
from backtracking.run.records import GenerationRecord, Problem

if TYPE_CHECKING:
    from torch import Tensor

    from backtracking.engine.rows import Prompt, Row
    from backtracking.measurements.controls import Event, Reading
    from backtracking.mechanism.study import Bench, Study
    from backtracking.model.loading import LoadedModel

_CALLED = {"num_samples_per_prompt": "samples"}
"""What `generate` calls a key of the config."""


def load(
    model: Any = "bundled",
    tokenizer: Any = None,
    *,
    prompting: PromptingConfig | Mapping[str, Any] | None = None,
    detection: DetectionConfig | Mapping[str, Any] | None = None,
    progress: bool = True,
    **options: Any,
) -> "LanguageModel":
    """A model to study: `"bundled"`, a Hugging Face id, a folder, or a model in memory with its tokenizer.

    `prompting` and `detection` take the keys of the config's sections of these names; `options` take those
    of its `model` section (`device`, `torch_dtype`, `revision`, …). A tokenizer without a chat template is
    prompted without one. Where the model's blocks cannot be mapped for interventions, that is said here.
    """
    from backtracking.model.loading import LoadedModel, load_model

    if isinstance(model, str | Path):
        if tokenizer is not None:
            raise UserError("a tokenizer goes with a model in memory", f"{model!r} comes with its own")
        asked = as_section(ModelConfig, {"hf_id": str(model), **options}, "bt.load")
        loaded = load_model(asked)
    else:
        if not callable(model):
            raise UserError(
                f"{model!r} is not a model",
                next_step='give "bundled", a hub id, a folder, or a model in memory with its tokenizer',
            )
        has_tokenizer = callable(tokenizer) and hasattr(tokenizer, "chat_template")
        if not has_tokenizer or options:
            raise UserError(
                "a model in memory comes with its tokenizer, and with its own device and number format",
                next_step="bt.load(model, tokenizer)",
            )
        loaded = LoadedModel.wrap(model, tokenizer, type(model).__name__)
    start = PromptingConfig(use_chat_template=bool(loaded.tokenizer.chat_template))
    return LanguageModel(
        loaded,
        as_section(PromptingConfig, prompting, "prompting", start),
        as_section(DetectionConfig, detection, "detection"),
        progress=progress,
    )


class Sampling(SamplingConfig):
    """How a model samples a completion; how many it samples is asked of `generate`."""

    num_samples_per_prompt: PositiveInt = Field(default=1, repr=False, exclude=True)


class LanguageModel:
    """A loaded model with how it is prompted and what counts as backtracking.

    It holds no results: `generate` hands out rows, and the analyses take rows.
    """

    def __init__(
        self,
        loaded: "LoadedModel",
        prompting: PromptingConfig,
        detection: DetectionConfig,
        *,
        progress: bool = True,
    ) -> None:
        self.loaded = loaded
        self.prompting = prompting
        self.detection = detection
        self.progress = progress

    @property
    def name(self) -> str:
        """What it was loaded as."""
        return self.loaded.name

    @property
    def tokenizer(self) -> Any:
        """Its Hugging Face tokenizer."""
        return self.loaded.tokenizer

    @property
    def n_layers(self) -> int:
        """How many decoder layers it has."""
        return self.loaded.n_layers

    @property
    def sampling(self) -> Sampling:
        """How it samples unless told otherwise: as its authors say in its generation config."""
        return default_sampling(self.loaded)

    def prompt(self, question: str, variant: str | None = None) -> str:
        """The exact text that the model reads for a question."""
        if not isinstance(question, str):
            raise UserError(f"a question is a text, not {question!r}", next_step='lm.prompt("2 + 3 = ?")')
        return self._prompt("prompt", question, self._variant(variant)).text

    def generate(
        self,
        problems: Asked,
        arms: ArmRecipe | Iterable[ArmRecipe] = (baseline,),
        *,
        samples: int = 8,
        seed: int = 0,
        variant: str | None = None,
        detector: DetectorLike | None = None,
        batch_size: int | Literal["auto"] = "auto",
        **sampling: Any,
    ) -> Rows:
        """Completions of every problem under every arm, all arms side by side in each batch.

        A text is a question, a list of texts several, without gold answers; `bt.problems` reads datasets
        and files.
        Samples of the same problem and number share their randomness over the arms, so arms are paired. A
        row's text depends on the seed alone, not on the batch. `sampling` takes keys of the config's
        `generation` section: `max_new_tokens`, `temperature`, `top_p`, `top_k`, `do_sample`, ….
        """
        from backtracking.engine.rows import Row

        if not isinstance(seed, int):
            raise UserError(f"seed: {seed!r} is not a whole number")
        given = {"num_samples_per_prompt": samples, "batch_size": batch_size} | sampling
        asked = as_section(SamplingConfig, given, "generate", self.sampling, _CALLED)
        recipes = as_arms(arms)
        chosen, asked_problems = self._variant(variant), asked_about(problems)
        fitted = self._fit(recipes, seed)
        vectors = self._vectors(recipes, fitted, seed)
        rows = [
            Row(prompt=prompt, sample_id=sample, condition=arm.for_row(place, sample))
            for place, prompt in enumerate(self._prompt(p.id, p.question, chosen) for p in asked_problems)
            for sample in range(asked.num_samples_per_prompt)
            for arm in fitted
        ]
        phrases = self._onset_phrases(recipes)
        records = self._complete(rows, asked, seed, vectors=vectors, onset_phrases=phrases)
        order = {(row.prompt.example_id, row.sample_id, row.condition.name): k for k, row in enumerate(rows)}
        records.sort(key=lambda record: order[record.example_id, record.sample_id, record.condition])
        return Rows(records, self._reading(asked_problems).with_detector(detector))

    def _complete(
        self, rows: "Sequence[Row]", asked: SamplingConfig, seed: int, **options: Any
    ) -> list[GenerationRecord]:
        """The engine's rows as they finish, and the check of what its hooks did."""
        from backtracking.engine.generate import SamplingParams, generate_rows
        from backtracking.model.ledger import Ledger

        ledger = Ledger()
        with self._reporter.bar("generate", len(rows)) as bar:
            records = list(
                generate_rows(
                    self.loaded,
                    rows,
                    SamplingParams.from_config(asked),
                    seed=seed,
                    slots=asked.batch_size,
                    engine=asked.engine,
                    ledger=ledger,
                    progress=bar,
                    **options,
                )
            )
        ledger.verify()
        return records

    def scan(self, rows: Rows, *, seed: int = 0, **analysis: Any) -> Scan:
        """Which blocks write the onset: each is removed alone where it is decided, and at matched controls.

        `analysis` takes keys of the config's `analysis` section (`max_events`, `ablation_modes`, …).
        """
        from backtracking.mechanism.analyses import scan_blocks

        bench = self._bench(rows, seed, analysis)
        return Scan(scan_blocks(bench, self._study(bench, rows).weighed(bench)))

    def lens(self, rows: Rows, *, seed: int = 0, **analysis: Any) -> Lens:
        """From which layer on the onset can be read, beside matched controls; `lens="tuned"` fits one."""
        from backtracking.mechanism.analyses import through_the_lens

        bench = self._bench(rows, seed, analysis)
        return Lens(through_the_lens(bench, self._study(bench, rows).weighed(bench), rows))

    def direction(self, rows: Rows, *, seed: int = 0, **analysis: Any) -> Directions:
        """The direction of every layer from matched controls to onsets, tested on held-out problems."""
        from backtracking.mechanism.analyses import find_directions

        bench = self._bench(rows, seed, analysis)
        return Directions(find_directions(bench, self._study(bench, rows)))

    def __repr__(self) -> str:
        loaded = self.loaded
        shape = f"{loaded.n_layers} layers, {loaded.n_heads} heads, width {loaded.hidden_size}"
        kind = str(loaded.dtype).removeprefix("torch.")
        return f"LanguageModel({loaded.name!r}, {shape}, {kind} on {loaded.device})"

    def _repr_html_(self) -> str:
        sampled = self.sampling.model_dump(include={"temperature", "top_p", "top_k", "max_new_tokens"})
        facts = {
            "prompt variants": self.prompting.variant_names,
            "counted as onsets": self.detection.triggers_strict,
            "sampling": [f"{key} {value}" for key, value in sampled.items()],
        }
        return facts_html(repr(self), facts)

    @property
    def _reporter(self) -> Reporter:
        return reporter(quiet=not self.progress)

    def _variant(self, name: str | None) -> str:
        names = self.prompting.variant_names
        if name is not None and name not in names:
            raise UserError(f"unknown variant {name!r}", next_step=f"choose one of: {', '.join(names)}")
        return name or names[0]

    def _prompt(self, example_id: str, question: str, variant: str) -> "Prompt":
        from backtracking.engine.rows import Prompt
        from backtracking.text.prompts import render_prompt

        text, ids = render_prompt(question, self.prompting, variant, self.tokenizer)
        return Prompt(example_id=example_id, variant=variant, text=text, ids=tuple(ids))

    def _reading(self, problems: Sequence[Problem]) -> RowReading:
        return RowReading(tuple(problems), lambda: self.tokenizer, self.prompting, self.detection)

    def _fit(self, arms: Sequence[ArmRecipe], seed: int) -> list[Arm]:
        from backtracking.model.random_control import limits

        shape = self.loaded.shape
        for arm in arms:
            if arm.draws and (note := limits(arm.interventions, arm.draws, shape)):
                self._reporter.say(f"  note: {arm.name}: {note}")
        return [arm.fit(shape, seed, self._suppressed(arm)) for arm in arms]

    def _vectors(self, recipes: Sequence[ArmRecipe], arms: Sequence[Arm], seed: int) -> "dict[str, Tensor]":
        """The directions that arms bring along, and the means that they ask for."""
        from backtracking.mechanism.vectors import resolve_vectors

        saved = {name: vector for arm in recipes for name, vector in arm.vectors.items()}
        return resolve_vectors(arms, self.loaded, saved, self._averaged_over(recipes, seed), seed=seed)

    def _averaged_over(self, recipes: Sequence[ArmRecipe], seed: int) -> "list[Reading]":
        """The positions over which means are taken: the matched controls of the rows that arms name."""
        sources = [arm.over for arm in recipes if arm.over is not None]
        if not sources:
            return []
        if any(rows is not sources[0] for rows in sources):
            raise UserError(
                "these arms take their means over different rows",
                next_step="give every bt.mean the same rows",
            )
        events = self._events(self._bench(sources[0], seed, {}), sources[0])
        positions = [event.controls["matched_row"] for event in events if "matched_row" in event.controls]
        if not positions:
            raise UserError(
                "the rows hold no matched control to take a mean over",
                "a control is a position in a baseline completion of like difficulty without an onset",
                "generate more rows",
            )
        return positions

    def _suppressed(self, arm: ArmRecipe) -> frozenset[str]:
        if arm.suppressed is None:
            return frozenset()
        return frozenset(arm.suppressed or self.detection.triggers_strict)

    def _onset_phrases(self, arms: Sequence[ArmRecipe]) -> tuple[tuple[int, ...], ...]:
        """How the engine recognises an onset, where an arm waits for one."""
        from backtracking.text.onsets.triggers import Triggers

        if not any(one.when.onset != "any" for arm in arms for one in arm.interventions):
            return ()
        return Triggers.of(self.tokenizer, self.detection.triggers_strict).phrases

    def _bench(self, rows: Rows, seed: int, analysis: Mapping[str, Any]) -> "Bench":
        from backtracking.mechanism.study import Bench
        from backtracking.text.onsets import onset_words

        if not isinstance(rows, Rows):
            raise UserError(f"{rows!r} are not rows", next_step="give what lm.generate or run.rows gave")
        config = as_section(AnalysisConfig, {"problems": "all", **analysis}, "analysis")
        triggers = onset_words(rows.reading.detection, config.onsets)
        return Bench(self.loaded, config, triggers, seed, self._reporter)

    def _study(self, bench: "Bench", rows: Rows) -> "Study":
        from backtracking.mechanism.study import Study

        events = self._events(bench, rows)
        return Study.of(rows.variant, events, bench)

    def _events(self, bench: "Bench", rows: Rows) -> "list[Event]":
        """Onsets of the rows' baseline, each with its controls."""
        from backtracking.measurements.controls import draw_events
        from backtracking.measurements.halves import split_problems
        from backtracking.text.tokenization import TokenMap

        if bench.config.stability == "stable":
            raise UserError(
                "stability='stable': rows in memory were not sampled again",
                "only a run knows which of its onsets come again",
                "leave it away, or run `backtracking onset-stability` on a run",
            )
        source = rows.study_rows(bench.config.onsets)
        if bench.config.problems == "search_half":
            halves = split_problems([problem.id for problem in rows.reading.problems])
            source = source.without(halves["confirm"])
        return draw_events(
            source,
            rows.variant,
            max_events=bench.config.max_events,
            controls=bench.config.control_samples,
            seed=bench.seed,
            token_map=TokenMap(self.tokenizer),
        )


def default_sampling(loaded: "LoadedModel") -> Sampling:
    """The model's own generation config where it says how to sample, else the defaults of our config."""
    if loaded.name in BUNDLED:
        from backtracking.organism.design import DESIGNS

        design = DESIGNS[BUNDLED[loaded.name]]
        return Sampling(temperature=design.temperature, top_p=1.0, max_new_tokens=design.max_new_tokens)
    own = getattr(loaded.model, "generation_config", None)
    said = own.to_diff_dict() if own is not None else {}
    given = {key: said[key] for key in ("temperature", "top_p", "top_k") if said.get(key) is not None}
    return as_section(Sampling, given, f"the generation config of {loaded.name}")
