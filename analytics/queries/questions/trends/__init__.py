"""Trends: a measure over time.

`trends.py`             the question
`lines.py`              one measure over time by group, and its SQL
`source.py`             chooses where lines come from; raw rows
`precomputed_lines.py`  lines from rollups and cached counts
`session_trends.py`     lines of `measure=sessions`, from packed days
"""
