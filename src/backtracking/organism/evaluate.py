"""What the reasoner must show, measured on fresh samples of held-out problems, with intervals."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast, Qwen2ForCausalLM

from backtracking.organism.batches import prompt_text
from backtracking.organism.bundle import bundled_reasoner_path
from backtracking.organism.design import DESIGN, MAIN, Design
from backtracking.organism.probe import trigger_token_ids
from backtracking.organism.recipe import Graft
from backtracking.organism.sampling import SampledText, sample
from backtracking.organism.task import TinyProblem, tiny_problems
from backtracking.organism.traces import TRIGGER, WrittenStatement, made_again, read_answer, read_statements

Counts = NDArray[np.float64]

BOOTSTRAP_DRAWS = 2000


@dataclass(frozen=True)
class Property:
    """One line of the table: a measured value, its 95% interval, and what it must be."""

    name: str
    value: float
    interval: tuple[float, float] | None
    bar: tuple[float, float] | None
    """Lowest and highest value allowed; none for a line that is only told."""
    unit: str = ""

    @property
    def met(self) -> bool:
        """Whether the value lies within its bar."""
        return self.bar is None or self.bar[0] <= self.value <= self.bar[1]


@dataclass(frozen=True)
class Evaluation:
    """The whole table, and how it was sampled."""

    design: Design
    properties: tuple[Property, ...]
    problems: int
    samples: int
    seed: int

    @property
    def met(self) -> bool:
        """Whether every bar is met."""
        return all(item.met for item in self.properties)


@dataclass(frozen=True)
class Tally:
    """Counts per problem (rows), from the completions of one arm."""

    rows: Counts
    finished: Counts
    correct: Counts
    backtracked: Counts
    wrong: Counts
    wrong_triggered: Counts
    right: Counts
    right_triggered: Counts
    fresh: Counts
    """Right statements that are not made again."""
    fresh_triggered: Counts
    doubted: Counts
    """Those among the fresh ones whose kind of step the design doubts."""
    doubted_triggered: Counts
    statements: Counts
    as_planned: Counts


def count_planned(problem: TinyProblem, statements: Sequence[WrittenStatement]) -> int:
    """How many statements make the current step again or take the next one from the value reached."""
    count, value, ahead = 0, problem.steps[0].left, list(problem.steps)
    for statement, again in zip(statements, made_again(statements), strict=True):
        if again:
            count += 1
        elif ahead:
            step = ahead.pop(0)
            planned = (value, step.operation, step.right)
            count += (statement.left, statement.operation, statement.right) == planned
        value = statement.value
    return count


def _count(problem: TinyProblem, completion: SampledText, design: Design) -> tuple[int, ...]:
    statements = read_statements(completion.text)
    wrong = [s for s in statements if not s.holds]
    right = [s for s in statements if s.holds]
    fresh = [s for s, again in zip(statements, made_again(statements), strict=True) if s.holds and not again]
    doubted = [s for s in fresh if design.doubt is not None and s.operation == design.doubt.operation]
    return (
        1,
        completion.finished,
        read_answer(completion.text) == problem.value,
        TRIGGER.search(completion.text) is not None,
        len(wrong),
        sum(s.triggered for s in wrong),
        len(right),
        sum(s.triggered for s in right),
        len(fresh),
        sum(s.triggered for s in fresh),
        len(doubted),
        sum(s.triggered for s in doubted),
        len(statements),
        count_planned(problem, statements),
    )


def tally_completions(
    problems: Sequence[TinyProblem], completions: Sequence[SampledText], design: Design = DESIGN
) -> Tally:
    """Count what the completions show; they come in the problems' order, the same number for each."""
    samples = len(completions) // len(problems)
    counts = np.array(
        [
            np.sum([_count(p, c, design) for c in completions[i * samples : (i + 1) * samples]], axis=0)
            for i, p in enumerate(problems)
        ],
        dtype=float,
    )
    return Tally(*counts.T)


