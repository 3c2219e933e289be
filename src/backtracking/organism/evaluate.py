"""What the reasoner must show, measured on fresh samples of held-out problems, with intervals."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast, Qwen2ForCausalLM

from backtracking.organism.batches import prompt_text
from backtracking.organism.bundle import bundled_reasoner_path
from backtracking.organism.design import DESIGN, MAIN
from backtracking.organism.probe import trigger_token_ids
from backtracking.organism.sampling import Completion, sample
from backtracking.organism.task import TinyProblem, tiny_problems
from backtracking.organism.traces import TRIGGER, Statement, read_answer, read_statements

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

    properties: tuple[Property, ...]
    problems: int
    samples: int
    temperature: float
    max_new_tokens: int
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
    statements: Counts
    as_planned: Counts


def count_planned(problem: TinyProblem, statements: Sequence[Statement]) -> int:
    """How many statements make the current step again or take the next one from the value reached."""
    count, previous, ahead = 0, None, list(problem.steps)
    for statement in statements:
        taken = (statement.left, statement.operation, statement.right)
        if previous is not None and taken == (previous.left, previous.operation, previous.right):
            count += 1
        elif ahead:
            step = ahead.pop(0)
            left = step.left if previous is None else previous.value
            count += taken == (left, step.operation, step.right)
        previous = statement
    return count


def _count(problem: TinyProblem, completion: Completion) -> tuple[int, ...]:
    statements = read_statements(completion.text)
    wrong = [s for s in statements if not s.holds]
    right = [s for s in statements if s.holds]
    return (
        1,
        completion.finished,
        read_answer(completion.text) == problem.value,
        TRIGGER.search(completion.text) is not None,
        len(wrong),
        sum(s.triggered for s in wrong),
        len(right),
        sum(s.triggered for s in right),
        len(statements),
        count_planned(problem, statements),
    )


def tally(problems: Sequence[TinyProblem], completions: Sequence[Completion]) -> Tally:
    """Count what the completions show; they come in the problems' order, the same number for each."""
    samples = len(completions) // len(problems)
    counts = np.array(
        [
            np.sum([_count(p, c) for c in completions[i * samples : (i + 1) * samples]], axis=0)
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


def first_token_seconds(folder: Path) -> float:
    """Time to load model and tokenizer and to write one token."""
    begun = time.perf_counter()
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="float32")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(prompt_text("Mia has 3 pens.", MAIN), return_tensors="pt", add_special_tokens=False)
    model.generate(**ids, max_new_tokens=1, do_sample=False)
    return time.perf_counter() - begun


def evaluate(
    folder: Path | None = None,
    *,
    problems: int = 1000,
    samples: int = 4,
    seed: int = 0,
) -> Evaluation:
    """Sample the reasoner afresh and measure every property; `folder` defaults to the bundled one."""
    folder = folder or bundled_reasoner_path()
    seconds = min(first_token_seconds(folder) for _ in range(3))
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="float32").eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    arms = sample_arms(model, tokenizer, tiny_problems("test", problems, seed), samples, seed)
    megabytes = sum(path.stat().st_size for path in folder.glob("*.safetensors")) / 1e6
    return Evaluation(
        (
            *behaviour(arms, problems, seed),
            Property("weights on disk", megabytes, None, (0, 10), "MB"),
            Property("load + first token, best of 3", seconds, None, (0, 1), "s"),
        ),
        problems,
        samples,
        DESIGN.temperature,
        DESIGN.max_new_tokens,
        seed,
    )


SUPPRESSED = "triggers suppressed"


def sample_arms(
    model: Qwen2ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    chosen: Sequence[TinyProblem],
    samples: int,
    seed: int,
) -> dict[str, Tally]:
    """Every format, and the main one once more with the trigger tokens banned."""
    banned = trigger_token_ids(tokenizer)
    arms = {}
    for name, variant, ban in [*((v, v, []) for v in DESIGN.formats), (SUPPRESSED, MAIN, banned)]:
        prompts = [prompt_text(p.question, variant) for p in chosen for _ in range(samples)]
        completions = sample(
            model,
            tokenizer,
            prompts,
            temperature=DESIGN.temperature,
            max_new_tokens=DESIGN.max_new_tokens,
            seed=seed,
            banned=ban,
        )
        arms[name] = tally(chosen, completions)
    return arms


def behaviour(arms: dict[str, Tally], problems: int, seed: int) -> list[Property]:
    """The lines of the table that come from samples."""
    measure = Measurer(problems, seed)
    main, quiet = arms[MAIN], arms[SUPPRESSED]
    alarm = DESIGN.formats[MAIN].false_alarm
    lines = [
        measure.rate("backtracking rate, main variant", main.backtracked, main.rows, (0.5, 0.8)),
        measure.rate("accuracy", main.correct, main.rows, (0.8, 0.97)),
        measure.rate("P(trigger | own wrong step)", main.wrong_triggered, main.wrong, (0.9, 1)),
        measure.rate(
            "P(trigger | own right step)", main.right_triggered, main.right, (alarm - 0.03, alarm + 0.03)
        ),
        measure.gap(
            "accuracy lost when triggers are suppressed",
            (main.correct, main.rows),
            (quiet.correct, quiet.rows),
            (0.1, 1),
        ),
        measure.rate("unfinished at the cap", main.rows - main.finished, main.rows, (0, 0.01)),
    ]
    for variant in DESIGN.formats:
        arm = arms[variant]
        if variant != MAIN:
            designed = DESIGN.rate(MAIN) - DESIGN.rate(variant)
            lines.append(
                measure.gap(
                    f"format effect: backtracking above {variant}",
                    (main.backtracked, main.rows),
                    (arm.backtracked, arm.rows),
                    (designed - 0.05, designed + 0.05),
                )
            )
            lines.append(measure.rate(f"accuracy, {variant}", arm.correct, arm.rows, None))
    lines.append(measure.rate("statements wrong", main.wrong, main.statements, None))
    lines.append(measure.rate("statements that follow the problem", main.as_planned, main.statements, None))
    return lines
