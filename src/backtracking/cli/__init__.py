"""The command line: parse, call a stage, exit code."""

from backtracking.cli.main import main

__all__ = ["main"]
