"""One file per command: what it needs, what it makes, and how."""