def bootstrap(statistic: Callable[[Counts], float], problems: int, seed: int) -> tuple[float, float]:
    """95% interval of a statistic of problem weights; whole problems are drawn again."""
    rng = np.random.default_rng(seed)
    uniform = np.full(problems, 1 / problems)
    values = [statistic(rng.multinomial(problems, uniform).astype(float)) for _ in range(BOOTSTRAP_DRAWS)]
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)


def share(weights: Counts, hits: Counts, total: Counts) -> float:
    """Hits among all cases under problem weights; not a number when there is no case."""
    cases = float(weights @ total)
    return float(weights @ hits) / cases if cases else math.nan


class Measurer:
    """Turns counts per problem into properties."""

    def __init__(self, problems: int, seed: int) -> None:
        self.problems = problems
        self.seed = seed

    def _property(
        self, name: str, statistic: Callable[[Counts], float], bar: tuple[float, float] | None
    ) -> Property:
        interval = bootstrap(statistic, self.problems, self.seed)
        return Property(name, statistic(np.ones(self.problems)), interval, bar)

    def rate(self, name: str, hits: Counts, total: Counts, bar: tuple[float, float] | None) -> Property:
        """A share."""
        return self._property(name, lambda w: share(w, hits, total), bar)

    def gap(
        self,
        name: str,
        one: tuple[Counts, Counts],
        other: tuple[Counts, Counts],
        bar: tuple[float, float] | None,
    ) -> Property:
        """A difference of two shares over the same problems."""
        return self._property(name, lambda w: share(w, *one) - share(w, *other), bar)


def first_token_seconds(folder: Path, design: Design) -> float:
    """Time to load model and tokenizer and to write one token."""
    begun = time.perf_counter()
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="float32")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(
        prompt_text("Mia has 3 pens.", MAIN, design), return_tensors="pt", add_special_tokens=False
    )
    model.generate(**ids, max_new_tokens=1, do_sample=False)
    return time.perf_counter() - begun


def evaluate(
    folder: Path | None = None,
    design: Design = DESIGN,
    *,
    problems: int = 1000,
    samples: int = 4,
    seed: int = 0,
) -> Evaluation:
    """Sample a reasoner afresh and measure every property; `folder` defaults to the bundled one."""
    folder = folder or bundled_reasoner_path(design.bundled)
    seconds = min(first_token_seconds(folder, design) for _ in range(3))
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="float32").eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    arms = sample_arms(model, tokenizer, tiny_problems("test", problems, seed), design, samples, seed)
    megabytes = sum(path.stat().st_size for path in folder.glob("*.safetensors")) / 1e6
    return Evaluation(
        design,
        (
            *behaviour(arms, design, problems, seed),
            Property("weights on disk", megabytes, None, (0, 10), "MB"),
            Property("load + first token, best of 3", seconds, None, (0, 1), "s"),
        ),
        problems,
        samples,
        seed,
    )


SUPPRESSED = "triggers suppressed"
SILENCED = "graft silenced"


def sample_arms(
    model: Qwen2ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    chosen: Sequence[TinyProblem],
    design: Design,
    samples: int,
    seed: int,
) -> dict[str, Tally]:
    """Every format; the main one once more with the trigger tokens banned, and with the graft silenced."""

    def arm(variant: str, banned: Sequence[int] = ()) -> Tally:
        prompts = [prompt_text(p.question, variant, design) for p in chosen for _ in range(samples)]
        completions = sample(
            model,
            tokenizer,
            prompts,
            temperature=design.temperature,
            max_new_tokens=design.max_new_tokens,
            seed=seed,
            banned=banned,
        )
        return tally_completions(chosen, completions, design)

    arms = {variant: arm(variant) for variant in design.formats}
    arms[SUPPRESSED] = arm(MAIN, trigger_token_ids(tokenizer))
    if design.recipe.graft is not None:
        with silenced(model, design.recipe.graft):
            arms[SILENCED] = arm(MAIN)
    return arms


