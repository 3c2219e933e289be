"""`python -m backtracking` is the command `backtracking`."""

from backtracking.cli.main import main

main()
