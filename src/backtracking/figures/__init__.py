"""Tables in, figures out, in one style."""
