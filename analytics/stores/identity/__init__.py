"""Identity: which actors are one person, by what events say, whatever the order in which they are
stored.

`claims.py`   what an event claims            `resolving.py`  what all claims together mean
`linking.py`  keeps both, in the transaction that stores the events
docs/identity.md has the rules, docs/decisions/0009-identity.md the reasons.
"""
