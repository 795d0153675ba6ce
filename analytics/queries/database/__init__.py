"""Reading: one snapshot of the database for each question, bounded in time and connections.

`snapshot.py` one snapshot                           `lanes.py`     pools for light and heavy questions
`replica.py` until when a replica is complete        `identity.py`  which actors are one person
`memory.py`  what was read before                    `sums.py`      addends put together
"""
