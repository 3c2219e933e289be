"""Phase 2's commands, one file each."""
