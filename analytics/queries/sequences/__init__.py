"""Rows of each person or session in order, as columns, for questions that follow people.

`packed_days.py`  loads the days of a range as columns
`columns.py`      the columns, and the threads that work on them
`sequences.py`    the rows of each person or session in order
`fragments.py`    sessions, put together from their fragments
"""
