"""Funnel: how many units take each of several steps.

`funnel.py`    the question
`attempts.py`  how far one unit gets, from rows in PostgreSQL's order
`progress.py`  how far all units get at once, from packed days
`outcomes.py`  the attempts of all units, from either
"""
