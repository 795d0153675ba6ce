"""Reading the environment; nothing else does."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analytics.errors import ConfigurationError
from analytics.settings.misspelt import misspelt
from analytics.settings.roles import obstacles
from analytics.settings.settings import Settings
from analytics.settings.table import SECRETS, SETTINGS, Setting

EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 - of the container's own network


def load(env: Mapping[str, str] | None = None, roles: Sequence[str] = ()) -> Settings:
    """Read the environment.

    Raises one ConfigurationError for all variables that are wrong and for all that keeps `roles`
    from running, so that nobody mends one fault a start. Names that look misspelt stand beside.
    """
    env = os.environ if env is None else env
    values, wrong = _read(env)
    # a wrong ENVIRONMENT may mean production: what that needs is named too
    production = values.setdefault("environment", "production") == "production"
    values.setdefault("host", EVERY_ADDRESS if production else "127.0.0.1")
    values.setdefault("shutdown_delay", 5 if production else 0)
    values.setdefault("data_dir", data_folder(env))
    settings = Settings(**values)
    faults = [*wrong.values(), *obstacles(settings, roles, wrong)]
    if faults:
        message = "; ".join([*(fault.message for fault in faults), *misspelt(env)])
        raise ConfigurationError(message, field=faults[0].field) from faults[0].__cause__
    return settings


def is_set(name: str, env: Mapping[str, str] | None = None) -> bool:
    """Whether a variable is set to something."""
    return bool((os.environ if env is None else env).get(name))


def data_folder(env: Mapping[str, str] | None = None) -> Path:
    """The folder of the embedded servers: XDG's data folder, or in /var/lib for root.

    Others cannot enter root's home, and the servers run as another user then.
    """
    if os.geteuid() == 0:
        return Path("/var/lib/analytics")
    env = os.environ if env is None else env
    base = env.get("XDG_DATA_HOME") or str(
        Path(env.get("HOME", "~")).expanduser() / ".local" / "share"
    )
    return Path(base) / "analytics"


def _read(env: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, ConfigurationError]]:
    """The values by the fields of Settings, and the fault of each setting that is wrong."""
    values: dict[str, Any] = {}
    wrong: dict[str, ConfigurationError] = {}
    for setting in SETTINGS:
        try:
            if (value := _value(setting, env)) is not None:
                values[setting.name.lower()] = value
        except ConfigurationError as error:
            wrong[setting.name] = error
    return values, wrong


def _value(setting: Setting, env: Mapping[str, str]) -> Any:
    """What a variable says, typed; None where it is not set and has no default."""
    text = _text(setting, env)
    if text is None:
        return None
    try:
        return setting.read(text)
    except ValueError as error:
        shown = "its value" if setting.name in SECRETS else repr(text)
        raise ConfigurationError(
            f"{setting.name} is wrong ({shown}): {error}", field=setting.name
        ) from error


def _text(setting: Setting, env: Mapping[str, str]) -> str | None:
    """What a variable says, or the file that is named in its place, or its default."""
    value = env.get(setting.name)
    if setting.name in SECRETS and (path := env.get(f"{setting.name}_FILE")):
        if value:
            raise ConfigurationError(
                f"{setting.name} and {setting.name}_FILE are both set; keep one", field=setting.name
            )
        try:
            value = Path(path).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"{setting.name}_FILE cannot be read: {error}", field=f"{setting.name}_FILE"
            ) from error
    if setting.name == "ENVIRONMENT":
        value = value or env.get("NODE_ENV")
    return value or setting.default
