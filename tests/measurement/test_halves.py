"""The halves of the problems: fixed by place, one of each pair, the same for a part of the dataset."""

from backtracking.measurements.halves import half_of, split_problems

MANY = [f"q{k}" for k in range(2001)]


def test_every_problem_is_in_one_half_and_neighbours_are_in_different_ones():
    halves = split_problems(MANY)
    assert sorted(halves["search"] + halves["confirm"]) == sorted(MANY)
    for pair in range(1000):
        assert {half_of(2 * pair), half_of(2 * pair + 1)} == {"search", "confirm"}


def test_a_part_of_the_data_set_is_split_as_the_whole():
    whole = split_problems(MANY)
    for count in (1, 2, 3, 8, 121, 1999):
        part = split_problems(MANY[:count])
        for half, problems in part.items():
            assert problems == whole[half][: len(problems)]
        assert abs(len(part["search"]) - len(part["confirm"])) <= 1


def test_the_coin_does_not_favour_a_parity():
    first = sum(half_of(2 * pair) == "search" for pair in range(1000))
    assert 440 < first < 560  # four standard deviations


def test_a_single_problem_is_looked_into():
    assert split_problems(["only"]) == {"search": ["only"], "confirm": []}
