"""Formats of the data derived from raw events. Pure code: no database, no Redis, no files.

`stores` writes these formats and `queries` reads them; neither imports the other.

`instants.py`    units of time: hours, microseconds
`cells.py`       counts and sets of people: the rows of `rollups`
`sparse.py`      which of these rows a part leaves out
`deltas.py`      what one storing transaction adds to `rollups`
`packed_day.py`  the events of one day as columns
`arrays.py`      runs and distinct values of numpy columns
"""
