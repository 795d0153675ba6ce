"""Activity: who was active in which buckets.

`lifecycle.py`   new, returning, resurrecting, dormant      `stickiness.py`  active in how many buckets
`actives.py`     who was active in each bucket
"""
