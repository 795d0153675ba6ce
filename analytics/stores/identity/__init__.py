"""Identity: which actors are one person, by what events say, in whatever order they are stored.

`claims.py`      what an event says about identity
`resolution.py`  names joined into persons, and the name that a person goes by
`persons.py`     brings the stored links in line with claims and aliases, at a bounded cost
`statements.py`  the statements for that
`links.py`       stores all three, in the transaction that stores the events
`splits.py`      takes apart what was joined wrongly

docs/identity.md has the rules, docs/decisions/0009-identity.md the reasons.
"""
