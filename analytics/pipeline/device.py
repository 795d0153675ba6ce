"""The browser's language and the size of its screen."""

import re

from analytics.pipeline.visit import Visit

_TAG = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8}){0,4}")


def put_language(visit: Visit) -> None:
    """`$language`: the first that the browser accepts."""
    if visit.context.browser and "$language" not in visit:
        accepted = visit.context.headers.get(b"accept-language", b"").decode("latin-1")
        first = accepted.partition(",")[0].partition(";")[0].strip()
        visit.put("$language", first if _TAG.fullmatch(first) else None)


def put_screen(visit: Visit) -> None:
    """`$screen`, such as `1280x720`, from `$screen_width` and `$screen_height`."""
    if "$screen" in visit or "$screen_width" not in visit:
        return
    width, height = visit.value("$screen_width"), visit.value("$screen_height")
    if all(isinstance(side, int) and 0 < side < 100_000 for side in (width, height)):
        visit.put("$screen", f"{width}x{height}")
