"""The random control: distinct sets of other components, or other directions, of an arm's own shape."""

import math
import random
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from functools import partial

from backtracking.interventions import Arm, Component, Condition, Intervention, Place, Shape
from backtracking.run.seed import derive_seed

RANDOM_VECTOR = "random"

Kind = tuple[Component, bool]
"""Blocks and single heads of the same component are drawn apart."""
Where = tuple[int, int | None]
"""Layer and head."""


def random_arm(name: str, original: Sequence[Intervention], draws: int, shape: Shape, seed: int) -> Arm:
    """As many distinct sets as asked, or all there are; rows are dealt over them."""
    generator = random.Random(derive_seed(seed, "random control", name))
    wanted = min(draws, count_sets(original, shape))
    members: list[Condition] = []
    seen: set[frozenset[tuple[object, ...]]] = set()
    while len(members) < wanted:
        drawn = _draw(original, len(members), generator, shape)
        places = frozenset((*i.place, i.vector) for i in drawn)
        if places not in seen:
            seen.add(places)
            members.append(Condition(name=name, interventions=drawn, draw=len(members)))
    return Arm(name, name, None, tuple(members))


def random_vector_name(original: str, draw: int) -> str:
    """The name of a random direction with the norm of another."""
    return f"{RANDOM_VECTOR}_{draw}_like_{original}"


def count_sets(original: Sequence[Intervention], shape: Shape) -> float:
    """How many different sets the draws choose among; directions never run out."""
    placed = _placed(original)
    if len(placed) < len(original):
        return math.inf
    taken = {member.place for member in original}
    count = 1
    for kind, wanted in Counter(map(_kind, placed)).items():
        places = {(kind[0], *place) for place in _places(kind, shape)}
        own, free = len(places & taken), len(places - taken)
        count *= math.comb(free, wanted) if wanted <= free else math.comb(own, wanted - free)
    return count


def limits(original: Sequence[Intervention], draws: int, shape: Shape) -> str:
    """What keeps the draws from being as many and as separate as asked, in words; empty when nothing does."""
    return "; ".join(_limits(original, draws, shape))


def components_of(member: Condition) -> str:
    """What a draw consists of, e.g. `attn 2, mlp 0 and head 1 of attn 4`, for people."""
    return ", ".join(
        f"{i.component} {i.layer}"
        + ("" if i.head is None else f" head {i.head}")
        + ("" if i.vector is None else f" along {i.vector}")
        for i in member.interventions
    )


def _limits(original: Sequence[Intervention], draws: int, shape: Shape) -> Iterator[str]:
    taken = {member.place for member in original}
    short = [
        kind[0]
        for kind, wanted in Counter(map(_kind, _placed(original))).items()
        if wanted > sum((kind[0], *place) not in taken for place in _places(kind, shape))
    ]
    if short:
        yield (
            f"{' and '.join(short)}: fewer free layers than the targeted set has, so draws overlap with it"
        )
    if (possible := count_sets(original, shape)) < draws:
        yield f"there are {possible:,.0f} sets to draw, not {draws:,}: each is used once"


def _draw(
    original: Sequence[Intervention], draw: int, generator: random.Random, shape: Shape
) -> tuple[Intervention, ...]:
    """Other places without replacement, the original's own only when they run out; directions keep theirs."""
    taken = {member.place for member in original}
    free: dict[Kind, list[Where]] = {}
    drawn = []
    for member in original:
        if member.vector is not None:
            changed: dict[str, object] = {"vector": random_vector_name(member.vector, draw)}
        else:
            kind = _kind(member)
            if kind not in free:
                free[kind] = _places(kind, shape)
                generator.shuffle(free[kind])
                # The sort is stable: in the order of the shuffle, the original's own places last.
                free[kind].sort(key=partial(_is_taken, kind[0], taken))
            layer, head = free[kind].pop(0)
            changed = {"layer": layer, "head": head}
        drawn.append(member.model_copy(update=changed))
    return tuple(drawn)


def _is_taken(component: Component, taken: Collection[Place], where: Where) -> bool:
    return (component, *where) in taken


def _placed(original: Sequence[Intervention]) -> list[Intervention]:
    """The members whose place is drawn; those with a vector keep theirs."""
    return [member for member in original if member.vector is None]


def _kind(intervention: Intervention) -> Kind:
    return (intervention.component, intervention.head is not None)


def _places(kind: Kind, shape: Shape) -> list[Where]:
    """Where a kind of component occurs: every layer, or every head of every layer."""
    heads: list[int | None] = [*range(shape.n_heads)] if kind[1] else [None]
    return [(layer, head) for layer in range(shape.n_layers) for head in heads]
