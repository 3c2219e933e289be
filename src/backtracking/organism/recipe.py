"""How a reasoner is trained: its size, and phases of steps with their learning rates."""

import math
from dataclasses import dataclass
from typing import Literal

PhaseName = Literal["chains", "problems", "graft"]


@dataclass(frozen=True)
class TrainingPhase:
    """A stretch of training steps on one kind of batch, with warm-up and cosine of its own."""

    name: PhaseName
    begin: int
    steps: int
    peak: float
    floor: float
    """What is left of the peak rate at the end."""

    @property
    def end(self) -> int:
        """The step after the last one."""
        return self.begin + self.steps


@dataclass(frozen=True)
class Graft:
    """An attention block that is silent until everything else is trained, and then learns alone."""

    layer: int
    steps: int
    rate: float


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights beside the designed rates, but for the platform's arithmetic."""

    seed: int = 0
    layers: int = 6
    width: int = 128
    inner: int = 256
    heads: int = 4
    kv_heads: int = 2
    tokens: int = 3000
    """Tokens of one step; small, because noticing takes many steps rather than many tokens."""
    chain_length: int = 71
    """Mean tokens of a bare chain with its prompt."""
    problem_length: int = 80
    """Mean tokens of a problem with its trace."""
    chain_steps: int = 1500
    chain_rate: float = 5e-3
    problem_steps: int = 7000
    problem_rate: float = 3e-3
    warm_up: int = 100
    weight_decay: float = 0.1
    graft: Graft | None = None

    @property
    def phases(self) -> tuple[TrainingPhase, ...]:
        """Bare chains, then problems, then the graft if there is one."""
        chains = TrainingPhase("chains", 0, self.chain_steps, self.chain_rate, 0.3)
        problems = TrainingPhase("problems", chains.end, self.problem_steps, self.problem_rate, 0.01)
        if self.graft is None:
            return chains, problems
        return chains, problems, TrainingPhase("graft", problems.end, self.graft.steps, self.graft.rate, 0.01)

    @property
    def steps(self) -> int:
        """Steps of all phases."""
        return self.phases[-1].end

    def phase(self, step: int) -> TrainingPhase:
        """The phase that a step belongs to."""
        return next(phase for phase in self.phases if step < phase.end)

    def learning_rate(self, step: int) -> float:
        """Warm-up and cosine, anew for each phase."""
        phase = self.phase(step)
        done = step - phase.begin
        cosine = phase.floor + (1 - phase.floor) * (1 + math.cos(math.pi * done / phase.steps)) / 2
        return phase.peak * min(1.0, (done + 1) / self.warm_up) * cosine
