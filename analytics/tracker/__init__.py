"""The browser tracker: `tracker.js` is the source; `make tracker` builds `tracker.min.js` from it.

Pages load `tracker.min.js`.
"""

from importlib.resources import files

SCRIPT = files(__name__).joinpath("tracker.min.js").read_bytes()

__all__ = ["SCRIPT"]
