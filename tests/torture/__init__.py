"""The fault campaign: random faults on a small study, each trial compared with an undisturbed run.

`make torture` runs the long form and writes `docs/reliability.md`; a short one is among the tests.
"""
