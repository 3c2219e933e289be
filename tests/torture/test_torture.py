"""A short campaign: kinds of fault that the first stages of a study meet; the long one is `make torture`."""

import pytest

from tests.torture.faults import FAULTS
from tests.torture.process import warm_up
from tests.torture.study import Study
from tests.torture.trials import GOOD, run_trial

pytestmark = pytest.mark.slow
STAGES = 4
NAMES = [fault.name for fault in FAULTS]
SHORT = (
    "SIGKILL", "Ctrl-C", "file-size limit", "read-only folder", "two processes", "copied", "NaN or infinity",
    "file truncated", "digit changed", "garbage appended", "folder in its place", "link in its place",
)  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    warm_up()
    return Study.make(tmp_path_factory.mktemp("torture") / "study", STAGES)


@pytest.mark.parametrize("fault", SHORT)
def test_a_study_survives(study, fault, tmp_path):
    trial = run_trial(study, NAMES.index(fault), seed=0, scratch=tmp_path)
    assert trial.outcome in GOOD, f"{trial.step} {trial.target}: {trial.outcome}\n{trial.detail}"
