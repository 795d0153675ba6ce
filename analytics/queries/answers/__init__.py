"""From a request to its answer: the envelope, and the one layer that caches answers.

`answer.py`       the envelope                        `cache.py`        cached answers
`fingerprint.py`  whether a cached one still holds    `flights.py`      requests that ask the same at once
`openapi.py`      all questions, for programs
"""
