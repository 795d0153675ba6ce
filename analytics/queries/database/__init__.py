"""The database as queries read it: one snapshot each, bounded in time and connections.

`snapshot.py`  one state of the database        `lanes.py`     pools for light and heavy queries
`replica.py`   up to when a replica is complete `identity.py`  which actors are one person
`memory.py`    what earlier queries read        `sums.py`      counts and people, added up
`texts.py`     bounds values by bytes           `estimates.py` whether PostgreSQL knows table sizes
`epoch.py`     whether acknowledged events may be lost
`statements.py` which statements stay compiled
"""
