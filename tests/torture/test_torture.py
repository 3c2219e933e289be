"""A short campaign: kinds of fault that the first stages of a study meet; the long one is `make torture`."""

from importlib.util import find_spec

import pytest

from tests.executor.standing import standing_cluster
from tests.torture.executors import LOCAL, RAY
from tests.torture.faults import faults_on
from tests.torture.process import warm_up
from tests.torture.study import Study
from tests.torture.trials import GOOD, run_trial

pytestmark = pytest.mark.slow
STAGES = 4
SHORT = (
    "SIGKILL", "Ctrl-C", "file-size limit", "read-only folder", "two processes", "copied", "NaN or infinity",
    "file truncated", "digit changed", "garbage appended", "folder in its place", "link in its place",
)  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    warm_up()
    return Study.make(tmp_path_factory.mktemp("torture") / "study", STAGES)


def survives(study, on, fault, **where):
    """The first trial of a fault."""
    number = [one.name for one in faults_on(on)].index(fault)
    trial = run_trial(study, (on, number), seed=0, **where)
    assert trial.outcome in GOOD, f"{trial.step} {trial.target}: {trial.outcome}\n{trial.detail}"


@pytest.mark.parametrize("fault", SHORT)
def test_a_study_survives(study, fault, tmp_path):
    survives(study, LOCAL.name, fault, scratch=tmp_path)


@pytest.mark.skipif(find_spec("ray") is None, reason="the extra `ray` is not installed")
def test_a_study_made_by_workers_survives(study, tmp_path):
    survives(study, RAY, "SIGKILL", scratch=tmp_path)


@pytest.mark.skipif(find_spec("ray") is None, reason="the extra `ray` is not installed")
def test_a_study_made_on_a_cluster_survives(study, tmp_path):
    with standing_cluster(tmp_path, cpus=2) as address:
        survives(study, RAY, "NaN or infinity", scratch=tmp_path, address=address)
