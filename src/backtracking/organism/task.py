"""The synthetic word problems: wordings, numbers, splits, and the truth of every step."""

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal, cast, get_args

from backtracking.errors import UserError
from backtracking.run.records import Problem

Sign = Literal["+", "-", "×"]
ProblemSplit = Literal["train", "test"]

LARGEST = 20
"""No true running value is larger, so that a tiny model can learn all of the arithmetic."""

STEP_COUNTS = {2: 0.3, 3: 0.45, 4: 0.25}
"""How often a problem takes that many steps."""

APPLY: dict[str, Callable[[int, int], int]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "×": lambda left, right: left * right,
}

NAMES = {
    "she": ("Mia", "Anna", "Lucy", "Emma", "Nina", "Rosa", "Sara", "Kate", "Julia", "Olga"),
    "he": ("Tom", "Ben", "Sam", "Leo", "Max", "Jack", "Paul", "Omar", "Luis", "Ivan"),
}
ITEMS = (
    "pens", "books", "apples", "coins", "stamps", "cards", "shells", "marbles",
    "cookies", "stickers", "buttons", "pears", "keys", "balls", "cups", "plums",
)  # fmt: skip
CONTAINERS = ("box", "jar", "bag", "drawer", "basket")


@dataclass(frozen=True)
class SolutionStep:
    """One true statement of the solution: `left operation right = result`."""

    left: int
    operation: Sign
    right: int

    @property
    def result(self) -> int:
        """What the statement must say."""
        return APPLY[self.operation](self.left, self.right)

    def __str__(self) -> str:
        return f"{self.left} {self.operation} {self.right} = {self.result}"


@dataclass(frozen=True)
class TinyProblem:
    """A word problem, the sentence that reports a running value, and its true steps."""

    id: str
    question: str
    report: str
    steps: tuple[SolutionStep, ...]

    @property
    def value(self) -> int:
        """The answer."""
        return self.steps[-1].result

    def record(self) -> Problem:
        """The problem in GSM8K's shape, with the truth of every step."""
        worked = []
        for step in self.steps:
            stem = f"{step.left}{step.operation}{step.right}="
            worked.append(f"{stem}<<{stem}{step.result}>>{step.result}")
        return Problem(
            id=self.id,
            question=self.question,
            answer="\n".join([*worked, f"#### {self.value}"]),
            answer_value=str(self.value),
            truth={"steps": [str(step) for step in self.steps]},
        )


@dataclass(frozen=True)
class Domain:
    """The wordings of one small world; `{n}` is the number of the event, `{g}` the number of groups."""

    opening: tuple[str, ...]
    opening_sum: tuple[str, ...]
    opening_groups: tuple[str, ...]
    more: tuple[str, ...]
    fewer: tuple[str, ...]
    times: dict[int, tuple[str, ...]]
    question: tuple[str, ...]
    report: str


