"""The rows of days that are over as packed columns: who, when, what, in which session, in order; for questions that follow people.

`day.py`      a day's columns, made of records of its rows    `packing.py`  days packed as they are over, and kept true
docs/decisions/0013-columns.md has the reasons.
"""
