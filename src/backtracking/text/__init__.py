"""Text read and written: prompts, tokens, onsets, answers and arithmetic; no torch."""
