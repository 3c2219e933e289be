"""Whether a number is stated plainly: a closed world of words that may stand around it."""
