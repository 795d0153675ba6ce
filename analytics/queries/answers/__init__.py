"""From a request to its answer: the envelope, and the one layer that caches answers.

`answer.py`       the envelope             `cache.py`    cached, or made once for all who ask
`fingerprint.py`  whether it still holds   `slots.py`    cached answers in Redis
`openapi.py`      all questions, for programs   `hint.py`  where the events are, if not here
"""
