"""What can be asked: a query string becomes a struct, and its parts become conditions on rows.

`parameters.py`  from a query string to a query     `query.py`       what all queries share
`times.py`       durations, and times as shown     `intervals.py`   buckets
`fields.py`      the fields of an event             `filters.py`     which rows count
`matching.py`    filters without a database         `membership.py`  the person or session of a row
`patterns.py`    regular expressions, parsed        `automata.py`    and run without a database
`work.py`        how much work that may be          `measures.py`    what is counted
`formula.py`     arithmetic over series
"""
