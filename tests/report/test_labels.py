"""Labels never collide: no two overlap, none covers a point, none leaves the axes."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from backtracking.figures.labels import Box, PointLabel, place_labels, spread_heights

BOUNDS = Box(0.0, 0.0, 190.0, 150.0)
"""About the axes of a figure in one column of a paper, in points."""
POINT = st.tuples(st.floats(8, 182), st.floats(8, 142))
CROWD = st.tuples(st.floats(150, 165), st.floats(120, 132))
LABELS = st.lists(
    st.builds(PointLabel, POINT | CROWD, st.floats(15, 70), st.just(10.0)), min_size=1, max_size=13
)


def marks_of(labels):
    return [Box.around(label.point, 7.0, 7.0) for label in labels]


@given(LABELS, st.lists(st.tuples(POINT, POINT), max_size=8))
def test_labels_keep_clear_of_each_other_of_points_and_of_the_edge(labels, lines):
    points = marks_of(labels)
    placed = [box for box in place_labels(labels, BOUNDS, points, lines) if box is not None]
    for index, box in enumerate(placed):
        assert box.inside(BOUNDS)
        assert not any(box.overlaps(point) for point in points)
        assert not any(box.overlaps(other) for other in placed[index + 1 :])


@given(st.lists(st.builds(PointLabel, CROWD, st.floats(30, 70), st.just(10.0)), min_size=1, max_size=13))
def test_a_crowd_of_arms_finds_room_for_all_its_names(labels):
    assert None not in place_labels(labels, BOUNDS, marks_of(labels))


def test_a_lone_label_stands_right_beside_its_point():
    (box,) = place_labels(
        [PointLabel((50.0, 50.0), 40.0, 10.0)], BOUNDS, [Box.around((50.0, 50.0), 7.0, 7.0)]
    )
    assert box is not None and box.distance((50.0, 50.0)) < 6.0 and box.left > 50.0


def test_lines_are_left_free_where_there_is_room():
    bar = ((20.0, 50.0), (120.0, 50.0))
    label = PointLabel((50.0, 50.0), 40.0, 10.0)
    (box,) = place_labels([label], BOUNDS, [Box.around(label.point, 7.0, 7.0)], [bar])
    assert box is not None and not box.meets(bar)


def test_what_has_no_room_is_left_out():
    assert place_labels([PointLabel((5.0, 5.0), 40.0, 10.0)], Box(0.0, 0.0, 30.0, 30.0), []) == [None]


def test_a_box_meets_what_passes_through_it():
    box = Box(0.0, 0.0, 10.0, 10.0)
    assert box.meets(((-5.0, 5.0), (15.0, 5.0))) and box.meets(((2.0, 2.0), (3.0, 3.0)))
    assert not box.meets(((-5.0, 12.0), (15.0, 12.0))) and not box.meets(((-5.0, 8.0), (-1.0, 5.0)))


@given(st.lists(st.floats(-50, 150), max_size=7))
def test_names_of_lines_keep_their_order_and_their_distance(wanted):
    heights = spread_heights(wanted, 10.0, 0.0, 100.0)
    ordered = [height for _, height in sorted(zip(wanted, heights, strict=True))]
    assert all(other - one >= 10.0 - 1e-6 for one, other in pairwise(ordered))
    assert all(-1e-6 <= height <= 100.0 + 1e-6 for height in heights)


def test_names_that_do_not_crowd_stay_where_they_are():
    assert spread_heights([80.0, 10.0, 40.0], 10.0, 0.0, 100.0) == [80.0, 10.0, 40.0]
    assert spread_heights([50.0, 50.0], 10.0, 0.0, 100.0) == [45.0, 55.0]
    assert spread_heights([0.0] * 5, 30.0, 0.0, 100.0) == [0.0, 25.0, 50.0, 75.0, 100.0]


def test_a_name_that_may_go_is_left_out_sooner_than_to_cross_a_line_or_to_wander_off():
    points = [(60.0, 60.0 + 2 * step) for step in range(8)]
    labels = [PointLabel(point, 60.0, 10.0) for point in points] + [PointLabel((160.0, 20.0), 40.0, 10.0)]
    bars = [((20.0, y), (110.0, y)) for _, y in points]
    optional = range(1, len(labels))
    placed = place_labels(labels, BOUNDS, marks_of(labels), bars, optional)
    assert placed[0] is not None and placed[-1] is not None, "what must be named, and what stands alone"
    shown = [(labels[index].point, placed[index]) for index in optional]
    assert None in [box for _, box in shown]
    for point, box in shown:
        assert box is None or (box.distance(point) < 40.0 and not any(map(box.meets, bars)))