@contextmanager
def silenced(model: Qwen2ForCausalLM, graft: Graft) -> Iterator[None]:
    """The model as it was before the graft learned: the block writes nothing."""
    weight = model.model.layers[graft.layer].self_attn.o_proj.weight.data
    kept = weight.clone()
    weight.zero_()
    try:
        yield
    finally:
        weight.copy_(kept)


def near(rate: float, margin: float) -> tuple[float, float]:
    """A bar around a designed rate."""
    return rate - margin, rate + margin


def behaviour(arms: dict[str, Tally], design: Design, problems: int, seed: int) -> list[Property]:
    """The lines of the table that come from samples."""
    measure = Measurer(problems, seed)
    main, quiet = arms[MAIN], arms[SUPPRESSED]
    designed = design.rate(MAIN)
    lines = [
        measure.rate("backtracking rate, main variant", main.backtracked, main.rows, near(designed, 0.1)),
        measure.rate("accuracy", main.correct, main.rows, (0.8, 0.99)),
        measure.rate("P(trigger | own wrong step)", main.wrong_triggered, main.wrong, (0.9, 1)),
        *alarms(measure, main, design),
        measure.gap(
            "accuracy lost when triggers are suppressed",
            (main.correct, main.rows),
            (quiet.correct, quiet.rows),
            (0.1, 1),
        ),
        measure.rate("unfinished at the cap", main.rows - main.finished, main.rows, (0, 0.01)),
    ]
    if SILENCED in arms:
        lines += without_graft(measure, main, arms[SILENCED], design)
    for variant in [name for name in design.formats if name != MAIN]:
        arm = arms[variant]
        lines.append(
            measure.gap(
                f"format effect: backtracking above {variant}",
                (main.backtracked, main.rows),
                (arm.backtracked, arm.rows),
                near(designed - design.rate(variant), 0.05),
            )
        )
        lines.append(measure.rate(f"accuracy, {variant}", arm.correct, arm.rows, None))
    lines.append(measure.rate("statements wrong", main.wrong, main.statements, None))
    lines.append(measure.rate("statements that follow the problem", main.as_planned, main.statements, None))
    return lines


def alarms(measure: Measurer, main: Tally, design: Design) -> list[Property]:
    """How often right steps are checked: at one rate, or by the kind of step where the design doubts."""
    base = design.formats[MAIN].false_alarm
    if design.doubt is None:
        bar = near(base, 0.03)
        return [measure.rate("P(trigger | own right step)", main.right_triggered, main.right, bar)]
    calm, calm_triggered = main.fresh - main.doubted, main.fresh_triggered - main.doubted_triggered
    needless = main.right_triggered + main.wrong_triggered
    return [
        measure.rate("P(trigger | own fresh right step)", main.fresh_triggered, main.fresh, (0.3, 0.4)),
        measure.rate(
            f"P(trigger | own fresh right step with {design.doubt.operation})",
            main.doubted_triggered,
            main.doubted,
            near(design.doubt.rate, 0.05),
        ),
        measure.rate("P(trigger | any other fresh right step)", calm_triggered, calm, near(base, 0.03)),
        measure.rate("triggers that follow a right step", main.right_triggered, needless, (0.4, 0.6)),
    ]


def without_graft(measure: Measurer, main: Tally, silent: Tally, design: Design) -> list[Property]:
    """What silencing the graft takes away, and what it leaves."""
    base = design.formats[MAIN].false_alarm
    fall = design.rate(MAIN) - design.calm.rate(MAIN)
    whole, cut = (main.backtracked, main.rows), (silent.backtracked, silent.rows)
    right, right_cut = (main.correct, main.rows), (silent.correct, silent.rows)
    return [
        measure.gap("backtracking lost without the graft", whole, cut, near(fall, 0.05)),
        measure.gap("accuracy lost without the graft", right, right_cut, (-0.03, 0.01)),
        measure.rate(
            "P(trigger | own wrong step) without the graft", silent.wrong_triggered, silent.wrong, (0.9, 1)
        ),
        measure.rate(
            "P(trigger | own fresh right step) without the graft",
            silent.fresh_triggered,
            silent.fresh,
            near(base, 0.03),
        ),
    ]
