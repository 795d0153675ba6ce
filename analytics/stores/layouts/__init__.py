"""The layouts of raw_events.

`layout.py`     what differs between layouts, and which one a database has
`native.py`     partitions of plain PostgreSQL
`timescale.py`  chunks of TimescaleDB
"""
