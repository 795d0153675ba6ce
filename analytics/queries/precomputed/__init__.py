"""Answers from rollups, and from raw rows of unchanged days that were counted before.

`rollup.py`          one query's answer from all of these
`plan.py`            which rows of `rollups` a query needs
`pieces.py`          buckets cut into blocks of rollups and ranges of raw rows
`statements.py`      the SQL that reads them
`cell_reader.py`     rows of `rollups` as cells
`unchanged_days.py`  raw rows counted into cells
`summaries.py`       what is cached of numbers: sums and extremes, or a distribution
`distribution.py`    all numbers, for percentiles
"""
