"""Where addresses are served: behind the front door, and by a role itself."""

from analytics.openapi import Object

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


def _itself(description: str, port: Object) -> Object:
    return {
        "url": "http://{host}:{port}",
        "description": description,
        "variables": {"host": {"default": "localhost"}, "port": port},
    }
