"""Export: all events of a range as a file.

`export.py`  the question                 `formats.py`  NDJSON, CSV, Parquet
"""
