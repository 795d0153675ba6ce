"""The campaign, from the page's URL."""

import pytest

from analytics.pipeline.campaign import MAX_FIELDS
from tests.pipeline.cases import Cases, assert_puts
from tests.visits import SERVER

CASES: Cases = {
    "the campaign": (
        {"$url": "https://a.example/?utm_source=n%20l&gclid=G1&x=2"},
        SERVER,
        {"$utm_source": "n l", "$gclid": "G1", "$x": None},
    ),
    "a campaign with blanks and pluses": (
        {
            "$url": "https://a.example/?utm_source=Android+App&utm_term=a%2Bb&utm_campaign=%F0%9F%98%80"
        },
        SERVER,
        {"$utm_source": "Android App", "$utm_term": "a+b", "$utm_campaign": "😀"},
    ),
    "a long click id and a long path": (
        {"$url": f"https://a.example/{'p' * 600}?ttclid={'E_C_P-' * 200}"},
        SERVER,
        {"$path": f"/{'p' * 600}", "$ttclid": "E_C_P-" * 200},
    ),
    "a NUL in a campaign": (
        {"$url": "https://a.example/?utm_term=a%00b"},
        SERVER,
        {"$utm_term": "ab"},
    ),
    "a byte that is not UTF-8": (
        {"$url": "https://a.example/?utm_source=caf%E9&utm_medium=m"},
        SERVER,
        {"$utm_source": "caf\ufffd", "$utm_medium": "m"},
    ),
    "as many parameters as are read": (
        {"$url": "/p?utm_source=s" + "&a=b" * (MAX_FIELDS - 1)},
        SERVER,
        {"$utm_source": "s"},
    ),
    "more parameters": (
        {"$url": "/p?utm_source=s" + "&a=b" * MAX_FIELDS},
        SERVER,
        {"$path": "/p", "$utm_source": None},
    ),
    "capitals": (
        {"$url": "https://a.example/?UTM_Source=x&UTM_CAMPAIGN=y&GCLID=G"},
        SERVER,
        {"$utm_source": "x", "$utm_campaign": "y", "$gclid": "G"},
    ),
    "the first of two": (
        {"$url": "https://a.example/?utm_source=a&UTM_SOURCE=b"},
        SERVER,
        {"$utm_source": "a"},
    ),
    "Matomo's parameters": (
        {
            "$url": "https://a.example/?mtm_campaign=c&mtm_source=s&mtm_medium=m&mtm_content=x"
            "&mtm_keyword=k"
        },
        SERVER,
        {
            "$utm_campaign": "c",
            "$utm_source": "s",
            "$utm_medium": "m",
            "$utm_content": "x",
            "$utm_term": "k",
            "$mtm_campaign": None,
        },
    ),
    "Piwik's parameters": (
        {"$url": "https://a.example/?pk_campaign=c&pk_source=s&pk_kwd=k"},
        SERVER,
        {"$utm_campaign": "c", "$utm_source": "s", "$utm_term": "k"},
    ),
    "a source alone": ({"$url": "/p?source=s"}, SERVER, {"$utm_source": "s", "$source": None}),
    "a referring site": ({"$url": "/p?ref=r"}, SERVER, {"$utm_source": "r", "$ref": None}),
    "parameters of several products": (
        {
            "$url": "/p?ref=1&source=2&pk_source=3&mtm_source=4&utm_source=5"
            "&pk_campaign=6&mtm_campaign=7&utm_campaign="
        },
        SERVER,
        {"$utm_source": "5", "$utm_campaign": "7"},
    ),
    "what the sender said": (
        {"$url": "/p?ref=r&utm_medium=m", "$utm_source": "mine"},
        SERVER,
        {"$utm_source": "mine", "$utm_medium": "m"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_step_puts(name: str) -> None:
    assert_puts(*CASES[name])
