"""`python -m backtracking.cli` is the command line."""

from backtracking.cli.main import main

main()
