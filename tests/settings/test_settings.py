"""What follows from the values of settings."""

import pytest

from analytics.settings import Settings


def test_port_counts_for_a_role_that_runs_alone() -> None:
    settings = Settings(port=8080)
    assert settings.port_of("api", ["api"]) == 8080
    assert settings.port_of("api", ["api", "collector"]) == 4002


@pytest.mark.parametrize(
    ("given", "starts"),
    [
        ({}, True),
        ({"redis_url": "redis://x"}, False),
        ({"database_url": "postgres://x"}, False),
        ({"environment": "production"}, False),
    ],
)
def test_servers_of_its_own_are_for_development_without_others(
    given: dict[str, str], starts: bool
) -> None:
    assert Settings(**given).embedded is starts  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("span", "days", "monthly"),
    [
        ("auto", 0, True),
        ("auto", 1, False),
        ("auto", 366, False),
        ("auto", 367, True),
        ("month", 1, True),
        ("week", 0, False),
    ],
)
def test_a_partition_holds_a_month_where_weeks_would_be_too_many(
    span: str, days: int, monthly: bool
) -> None:
    assert Settings(partition_span=span, retention_days=days).monthly is monthly
