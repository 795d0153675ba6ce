"""Retention: of those who started in a period, how many came back.

`retention.py`  the question, and the sets of actors of each period
`cohorts.py`    who came back in which period, from these sets
"""
