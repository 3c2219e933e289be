"""The rows that `generate` is asked for: numbered in their order, and made only when somebody looks."""

from array import array
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field

from backtracking.engine.rows import Prompt, Row
from backtracking.interventions import Arm
from backtracking.run.records import Problem, RowId


@dataclass
class RowPlan:
    """Every sample of every problem; of their prompts only the one in use is kept."""

    problems: Sequence[Problem]
    samples: int
    arm: Arm
    render: Callable[[Problem], Prompt]
    _first: dict[str, int] = field(init=False)
    """The place of each problem's first row."""
    _prompt: Prompt | None = None

    def __post_init__(self) -> None:
        self._first = {problem.id: k * self.samples for k, problem in enumerate(self.problems)}

    def __len__(self) -> int:
        return len(self.problems) * self.samples

    def place(self, row: RowId) -> int | None:
        """Where a row stands; none where it is not asked for."""
        example_id, sample = row
        is_asked = example_id in self._first and 0 <= sample < self.samples
        return self._first[example_id] + sample if is_asked else None

    def __getitem__(self, place: int) -> Row:
        index, sample = divmod(place, self.samples)
        problem = self.problems[index]
        if self._prompt is None or self._prompt.example_id != problem.id:
            self._prompt = self.render(problem)
        return Row(self._prompt, sample, self.arm.for_row(index, sample))

    def without(self, done: Container[RowId]) -> "RowsLeft":
        """The rows that are not done."""
        ids = ((problem.id, sample) for problem in self.problems for sample in range(self.samples))
        return RowsLeft(self, array("q", (place for place, row in enumerate(ids) if row not in done)))


@dataclass(frozen=True)
class RowsLeft:
    """Some rows of a plan, as often as they are asked for."""

    plan: RowPlan
    places: Sequence[int]

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[Row]:
        return (self.plan[place] for place in self.places)
