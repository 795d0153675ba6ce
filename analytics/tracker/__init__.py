"""The browser tracker: `tracker.js` is its source, `tracker.min.js` what pages load, made of it by
`make tracker`.
"""

from importlib.resources import files

SCRIPT = files(__name__).joinpath("tracker.min.js").read_bytes()

__all__ = ["SCRIPT"]
