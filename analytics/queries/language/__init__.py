"""What can be asked: a query string becomes a struct, and its parts become conditions on rows.

`parameters.py`  a query string into a query         `query.py`       project, range and filters of any question
`times.py`       instants and local time             `intervals.py`   buckets
`fields.py`      the fields of an event              `filters.py`     which rows count
`patterns.py`    regular expressions, parsed         `automata.py`    and run without a database
`matching.py`    filters without a database          `membership.py`  which person or session a row belongs to
`measures.py`    what is counted                     `formula.py`     arithmetic over series
"""
