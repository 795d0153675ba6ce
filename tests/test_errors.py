"""What of an error reaches people."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from analytics.errors import driver_error
from analytics.projects import open_engine


async def test_of_a_failed_statement_only_what_the_server_said_is_left(database_url: str) -> None:
    engine = open_engine(database_url)
    try:
        with pytest.raises(DBAPIError) as caught:
            async with engine.connect() as connection:
                await connection.execute(text("SELECT :secret FROM nowhere"), {"secret": "s3"})
    finally:
        await engine.dispose()
    assert str(driver_error(caught.value)) == 'relation "nowhere" does not exist'


def test_another_error_is_itself() -> None:
    error = ConnectionRefusedError("no")
    assert driver_error(error) is error
