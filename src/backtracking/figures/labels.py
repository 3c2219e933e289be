"""Where labels stand: none on another, none on a point, none beyond the axes."""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

Point = tuple[float, float]
Segment = tuple[Point, Point]

GAP = 4.0
"""Points of free space between a label and what it names."""
_ANGLES = tuple(math.radians(angle) for angle in (0, 180, 90, 270, 35, 145, 325, 215, 60, 120, 300, 240))
_REACH = (0.0, 4.0, 9.0, 15.0, 22.0, 30.0, 40.0, 52.0, 66.0, 82.0, 100.0, 130.0, 170.0, 220.0)
_CROSSING = 25.0
"""What a label costs for each line that it lies on, in points of distance."""
_SPACE = 1.0
_NEAR = 22.0
"""How far from its point, in points, a label may stand that could also be left out."""
_SPARE_STEP = 6.0
"""Between places that are tried when there is none near the point."""


@dataclass(frozen=True)
class Box:
    """A rectangle on the page, in points."""

    left: float
    bottom: float
    right: float
    top: float

    @classmethod
    def around(cls, centre: Point, width: float, height: float) -> "Box":
        """The box of that size about a point."""
        x, y = centre
        return cls(x - width / 2, y - height / 2, x + width / 2, y + height / 2)

    @property
    def centre(self) -> Point:
        """The point in the middle."""
        return (self.left + self.right) / 2, (self.bottom + self.top) / 2

    def overlaps(self, other: "Box") -> bool:
        """Whether the two share more than an edge."""
        across = self.left < other.right and other.left < self.right
        return across and self.bottom < other.top and other.bottom < self.top

    def inside(self, other: "Box") -> bool:
        """Whether it lies in the other whole, edges included."""
        across = other.left <= self.left and self.right <= other.right
        return across and other.bottom <= self.bottom and self.top <= other.top

    def distance(self, point: Point) -> float:
        """How far a point is from the nearest edge; 0 inside."""
        x, y = point
        across = max(self.left - x, 0.0, x - self.right)
        return math.hypot(across, max(self.bottom - y, 0.0, y - self.top))

    def meets(self, segment: Segment) -> bool:
        """Whether a line passes through."""
        (x, y), (to_x, to_y) = segment
        enters, leaves = 0.0, 1.0
        for start, step, low, high in (
            (x, to_x - x, self.left, self.right),
            (y, to_y - y, self.bottom, self.top),
        ):
            if step == 0.0:
                if not low < start < high:
                    return False
                continue
            ends = sorted(((low - start) / step, (high - start) / step))
            enters, leaves = max(enters, ends[0]), min(leaves, ends[1])
        return enters < leaves


@dataclass(frozen=True)
class PointLabel:
    """What is to be placed: its point, and how large its text is."""

    point: Point
    width: float
    height: float


def place_labels(
    labels: Sequence[PointLabel],
    bounds: Box,
    taken: Iterable[Box],
    lines: Iterable[Segment] = (),
    optional: Collection[int] = (),
) -> list[Box | None]:
    """A free place for each label near its point, or none where there is no room for it.

    Labels in a crowd choose first. `taken` is what no label may cover; `lines` are avoided where possible.
    The `optional` ones, by their place in the list, come last and are left out unless there is room nearby.
    """
    lines, taken = list(lines), list(taken)
    placed: list[Box | None] = [None] * len(labels)
    leaders: list[Segment] = []
    for index in sorted(range(len(labels)), key=lambda one: (one in optional, _room(labels, one))):
        label = labels[index]
        others = [box for box in placed if box is not None]
        blocked = [*taken, *others]
        near = _free(_candidates(label), bounds, blocked)
        if index in optional:
            passing = [*lines, *leaders]
            near = [one for one in near if one[0] <= _NEAR and not _crossings(label, one[1], others, passing)]
        else:
            near = near or _free(_everywhere(label, bounds), bounds, blocked)
        if near:
            costs = [reach + _crossings(label, box, others, [*lines, *leaders]) for reach, box in near]
            best = near[costs.index(min(costs))][1]
            placed[index] = best
            leaders.append((label.point, best.centre))
    return placed


def _free(
    places: Iterable[tuple[float, Box]], bounds: Box, blocked: Sequence[Box]
) -> list[tuple[float, Box]]:
    """Those places that lie in the bounds and cover nothing."""
    return [one for one in places if one[1].inside(bounds) and not any(map(one[1].overlaps, blocked))]


def _room(labels: Sequence[PointLabel], index: int) -> float:
    """Distance to the nearest other point: little in a crowd."""
    own = labels[index].point
    return min((math.dist(own, other.point) for at, other in enumerate(labels) if at != index), default=0.0)


def _candidates(label: PointLabel) -> Iterable[tuple[float, Box]]:
    """Places around a point, the nearest first, each with its distance."""
    x, y = label.point
    width, height = label.width + _SPACE, label.height + _SPACE
    for reach in _REACH:
        for angle in _ANGLES:
            across, up = math.cos(angle), math.sin(angle)
            away = GAP + reach
            centre = (
                x + across * away + width / 2 * _towards(across),
                y + up * away + height / 2 * _towards(up),
            )
            yield reach, Box.around(centre, width, height)


def _everywhere(label: PointLabel, bounds: Box) -> Iterable[tuple[float, Box]]:
    """Places all over the axes, each with its distance from the point."""
    width, height = label.width + _SPACE, label.height + _SPACE
    across = int((bounds.right - bounds.left - width) // _SPARE_STEP) + 1
    up = int((bounds.top - bounds.bottom - height) // height) + 1
    for column in range(across):
        for line in range(up):
            left, bottom = bounds.left + column * _SPARE_STEP, bounds.bottom + line * height
            box = Box(left, bottom, left + width, bottom + height)
            yield box.distance(label.point), box


def _towards(share: float) -> float:
    """Which side of its anchor a box lies on; in the middle where it stands straight above or beside."""
    return 0.0 if abs(share) < 0.1 else math.copysign(1.0, share)


def _crossings(label: PointLabel, box: Box, others: Sequence[Box], lines: Sequence[Segment]) -> float:
    leader = (label.point, box.centre)
    return _CROSSING * (sum(map(box.meets, lines)) + 2 * sum(other.meets(leader) for other in others))


def spread_heights(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Heights at least `gap` apart between two bounds, as near to the wanted ones as their order allows.

    Where they do not all fit, they share what room there is.
    """
    if not wanted:
        return []
    gap = min(gap, (high - low) / max(len(wanted) - 1, 1))
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    groups: list[list[float]] = []  # [sum of what members want of the group's lowest place, members]
    for rank, index in enumerate(order):
        groups.append([wanted[index] - rank * gap, 1.0])
        while len(groups) > 1 and groups[-2][0] / groups[-2][1] >= groups[-1][0] / groups[-1][1]:
            total, members = groups.pop()
            groups[-1] = [groups[-1][0] + total, groups[-1][1] + members]
    ceiling = high - (len(wanted) - 1) * gap
    bases = [
        min(max(total / members, low), ceiling) for total, members in groups for _ in range(int(members))
    ]
    heights = [0.0] * len(wanted)
    for rank, (index, base) in enumerate(zip(order, bases, strict=True)):
        heights[index] = base + rank * gap
    return heights
