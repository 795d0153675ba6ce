"""Years of commits to import, and what an independent count says of them."""

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

ZONES = ("Europe/Berlin", "America/Los_Angeles", "Asia/Kolkata", "Pacific/Auckland", "UTC")


def history(seed: int, events: int = 300) -> list[dict[str, Any]]:
    """Commits of four years by a dozen people in several zones, many of them around midnight and
    around the changes of the clocks.
    """
    dice = random.Random(seed)
    changes = [
        datetime(year, month, day, tzinfo=UTC)
        for year, month, day in (
            (2021, 3, 28),
            (2021, 11, 7),
            (2022, 10, 30),
            (2024, 3, 10),
            (2023, 12, 31),
        )
    ]
    history = []
    for _ in range(events):
        base = (
            dice.choice(changes)
            if dice.random() < 0.5
            else datetime(2021, 1, 1, tzinfo=UTC) + timedelta(days=dice.randrange(1_400))
        )
        moment = (base + timedelta(seconds=dice.randrange(-90_000, 90_000))).astimezone(
            ZoneInfo(dice.choice(ZONES))
        )
        person = f"p{dice.randrange(12)}"
        commit = {
            "id": f"{dice.getrandbits(160):040x}",
            "session_id": f"{person}-{moment:%Y-%m-%d}",
            "event_type": "commit",
            "event_action": dice.choice(("src", "test", "docs")),
            "timestamp": moment.isoformat(),
            "metadata": {
                "repo": dice.choice(("kernel", "shell", "editor")),
                "files": dice.randrange(9),
            },
        }
        history.append(commit | ({"user_id": person} if dice.random() < 0.8 else {}))
    return history


def bucket(moment: datetime, interval: str) -> datetime:
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return (
        midnight.replace(day=1)
        if interval == "month"
        else midnight - timedelta(days=midnight.weekday())
    )


def counted(
    events: list[dict[str, Any]], zone: str, interval: str, by: str | None, users: bool
) -> dict[Any, int]:
    """The independent count: {(bucket's local start, group): events or people}."""
    groups = defaultdict(list)
    for one in events:
        local = datetime.fromisoformat(one["timestamp"]).astimezone(ZoneInfo(zone))
        groups[
            bucket(local, interval).replace(tzinfo=None), one["metadata"][by] if by else None
        ].append(one.get("user_id", one["session_id"]))
    return {key: len(set(actors)) if users else len(actors) for key, actors in groups.items()}
