"""The bounded mapping keeps the entries used last."""

from analytics.lru import Lru


def test_the_entry_not_used_for_longest_is_dropped_beyond_the_limit() -> None:
    cache: Lru[str, int] = Lru(2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert [key in cache for key in "abc"] == [True, False, True]
    assert len(cache) == 2


def test_a_value_set_again_replaces_the_old_one_and_counts_as_used() -> None:
    cache: Lru[str, int] = Lru(2)
    cache.put("a", 1)
    cache.put("b", 2)
    cache.put("a", 3)
    cache.put("c", 4)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (3, None, 4)


def test_a_dropped_key_is_unknown_and_dropping_it_again_changes_nothing() -> None:
    cache: Lru[str, int] = Lru(2)
    cache.put("a", 0)
    assert cache.get("a") == 0
    cache.drop("a")
    cache.drop("a")
    assert cache.get("a") is None
    assert len(cache) == 0
