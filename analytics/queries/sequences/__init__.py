"""Rows of each person or session in order, as columns, for questions that follow people.

`packed_days.py`  the days of a range as columns      `columns.py`  what is computed from them, in threads
`sequences.py`    rows by person or session           `visits.py`   sessions
"""
