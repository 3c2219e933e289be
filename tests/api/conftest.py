import pytest

import backtracking as bt


@pytest.fixture(scope="session")
def lm():
    """The bundled reasoner."""
    return bt.load("bundled", progress=False)


@pytest.fixture(scope="session")
def rows(lm):
    """A few of its completions under three arms."""
    arms = [bt.baseline, bt.scale("attn", 5, 0.5), bt.suppress_triggers()]
    return lm.generate(bt.problems(6), arms=arms, samples=3)
