"""What every role's HTTP side shares.

`role.py`         a role as data, and as an ASGI app    `health.py`       health and metrics
`errors.py`       from an error to its response         `responses.py`    JSON responses
`shield.py`       security headers, the last resort     `credentials.py`  the key in a request
`real_client.py`  the client's address behind a proxy   `cors.py`         which pages may send
`headers.py`      headers that come more than once  `slashes.py`       slashes that end a path
`known_host.py`   whom operators' paths are shown to  `paced.py`       streams end with readers
"""
