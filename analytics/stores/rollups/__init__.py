"""The precomputed layer: counts and people by hour, day, event and dimension, so that questions need not read raw rows.

`people.py`      actors as numbers                         `recording.py`   a storing transaction's part in it
`cells.py`       a count and a set of people               `deltas.py`      what it leaves behind
`compaction.py`  deltas → rows, rows about the same → one  `compactor.py`   when that is done
`coverage.py`    where it is complete                      `rebuilding.py`  history, and what somebody else changed
`raw.py`         the same, counted from raw rows           `verifying.py`   whether it is true
docs/decisions/0003-rollups.md has the reasons.
"""
