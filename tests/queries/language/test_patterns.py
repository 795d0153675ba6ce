"""Patterns read as PostgreSQL reads them, and run in bounded time."""

import random
from collections.abc import AsyncIterator

import asyncpg
import pytest

from analytics.embedded import Postgres
from analytics.queries.language.automata import Pattern
from analytics.queries.language.work import Work

TEXTS = (
    "", "a", "b", "ab", "abc", "aabb", "abab", "A", "aB", "a b", "a.b", "a\nb", "\n", "-", "_",
    "a-b", "7", "a7", "77", "é", "aé b", "€uro", "[x]", "a{2}", "{", "}", "]", "^a$", "\\", "a\\b",
    "\t", "hello world", "pricing", "/pricing?x=1", "aaaaaaaaaa", "ba\n", "\x08", "😀",
)  # fmt: skip

KNOWN = (
    "", "a", "^a", "a$", "^a$", "^$", "a|b", "|a", "()", "(a|b)+$", "^(ab)*$", "^a?b?$", "a{2}",
    "^a{2,3}b{0,1}", "a{1,}$", ".", "^.$", "^.b", "a.b", "[ab]", "[^ab]", "[a-c]+$", "[]x]",
    "[^]x]", "[a-]", "[-a]", "[\\]]", "[[:alpha:]]", "^[[:digit:][:space:]]+$", "[^[:alnum:]_]",
    r"\d", r"\D", r"^\w+$", r"\W", r"\s", r"^\S*$", r"[\d-]", r"\.", r"\\", r"\[", "{", "a{", "}",
    "]", r"\ma", r"b\M", r"\yb", r"\Yb", r"\Aa", r"b\Z", "(?i)AB", "(?i)[a]$", "(?i)[^a]",
    "(?i)[[:upper:]]", "a*?b", "(?:ab)+?$", r"\u0061", r"\U0001F600", "é", "[à-ÿ]", r"\b", r"\B",
    r"\t|\n", "(a*)*b", "(^a|b$)", "a||b", "(|a)b", "^a*", "((a))", "x{0}", "a{0,0}b",
)  # fmt: skip


@pytest.fixture(scope="module")
async def connection(
    postgres_server: Postgres,
) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(postgres_server.url())
    yield connection
    await connection.close()


async def by_postgres(connection: "asyncpg.Connection[asyncpg.Record]", pattern: str) -> list[bool]:
    return [
        row[0]
        for row in await connection.fetch(
            "select t ~ $1 from unnest($2::text[]) with ordinality as u(t, n) order by n",
            pattern,
            TEXTS,
        )
    ]


@pytest.mark.parametrize("pattern", KNOWN)
async def test_a_known_pattern_matches_what_postgres_matches(
    connection: "asyncpg.Connection[asyncpg.Record]", pattern: str
) -> None:
    ours = Pattern(pattern)
    expected = dict(zip(TEXTS, await by_postgres(connection, pattern), strict=True))
    assert {text: ours(text, Work()) for text in TEXTS} == expected


def random_pattern(rng: random.Random, depth: int = 0) -> str:
    atoms = [
        "a",
        "b",
        ".",
        "[ab]",
        "[^a]",
        r"\d",
        r"\w",
        r"\s",
        "-",
        "7",
        "^",
        "$",
        r"\y",
        r"\m",
        r"\M",
        r"\Y",
        "é",
        " ",
        r"\.",
    ]
    parts = []
    for _ in range(rng.randint(0, 3)):
        part = (
            f"({random_pattern(rng, depth + 1)})"
            if depth < 3 and rng.random() < 0.3
            else rng.choice(atoms)
        )
        parts.append(part + rng.choice(["", "", "", "*", "+", "?", "{2}", "{1,2}", "{0,}", "*?"]))
    return "".join(parts) + (
        f"|{random_pattern(rng, depth + 1)}" if depth < 3 and rng.random() < 0.2 else ""
    )


async def test_random_patterns_match_what_postgres_matches(
    connection: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    rng = random.Random(20261123)
    read = 0
    for _ in range(1500):
        pattern = random_pattern(rng)
        try:
            ours = Pattern(pattern)
        except ValueError:
            continue
        read += 1
        expected = dict(zip(TEXTS, await by_postgres(connection, pattern), strict=True))
        assert {text: ours(text, Work()) for text in TEXTS} == expected, pattern
    assert read > 600


@pytest.mark.parametrize(
    "pattern",
    [
        "(", ")", "a)", "[", "[a", "*", "a**", "a|*", "^*", "{2}", "a{2,1}", "a{256}", "a{2",
        "[b-a]", "[[:nope:]]", "\\", r"\q", r"\1", r"\x41", r"\u12", "(?=a)", "(?!a)", "(?<=a)b",
        "(?x)a", "***=a", "[[.a.]]", "[a-c-e]", "((a{99}){99})", "((((){255}){255}){255})",
        "a(?i)b",
    ],
)  # fmt: skip
def test_a_pattern_that_cannot_be_read_alike_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        Pattern(pattern)
