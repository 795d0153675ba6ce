"""The table layouts of raw_events, and which one a database has: a line and a file for each.

`layout.py`     the choice between them
`native.py`     partitions of plain PostgreSQL       `timescale.py`  chunks of TimescaleDB
"""
