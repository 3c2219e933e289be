"""What a run is asked to do: every section and key, and the way from YAML to a checked config."""

from backtracking.config.load import load_config

__all__ = ["load_config"]
