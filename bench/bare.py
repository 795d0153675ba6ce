"""The limit of a collector: a bare route on the same server, which reads a body and says ok."""

import sys

from starlette.types import Receive, Scope, Send

from analytics import server
from analytics.settings import Settings


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """An ASGI app that does as little as an answer needs."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    while (await receive()).get("more_body"):
        pass
    await send(
        {
            "type": "http.response.start",
            "status": 202,
            "headers": [(b"content-type", b"text/plain"), (b"content-length", b"2")],
        }
    )
    await send({"type": "http.response.body", "body": b"ok"})


class State:
    """What the server tells an app when it stops."""

    ready = True


class Bare:
    state = State()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await bare(scope, receive, send)


def main() -> None:
    port = int(sys.argv[1])
    settings = Settings(port=port)
    listener = server.bind("collector", settings, port)
    server.run(server.serve({"collector": Bare()}, {"collector": listener}, settings))  # type: ignore[dict-item]


if __name__ == "__main__":
    main()
