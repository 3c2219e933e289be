import pytest

from tests.foundation.command import CommandLine


@pytest.fixture
def cli(capsys, monkeypatch):
    return CommandLine(capsys, monkeypatch)


@pytest.fixture
def workdir(tmp_path, monkeypatch):
    """An empty folder to start commands in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
