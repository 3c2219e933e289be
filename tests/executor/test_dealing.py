"""Items are dealt to workers and done exactly once, whoever dies, and little is kept of them."""

import random
from collections import Counter

import pytest

from backtracking.engine.executor.dealing import LOOK_AHEAD, Dealing

AHEAD = 16


def work_through(items: int, workers: int, rng: random.Random, deaths: float) -> tuple[Counter, Dealing, int]:
    """Random workers ask, finish in any order and die; how often each item was handed out as done."""
    dealing = Dealing(range(items), workers)
    names = iter(f"w{number}" for number in range(10**6))
    for _ in range(workers):
        dealing.join(next(names))
    hands: dict[str, list[int]] = {name: [] for name in dealing.hands}
    done: Counter[int] = Counter()
    most_kept, now = 0, 0.0
    while not dealing.is_over:
        now += 1
        name = rng.choice(list(hands))
        if rng.random() < deaths:
            dealing.lose(name)
            del hands[name]
            dealing.join(new := next(names))
            hands[new] = []
            continue
        rng.shuffle(hands[name])
        for _ in range(rng.randrange(4)):
            if hands[name] and dealing.finish(name, place := hands[name].pop(), now):
                done[place] += 1
        dealt = dealing.deal(name, AHEAD, now) or dealing.again(name, AHEAD, now, 50.0, 3.0)
        assert all(place == item for place, item in dealt)
        hands[name] += [place for place, _ in dealt]
        most_kept = max(most_kept, len(dealing._items))
    return done, dealing, most_kept


@pytest.mark.parametrize("seed", range(30))
def test_every_item_is_done_once(seed):
    rng = random.Random(seed)
    items, workers = rng.randrange(400), rng.randrange(1, 5)
    done, _, _ = work_through(items, workers, rng, deaths=rng.choice([0.0, 0.02, 0.2]))
    assert done == Counter(range(items))


def test_only_what_is_in_hand_is_kept():
    """A hand grows as long as a worker asks for more than it finishes; the source is not read beyond that."""
    dealing = Dealing(iter(range(10**9)), 2)
    for name in ("a", "b"):
        dealing.join(name)
    for _ in range(5_000):
        for name in ("a", "b"):
            for place, _ in dealing.deal(name, AHEAD, 0.0):
                assert dealing.finish(name, place, 0.0)
    assert dealing.hands["a"].done == dealing.hands["b"].done == 5_000 * AHEAD
    assert len(dealing._items) <= 2 * LOOK_AHEAD + AHEAD


def test_few_items_are_shared_fairly_before_all_have_joined():
    dealing = Dealing(range(20), 2)
    dealing.join("early")
    assert len(dealing.deal("early", AHEAD, 0.0)) == 10
    dealing.join("late")
    assert len(dealing.deal("late", AHEAD, 0.0)) == 10


def test_lost_items_come_next_and_losses_are_counted():
    dealing = Dealing(range(100), 2)
    dealing.join("a")
    dealing.join("b")
    first = [place for place, _ in dealing.deal("a", 4, 0.0)]
    assert dealing.lose("a") == 1
    assert [place for place, _ in dealing.deal("b", 4, 0.0)] == first == [0, 1, 2, 3]
    assert dealing.lose("b") == 2


def test_an_overdue_item_goes_to_an_idle_worker_and_counts_once():
    dealing = Dealing(range(2), 2)
    dealing.join("slow")
    dealing.join("idle")
    dealing.deal("slow", 1, 0.0)
    ((other, _),) = dealing.deal("idle", 1, 0.0)
    assert dealing.finish("idle", other, 10.0)
    assert dealing.again("idle", 4, 29.0, 5.0, 3.0) == []  # the longest took 10 seconds
    assert dealing.again("idle", 4, 31.0, 5.0, 3.0) == [(0, 0)]
    assert dealing.again("idle", 4, 99.0, 5.0, 3.0) == []  # it is not idle any more
    assert dealing.finish("idle", 0, 40.0)
    assert not dealing.finish("slow", 0, 41.0)
    assert dealing.is_over


def test_what_a_lost_worker_had_begun_is_dealt_as_far_as_it_was():
    dealing = Dealing(["a", "b", "c"])
    dealing.join("first")
    assert dealing.deal("first", 3, 0.0) == [(0, "a"), (1, "b"), (2, "c")]
    assert dealing.take_up_at(1, "b, half done")
    assert dealing.finish("first", 2, 1.0)
    assert not dealing.take_up_at(2, "c, half done")
    dealing.lose("first")
    dealing.join("second")
    assert dealing.deal("second", 3, 2.0) == [(0, "a"), (1, "b, half done")]
