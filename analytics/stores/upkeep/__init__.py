"""Upkeep: compact, rebuild, verify and pack derived data, and compare with Redis.

`compaction.py`   deltas become rollups
`parts.py`        rows of rollups that were written together
`merger.py`       rollups become fewer rows
`compactor.py`    when to compact
`coverage.py`     from which day on rollups are complete
`recount.py`      rollups of a day, counted from raw rows
`rebuild.py`      rebuilds old and changed days
`verify.py`       compares rollups and packed days with raw rows
`packer.py`       packs days that are over
`statistics.py`   analyzes tables that changed much
`pruning.py`      removes people whose last event is gone
`living.py`       who has an event
`epoch.py`        whether Redis still holds what it held

docs/decisions/0003-rollups.md, 0013-columns.md, 0018-corrections.md and 0022-epoch.md
have the reasons.
"""
