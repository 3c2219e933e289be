"""The random control: distinct sets of other components, or other directions, of an arm's own shape."""

import itertools
import math
import random
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from backtracking.interventions import (
    MODES,
    Arm,
    Component,
    ComponentPlace,
    Condition,
    Intervention,
    Shape,
    mean_vector,
)
from backtracking.run.seed import derive_seed

RANDOM_VECTOR = "random"
MOST_SETS = 20_000
"""Of more sets than these a random part is looked at for those that cost what the original costs."""

ComponentKind = tuple[Component, bool]
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


def matched_arm(
    name: str,
    original: Sequence[Intervention],
    draws: int,
    shape: Shape,
    seed: int,
    collateral: Mapping[ComponentPlace, float],
) -> Arm:
    """As many distinct sets of the original's shape as asked, or all there are, matched in what they cost.

    First those that share least with the original, among them those whose summed collateral is nearest to its
    own; sets that cost an unknown amount come last. Rows are dealt over them.
    """
    generator = random.Random(derive_seed(seed, "random control", name))
    target = {member.place for member in original}
    cost = summed(target, collateral)
    sets = [places for places in _sets(original, shape, generator) if set(places) != target]
    generator.shuffle(sets)

    def unlike(places: Sequence[ComponentPlace]) -> tuple[int, float]:
        gap = abs(summed(places, collateral) - cost)
        return len(target.intersection(places)), gap if math.isfinite(gap) else math.inf

    chosen = sorted(sets, key=unlike)[:draws]
    members = [
        Condition(
            name=name,
            draw=draw,
            interventions=tuple(
                _moved(member, layer, head)
                for member, (_, layer, head) in zip(
                    sorted(original, key=_component), sorted(places, key=str), strict=True
                )
            ),
        )
        for draw, places in enumerate(chosen)
    ]
    return Arm(name, name, None, tuple(members))


def _moved(member: Intervention, layer: int, head: int | None) -> Intervention:
    """The same done to another component; what is replaced by its mean is replaced by the other's."""
    moved: dict[str, object] = {"layer": layer, "head": head}
    if MODES[member.mode].own_vector:
        moved["vector"] = mean_vector(member.component, layer)
    return member.model_copy(update=moved)


def described_sets(
    original: Sequence[Intervention], arm: Arm, collateral: Mapping[ComponentPlace, float]
) -> list[dict[str, Any]]:
    """A line per set, the original's first: its components, and what they cost elsewhere."""
    whole = Condition(name=arm.name, interventions=tuple(original))
    return [
        {
            "draw": member.draw,
            "components": components_of(member),
            "collateral": summed((i.place for i in member.interventions), collateral),
        }
        for member in (whole, *arm.members)
    ]


def summed(places: Iterable[ComponentPlace], collateral: Mapping[ComponentPlace, float]) -> float:
    """What removing each of some components alone costs, added up; not a number where one is not known."""
    return sum(collateral.get(place, math.nan) for place in places)


def _sets(
    original: Sequence[Intervention], shape: Shape, generator: random.Random
) -> list[tuple[ComponentPlace, ...]]:
    """All sets of the original's shape; where they are too many, some of those that share nothing."""
    taken = {member.place for member in original}
    wanted = sorted(Counter(map(_kind, original)).items())
    places = {kind: [(kind[0], *where) for where in _places(kind, shape)] for kind, _ in wanted}
    if math.prod(math.comb(len(places[kind]), count) for kind, count in wanted) <= MOST_SETS:
        parts = [itertools.combinations(places[kind], count) for kind, count in wanted]
        return [tuple(itertools.chain(*chosen)) for chosen in itertools.product(*parts)]
    free = {kind: [place for place in places[kind] if place not in taken] for kind in places}
    pool = {kind: free[kind] if len(free[kind]) >= count else places[kind] for kind, count in wanted}
    drawn = (
        itertools.chain(*(sorted(generator.sample(pool[kind], count), key=str) for kind, count in wanted))
        for _ in range(MOST_SETS)
    )
    return list(dict.fromkeys(map(tuple, drawn)))


def _component(member: Intervention) -> str:
    return member.component


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
        + ("" if i.vector is None or MODES[i.mode].own_vector else f" along {i.vector}")
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
    free: dict[ComponentKind, list[Where]] = {}
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


def _is_taken(component: Component, taken: Collection[ComponentPlace], where: Where) -> bool:
    return (component, *where) in taken


def _placed(original: Sequence[Intervention]) -> list[Intervention]:
    """The members whose place is drawn; those with a vector keep theirs."""
    return [member for member in original if member.vector is None]


def _kind(intervention: Intervention) -> ComponentKind:
    return (intervention.component, intervention.head is not None)


def _places(kind: ComponentKind, shape: Shape) -> list[Where]:
    """Where a kind of component occurs: every layer, or every head of every layer."""
    heads: list[int | None] = [*range(shape.n_heads)] if kind[1] else [None]
    return [(layer, head) for layer in range(shape.n_layers) for head in heads]
