"""What one storing transaction writes.

`transaction.py`   the transaction, step by step
`ledger.py`        which ids of clients are known
`rows.py`          events as rows of raw_events
`dead_letters.py`  events that cannot be stored
`stored_jobs.py`   the outcome of each job
`recorder.py`      deltas, numbers of people, links
`people.py`        actors as numbers
`daily.py`         counts per day
"""
