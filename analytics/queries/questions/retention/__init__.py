"""Retention: of those who started in a period, how many came back.

`retention.py`  the question              `cohorts.py`  who came back in which period
"""
