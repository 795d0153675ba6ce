"""Export: all events of a range as a file.

`export.py`   the question, read slice by slice
`formats.py`  NDJSON, CSV and Parquet
"""
