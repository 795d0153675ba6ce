"""The precomputed layer: counts and people by hour, day, event and dimension, so that questions need not read raw rows.

`people.py`      actors as numbers           `deltas.py`      what a storing transaction leaves for it
`cells.py`       a count and a set of people `compaction.py`  deltas → rows, and rows about the same → one
`coverage.py`    where it is complete        `raw.py`         the same, counted from raw rows
`rebuilding.py`  history, and what somebody else changed      `verifying.py`   whether it is true
docs/decisions/0003-rollups.md has the reasons.
"""
