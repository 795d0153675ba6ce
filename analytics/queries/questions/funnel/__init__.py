"""Funnel: how many units take each of several steps.

`funnel.py`    the question                 `attempts.py`  how far one unit gets
`progress.py`  how far all units get at once
"""
