"""`analytics people` as a shell runs it."""

import pytest

from tests.commands.test_rollups import run
from tests.stores.conftest import a_job, connected, opened
from tests.stores.identity.test_links import saying


@pytest.fixture
async def joined_url(migrated_url: str) -> str:
    """Ada, her phone, and Ben, whom an alias joined with her by mistake."""
    async with opened(migrated_url) as store:
        await store.write(
            [
                a_job(
                    saying("ada", 5, anonymous_id="phone"),
                    saying("ben", 4, "alias", previous_id="ada"),
                )
            ]
        )
        while await store.compact():
            pass
    return migrated_url


async def persons(url: str) -> dict[str, str]:
    async with connected(url) as connection:
        return dict(await connection.fetch("select actor, person from identity_links"))


async def test_a_name_is_split_off_after_saying_what_goes_and_stays_so_after_a_rebuild(
    joined_url: str,
) -> None:
    out, _ = run(joined_url, "people", "split", "ada", "--from", "ben", "--yes")
    assert [line.split() for line in out] == [
        ["WHAT", "OTHER", "NAME", "USER"],
        ["alias", "ada", "ben"],
        ["links", "removed:", "1"],
    ]
    apart = {"ada": "ada", "phone": "ada", "ben": "ben"}
    assert await persons(joined_url) == apart
    run(joined_url, "rebuild", "--from", "2020-01-01")
    run(joined_url, "verify")
    assert await persons(joined_url) == apart
    out, _ = run(joined_url, "people", "split", "ada", "--project", "default", "--yes")
    assert [line.split() for line in out[1:]] == [
        ["claim", "phone", "ada"],
        ["links", "removed:", "1"],
    ]
    assert set((await persons(joined_url)).items()) == {(name, name) for name in apart}


async def test_nothing_is_removed_without_a_yes(joined_url: str) -> None:
    before = await persons(joined_url)
    _, err = run(joined_url, "people", "split", "ada", status=2)
    assert "pass --yes" in err
    _, err = run(joined_url, "people", "split", "nobody", "--yes", status=1)
    assert "nothing links nobody in the project default" in err
    _, err = run(joined_url, "people", "split", "ada", "--from", "eve", "--yes", status=1)
    assert "nothing links ada with eve in the project default" in err
    for words in (("ada", "--from", ""), ("",)):  # as an unset variable of a shell gives
        _, err = run(joined_url, "people", "split", *words, "--yes", status=2)
        assert "a name is not empty" in err
    run(joined_url, "projects", "create", "shop")
    _, err = run(joined_url, "people", "split", "ada", "--project", "shop", "--yes", status=1)
    assert "nothing links ada in the project shop" in err
    assert await persons(joined_url) == before


async def test_the_links_of_a_name_that_has_very_many_are_not_all_shown(migrated_url: str) -> None:
    async with opened(migrated_url) as store:
        await store.write([a_job(*(saying("ada", 5, anonymous_id=f"d{at}") for at in range(70)))])
    out, _ = run(migrated_url, "people", "split", "ada", "--yes")
    assert out[-2:] == ["and 20 more", "links removed: 70"]
    assert {
        actor for actor, person in (await persons(migrated_url)).items() if actor != person
    } == set()
