"""Formats of data that is derived from raw events, shared by those who write it and those who read
it. No I/O.

`instants.py`    hours and microseconds                  `cells.py`   counts and people: a row of rollups
`packed_day.py`  the rows of one day as columns          `deltas.py`  what one transaction adds to rollups
"""
