"""Where addresses are served: behind the front door, and by a role itself."""

from analytics.openapi import Object
from analytics.settings import ROLES, Settings

HERE = {"url": "/", "description": "Where this document is served: the front door, or the api"}
FRONT_DOOR = {"url": "/", "description": "Behind the front door, as in production"}

PORTS = {"collector": 4001, "api": 4002, "realtime": 4003, "processor": 4004}


def role(name: str) -> Object:
    """A role itself, at its usual port."""
    return _itself(f"The {name} itself", {"default": str(PORTS[name])})


def any_role() -> Object:
    """Each role itself; the front door does not hand these addresses on."""
    ports = [str(port) for port in PORTS.values()]
    return _itself("Each role itself", {"default": ports[1], "enum": ports})


def sources(settings: Settings) -> list[str]:
    """The collector and realtime themselves, under any host, as a Content-Security-Policy says it.

    Behind the front door they are where the page is, so in production there are none.
    """
    if settings.production:
        return []
    ports = [settings.port_of(name, ROLES) for name in ("collector", "realtime")]
    return [f"http://*:{port}" for port in ports]


def _itself(description: str, port: Object) -> Object:
    return {
        "url": "http://{host}:{port}",
        "description": description,
        "variables": {"host": {"default": "localhost"}, "port": port},
    }
