"""All artifacts of a run, in the order in which they are made."""

from collections.abc import Iterable

from backtracking.artifacts import labels, phase1, phase2, readings
from backtracking.artifacts.kinds import Artifact, Figure, Table

ARTIFACTS: tuple[Artifact, ...] = tuple(
    value
    for room in (phase1, readings, labels, phase2)
    for value in vars(room).values()
    if isinstance(value, Artifact)
)
TABLES = tuple(artifact for artifact in ARTIFACTS if isinstance(artifact, Table))
FIGURES = tuple(artifact for artifact in ARTIFACTS if isinstance(artifact, Figure))


def figures_of(table: Table) -> tuple[Figure, ...]:
    """The figures that are drawn from a table alone."""
    return tuple(figure for figure in FIGURES if figure.shows == table)


def with_figures(artifacts: Iterable[Artifact]) -> list[Artifact]:
    """Artifacts, and the figures that are drawn from the tables among them."""
    made = list(artifacts)
    return [*made, *(figure for one in made if isinstance(one, Table) for figure in figures_of(one))]
