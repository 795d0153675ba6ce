"""What one storing transaction writes: ledger, rows, dead letters, counts, people and deltas.

`transaction.py`   one transaction, step by step     `rows.py`      events as rows
`ledger.py`        which ids are known               `daily.py`     counts per day
`recorder.py`      deltas, people and identity       `people.py`    actors as numbers
`stored_jobs.py`   the outcome of each job           `dead_letters.py`  what could not be stored
"""
