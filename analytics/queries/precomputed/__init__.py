"""Answers from rollups, and from days whose raw rows were counted before.

`rollup.py`        what is precomputed                 `plan.py`    whether it can answer
`pieces.py`        which part of a bucket it covers    `addends.py` the statements that read it
`settled_days.py`  raw rows of unchanged days          `figures.py` sums and percentiles of numbers
"""
