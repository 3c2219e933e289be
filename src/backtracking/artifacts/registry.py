"""All artifacts of a run, in the order in which they are made."""

from backtracking.artifacts import labels, phase1, phase2
from backtracking.artifacts.kinds import Artifact, Figure, Table

ARTIFACTS: tuple[Artifact, ...] = tuple(
    value for room in (phase1, labels, phase2) for value in vars(room).values() if isinstance(value, Artifact)
)
TABLES = tuple(artifact for artifact in ARTIFACTS if isinstance(artifact, Table))
FIGURES = tuple(artifact for artifact in ARTIFACTS if isinstance(artifact, Figure))
