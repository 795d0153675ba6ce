"""Upkeep of derived data: compact, rebuild, verify, pack.

`compaction.py`   deltas become rollups
`parts.py`        rollups become fewer rows
`compactor.py`    when to compact
`coverage.py`     from which day on rollups are complete
`recount.py`      rollups of a day, counted from raw rows
`rebuild.py`      rebuilds old and changed days
`verify.py`       compares rollups and packed days with raw rows
`packer.py`       packs days that are over
`statistics.py`   analyzes tables that changed much
`pruning.py`      removes people whose last event is gone
`living.py`       who has an event

docs/decisions/0003-rollups.md, 0013-columns.md and 0018-corrections.md have the reasons.
"""
