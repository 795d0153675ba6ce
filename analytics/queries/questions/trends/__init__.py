"""Trends: a measure over time.

`trends.py`  the question                              `lines.py`           one measure over time, by group
`source.py`  precomputed or raw                        `session_trends.py`  measures of sessions
"""
