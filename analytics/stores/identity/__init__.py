"""Identity: which actors are one person, by what events say, in whatever order they are stored.

`claims.py`      what an event says about identity
`resolution.py`  the person behind each name, from all claims and aliases
`links.py`       stores both, in the transaction that stores the events

docs/identity.md has the rules, docs/decisions/0009-identity.md the reasons.
"""
