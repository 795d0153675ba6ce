"""Periodic work on derived data: compact it, rebuild it, verify it, pack days that are over.

`compaction.py`  deltas into rollups             `compactor.py`  when that is done
`coverage.py`    where rollups are complete      `counting.py`   rollups counted from raw rows
`rebuild.py`     history and changed days        `verify.py`     whether rollups equal the raw rows
`packing.py`     packed columns of days that are over
docs/decisions/0003-rollups.md and 0013-columns.md have the reasons.
"""
