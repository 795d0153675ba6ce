"""Events: the newest events that pass the filters, and one event by id.

`events.py`  the questions                `walk.py`  the newest rows, found day by day
"""
