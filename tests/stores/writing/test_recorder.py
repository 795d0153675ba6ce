"""What is recorded of rows lives and dies with their transaction."""

from analytics.stores import PostgresStore
from tests.stores.conftest import a_job, an_event, ask
from tests.stores.upkeep.test_rollups import checked


async def test_a_transaction_that_fails_leaves_neither_people_nor_deltas(
    store: PostgresStore,
) -> None:
    await store.write([a_job(an_event(user_id="first"))])
    async with store._pool.acquire() as connection:
        undone = connection.transaction()
        await undone.start()
        recorded = await store._recorder.record(connection, [an_event(user_id="never")])
        await undone.rollback()
    assert recorded.people["default", "never"] == 1
    await store.write([a_job(an_event(user_id="second"))])
    assert await ask(store, "SELECT array_agg(actor || number ORDER BY number) FROM people") == [
        "first0",
        "second1",
    ]
    await store.compact()
    await checked(store)
