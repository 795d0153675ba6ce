"""Who is whom: which actors are one person, by what events say, whatever the order in which they are stored.

`saying.py`     what an event says          `resolving.py`  what all of it together means
`linking.py`    keeps both, in the transaction that stores the events
docs/identity.md has the rules, docs/decisions/0009-identity.md the reasons.
"""
