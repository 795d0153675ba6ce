"""The reference of all addresses: openapi.json, and a page to read it by.

`document.py`   the document: the questions, and what follows
`listing.py`    `/api` lists the questions    `collector.py`  sending events
`realtime.py`   watching events               `operator.py`   health and metrics
`places.py`     where each is served          `page.py`       serves all this, and `/api/docs`
"""

from analytics.roles.reference.document import DOCUMENT
from analytics.roles.reference.page import routes

__all__ = ["DOCUMENT", "routes"]
