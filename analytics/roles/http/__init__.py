"""What every role's HTTP side shares.

`role.py`         a role as an ASGI app: health, metrics, errors    `cors.py`  which pages may send
`real_client.py`  the client's address behind a proxy
"""
