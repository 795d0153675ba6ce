"""What a process keeps of the statements that it runs."""

from sqlalchemy import literal, select

from analytics.queries.database.snapshot import open_engine
from analytics.queries.database.statements import MAX_CHARACTERS, MAX_STATEMENTS, ShortStatements
from analytics.settings import Settings


async def test_only_short_statements_are_kept_and_so_many_of_them(migrated_url: str) -> None:
    engine = open_engine(Settings(), migrated_url)
    kept = engine.get_execution_options()["compiled_cache"]
    assert isinstance(kept, ShortStatements)
    try:
        async with engine.connect() as connection:
            for number in range(2 * MAX_STATEMENTS):
                await connection.execute(select(literal(1).label(f"n{number}")))
            count = len(kept)
            long = select(
                *(literal(1).label(f"n{column}") for column in range(MAX_CHARACTERS // 10))
            )
            assert len(long.compile().string) > MAX_CHARACTERS
            assert (await connection.execute(long)).one()[-1] == 1
    finally:
        await engine.dispose()
    assert MAX_STATEMENTS // 2 < count <= 3 * MAX_STATEMENTS // 2
    assert len(kept) == count


async def test_all_engines_keep_them_in_one_place() -> None:
    one, other = (open_engine(Settings(), "postgresql://nobody@localhost/x") for _ in range(2))
    kept = [engine.get_execution_options()["compiled_cache"] for engine in (one, other)]
    assert kept[0] is kept[1]