PERSON = Domain(
    opening=("{name} has {n} {item}.", "{name} starts with {n} {item}.", "At first {name} owns {n} {item}."),
    opening_sum=(
        "{name} has {g} red {item} and {n} blue {item}.",
        "{name} finds {g} {item} at home and {n} {item} at school.",
    ),
    opening_groups=("{name} has {g} bags with {n} {item} each.", "{name} buys {g} packs of {n} {item}."),
    more=(
        "{pron} buys {n} more.",
        "{friend} gives {obj} {n} {item}.",
        "Then {pron} finds {n} {item}.",
        "On Monday {pron} gets {n} more {item}.",
        "{pron} wins {n} {item} from {friend}.",
    ),
    fewer=(
        "{pron} gives {n} {item} to {friend}.",
        "Then {pron} loses {n}.",
        "{pron} sells {n} of the {item}.",
        "{friend} takes {n} {item} away.",
        "On Friday {pron} trades {n} {item} for a toy.",
    ),
    times={
        2: ("Then {pron} doubles the number of {item}.",),
        3: ("By May {pron} has 3 times as many {item}.",),
    },
    question=("How many {item} does {name} have now?", "How many {item} are left for {name}?"),
    report="{name} has {value} {item}.",
)
CONTAINER = Domain(
    opening=("There are {n} {item} in a {place}.", "A {place} holds {n} {item}."),
    opening_sum=("In a {place} there are {g} old {item} and {n} new {item}.",),
    opening_groups=(
        "A {place} has {g} rows of {n} {item}.",
        "{name} fills a {place} with {g} sets of {n} {item}.",
    ),
    more=("{name} adds {n} {item}.", "{name} puts {n} more into the {place}.", "Another {n} {item} go in."),
    fewer=("{name} takes out {n}.", "{n} {item} fall out.", "{friend} removes {n} {item} from the {place}."),
    times={
        2: ("Then the number in the {place} doubles.",),
        3: ("A day later the {place} holds 3 times as many.",),
    },
    question=("How many {item} are in the {place} at the end?", "How many {item} does the {place} hold now?"),
    report="The {place} holds {value}.",
)
BUS = Domain(
    opening=("A bus leaves with {n} people.", "{n} people wait for the bus and get on."),
    opening_sum=("A bus has {g} adults and {n} children.",),
    opening_groups=("A bus has {g} rows with {n} people each.",),
    more=("{n} people get on.", "At the next stop {n} more get on.", "Then {n} children join them."),
    fewer=("{n} people get off.", "At the school {n} leave the bus.", "{n} of them go home."),
    times={
        2: ("At the park the number of people doubles.",),
        3: ("At the zoo there are 3 times as many people.",),
    },
    question=("How many people are on the bus?", "How many people ride the bus now?"),
    report="The bus has {value}.",
)
GAME = Domain(
    opening=("{name} begins a game with {n} points.", "In a game {name} scores {n} points."),
    opening_sum=("{name} scores {g} points and then {n} points.",),
    opening_groups=("{name} wins {g} rounds for {n} points each.",),
    more=("{pron} earns {n} points.", "A bonus adds {n} points.", "{pron} scores {n} more."),
    fewer=("A foul costs {n} points.", "{pron} drops {n} points.", "{friend} steals {n} points."),
    times={2: ("A star doubles the score.",), 3: ("A gem makes the score 3 times as big.",)},
    question=("How many points does {name} have?", "What is the score of {name}?"),
    report="The score is {value}.",
)
DOMAINS = (PERSON, CONTAINER, BUS, GAME)


def wordings() -> int:
    """How many different sentence templates there are."""
    fields = ("opening", "opening_sum", "opening_groups", "more", "fewer", "question")
    return sum(
        sum(len(getattr(domain, field)) for field in fields) + sum(map(len, domain.times.values()))
        for domain in DOMAINS
    )


def is_test(steps: tuple[SolutionStep, ...]) -> bool:
    """Whether these steps belong to the test split: one tenth of all cores, in any wording."""
    core = ",".join(f"{step.left}{step.operation}{step.right}" for step in steps)
    return hashlib.sha256(core.encode()).digest()[0] % 10 == 0


