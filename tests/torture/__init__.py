"""The fault campaign: random faults on a small study, each trial compared with an undisturbed run.

`make torture` runs it and writes its table into `docs/reliability.md`.
"""
