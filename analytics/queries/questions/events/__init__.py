"""Events: the newest events that pass the filters, and one event by id.

`events.py`  the two questions
`walk.py`    finds the newest rows, past days without any
"""
