"""All artifacts of a run, in the order in which they are made."""

from collections.abc import Iterable

from backtracking.artifacts import labels, phase1, phase2, readings
from backtracking.artifacts.kinds import Artifact, Data, Figure, Shown, Table

ARTIFACTS: tuple[Artifact, ...] = tuple(
    value
    for room in (phase1, readings, labels, phase2)
    for value in vars(room).values()
    if isinstance(value, Artifact)
)
TABLES = tuple(artifact for artifact in ARTIFACTS if isinstance(artifact, Table))
FIGURES = tuple(artifact for artifact in ARTIFACTS if isinstance(artifact, Figure))


def figures_of(file: Shown) -> tuple[Figure, ...]:
    """The figures that can be drawn as soon as a file is there."""
    return tuple(figure for figure in FIGURES if figure.files[-1:] == (file,))


def held(file: str) -> Table | Data:
    """The table or summary of a file in a run's `analysis/`, whoever put it there."""
    place, kind = f"analysis/{file}", Table if file.endswith(".csv") else Data
    known = {artifact.name: artifact for artifact in ARTIFACTS if isinstance(artifact, Table | Data)}
    return known.get(place) or kind(place, "the command that made it", "no file of this program")


def with_figures(artifacts: Iterable[Artifact]) -> list[Artifact]:
    """Artifacts, and the figures whose last file is among them."""
    made = list(artifacts)
    return [*made, *(figure for one in made if isinstance(one, Shown) for figure in figures_of(one))]