def random_step(rng: random.Random, left: int) -> SolutionStep:
    """A step that keeps the running value within 0 and the largest."""
    choices: list[tuple[Sign, range]] = [
        ("+", range(2, min(9, LARGEST - left) + 1)),
        ("-", range(2, min(9, left) + 1)),
    ]
    if 2 <= left <= LARGEST // 2 and rng.random() < 0.3:
        choices.append(("×", range(2, min(3, LARGEST // left) + 1)))
    operation, rights = rng.choice([choice for choice in choices if len(choice[1])])
    return SolutionStep(left, operation, rng.choice(rights))


def _random_opening(rng: random.Random) -> tuple[str, SolutionStep | None, int]:
    """Which opening sentence, the step it asks for, and the value after it."""
    kind = rng.choices(("plain", "sum", "groups"), (0.6, 0.2, 0.2))[0]
    if kind == "plain":
        return kind, None, rng.randint(3, 15)
    if kind == "sum":
        step = SolutionStep(rng.randint(2, 11), "+", rng.randint(2, 9))
    else:
        step = rng.choice(
            [SolutionStep(g, "×", n) for g in range(2, 6) for n in range(2, LARGEST // g + 1) if n < 10]
        )
    return kind, step, step.result


def _random_core(rng: random.Random, split: ProblemSplit) -> tuple[str, tuple[SolutionStep, ...]]:
    """Numbers of one problem, drawn until they fall into the split."""
    while True:
        kind, first, value = _random_opening(rng)
        steps = [first] if first else []
        count = rng.choices(tuple(STEP_COUNTS), tuple(STEP_COUNTS.values()))[0]
        while len(steps) < count:
            steps.append(random_step(rng, value))
            value = steps[-1].result
        if is_test(tuple(steps)) == (split == "test"):
            return kind, tuple(steps)


@cache
def step_profiles(operation: Sign, draws: int = 20000) -> dict[tuple[int, int], float]:
    """How often a problem has so many steps with other operations and so many with this one."""
    rng = random.Random(operation)
    cores = (_random_core(rng, "train")[1] for _ in range(draws))
    counts = ((len(steps), sum(step.operation == operation for step in steps)) for steps in cores)
    return {(total - own, own): times / draws for (total, own), times in Counter(counts).items()}


def random_problem(rng: random.Random, split: ProblemSplit, name: str = "") -> TinyProblem:
    """One problem of the split."""
    kind, steps = _random_core(rng, split)
    domain = rng.choice(DOMAINS)
    pronoun = rng.choice(("she", "he"))
    person = rng.choice(NAMES[pronoun])
    words = {
        "name": person,
        "pron": pronoun,
        "obj": {"she": "her", "he": "him"}[pronoun],
        "friend": rng.choice([n for names in NAMES.values() for n in names if n != person]),
        "item": rng.choice(ITEMS),
        "place": rng.choice(CONTAINERS),
    }

    def sentence(template: str, **numbers: int) -> str:
        text = template.format(**words, **numbers)
        return text[0].upper() + text[1:]

    first = steps[0]
    if kind == "plain":
        sentences = [sentence(rng.choice(domain.opening), n=first.left)]
        events = steps
    else:
        openings = domain.opening_sum if kind == "sum" else domain.opening_groups
        sentences = [sentence(rng.choice(openings), g=first.left, n=first.right)]
        events = steps[1:]
    for step in events:
        wordings = {"+": domain.more, "-": domain.fewer, "×": domain.times.get(step.right, ())}[
            step.operation
        ]
        sentences.append(sentence(rng.choice(wordings), n=step.right))
    sentences.append(sentence(rng.choice(domain.question)))
    report = domain.report.replace("{value}", "{{value}}").format(**words)
    return TinyProblem(name, " ".join(sentences), report, steps)


def tiny_problems(split: ProblemSplit, n: int, seed: int) -> list[TinyProblem]:
    """`n` different problems of the split; the same seed gives the same problems."""
    return list(_distinct(random.Random(f"{split}/{seed}"), split, n))


def problems_made_here(split: str, n: int, seed: int) -> list[Problem]:
    """The same problems as records, for a run's dataset."""
    if split not in get_args(ProblemSplit):
        raise UserError(
            f"tiny_arithmetic has no split {split!r}",
            why="its splits are train, which the reasoner has seen, and test",
            next_step="set dataset.split: test",
        )
    return [problem.record() for problem in tiny_problems(cast(ProblemSplit, split), n, seed)]


def _distinct(rng: random.Random, split: ProblemSplit, n: int) -> Iterator[TinyProblem]:
    seen: set[str] = set()
    while len(seen) < n:
        problem = random_problem(rng, split, f"tiny-{split}-{len(seen):05d}")
        if problem.question not in seen:
            seen.add(problem.question)
            yield problem
