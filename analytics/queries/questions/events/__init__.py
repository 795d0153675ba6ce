"""Events: the newest events that pass the filters, and where the events of one id are.

`events.py`       the newest events
`whereabouts.py`  where the events are that carry one id
`cut.py`          ends a list of rows after so many bytes
`walk.py`         finds the newest rows, past days without any
"""
