"""Phase 1's commands, one file each."""
