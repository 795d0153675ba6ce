"""Activity: who was active in which buckets.

`lifecycle.py`   new, returning, resurrecting and dormant people
`stickiness.py`  people by the number of buckets they were active in
`actives.py`     the people active in each bucket, for both
"""
