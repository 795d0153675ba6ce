"""The roles, and what each needs of the settings to run."""

import itertools
from collections.abc import Container, Iterator, Sequence

from analytics.errors import ConfigurationError
from analytics.settings.settings import Settings

ROLES = ("collector", "api", "realtime", "processor")
NEEDS = {
    "collector": ("REDIS_URL",),
    "processor": ("REDIS_URL", "DATABASE_URL"),
    "api": ("DATABASE_URL", "REDIS_URL", "API_KEYS"),
    "realtime": ("REDIS_URL",),
}
"""The settings that each role requires in production."""

SERVERS = ("REDIS_URL", "DATABASE_URL")
"""Those of them that it requires elsewhere too, unless we start servers of our own."""


def obstacles(
    settings: Settings, roles: Sequence[str], wrong: Container[str]
) -> Iterator[ConfigurationError]:
    """What keeps `roles` from running: two of them on one port, and variables that they lack.

    `wrong` are variables that are set to what they cannot be, so nothing is said of their values.
    """
    yield from _shared_ports(settings, roles, wrong)
    yield from _missing(settings, roles, wrong)


def _shared_ports(
    settings: Settings, roles: Sequence[str], wrong: Container[str]
) -> Iterator[ConfigurationError]:
    known = [role for role in roles if f"{role.upper()}_PORT" not in wrong]
    for one, other in itertools.combinations(known, 2):
        if (port := settings.port_of(one, roles)) == settings.port_of(other, roles):
            first, second = f"{one.upper()}_PORT", f"{other.upper()}_PORT"
            message = f"{first} and {second} are both {port}; each role needs a port of its own"
            yield ConfigurationError(message, field=second)


def _missing(
    settings: Settings, roles: Sequence[str], wrong: Container[str]
) -> Iterator[ConfigurationError]:
    given = [name for name in SERVERS if getattr(settings, name.lower()) or name in wrong]
    if not settings.production and not given:
        return
    for name in dict.fromkeys(name for role in roles for name in NEEDS[role]):
        if getattr(settings, name.lower()) or name in wrong:
            continue
        *others, last = (role for role in roles if name in NEEDS[role])
        need = f"{', '.join(others)} and {last} need" if others else f"the {last} needs"
        if settings.production:
            message = f"{name} is not set, and {need} it in production; set {name} or {name}_FILE"
            yield ConfigurationError(message, field=name)
        elif name in SERVERS:
            message = (
                f"{name} is not set, and {need} it; with {' and '.join(given)} unset too, "
                "analytics starts its own servers"
            )
            yield ConfigurationError(message, field=name)
