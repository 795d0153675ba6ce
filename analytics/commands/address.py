"""Where this machine reaches a role that listens on a host and a port."""

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


def local(host: str, port: int) -> str:
    """`host:port` for a URL; a host that means every address becomes the loopback address."""
    host = _ANY.get(host, host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
