"""The front door: what `import backtracking as bt` offers, over rows in memory and over finished runs."""
