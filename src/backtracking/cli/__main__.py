from backtracking.cli.main import main

main()
