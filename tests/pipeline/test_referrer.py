"""The site that the visitor came from, and its name."""

import pytest

from analytics.pipeline.referrer import source
from tests.pipeline.cases import Cases, assert_puts
from tests.visits import SERVER

CASES: Cases = {
    "the referrer": (
        {"$referrer": "https://www.google.co.uk/search"},
        SERVER,
        {"$referrer_domain": "google.co.uk", "$referrer_source": "Google"},
    ),
    "a referrer nobody knows": (
        {"$referrer": "https://blog.example/x"},
        SERVER,
        {"$referrer_source": "blog.example"},
    ),
    "its own referrer": (
        {"$url": "https://a.example/", "$referrer": "https://www.a.example/b"},
        SERVER,
        {"$referrer_domain": None},
    ),
    "a referrer of the same site, which is named": (
        {"$url": "/a", "$hostname": "shop.example", "$referrer": "https://www.shop.example/b"},
        SERVER,
        {"$referrer_domain": None, "$referrer_source": None},
    ),
    "a referrer of the same site with a port": (
        {"$host": "localhost:3000", "$referrer": "http://localhost:3000/b"},
        SERVER,
        {"$referrer_domain": None},
    ),
    "a referrer of the same site, spelled in another way": (
        {"$url": "https://shop.example/a", "$referrer": "HTTPS://WWW.Shop.example.:443/b"},
        SERVER,
        {"$referrer_domain": None},
    ),
    "a referrer of the same site, whose name ends in the dot of the root": (
        {"$url": "/a", "$hostname": "shop.example.", "$referrer": "https://shop.example/b"},
        SERVER,
        {"$referrer_domain": None},
    ),
    "a referrer of the same site, in other letters": (
        {"$url": "https://xn--mnchen-3ya.example/a", "$referrer": "https://www.München.example/b"},
        SERVER,
        {"$referrer_domain": None},
    ),
    "a referrer of the same site, which is named in other letters": (
        {
            "$url": "/a",
            "$domain": "münchen.example",
            "$referrer": "https://xn--mnchen-3ya.example/",
        },
        SERVER,
        {"$referrer_domain": None},
    ),
    "a referrer of other letters": (
        {"$referrer": "https://www.faß.de/"},
        SERVER,
        {"$referrer_domain": "xn--fa-hia.de", "$referrer_source": "xn--fa-hia.de"},
    ),
    "a referrer of the same site, without its www": (
        {"$url": "https://www.shop.example/a", "$referrer": "https://shop.example/b"},
        SERVER,
        {"$referrer_domain": None},
    ),
    "a referrer of the host that the sender names, not of its domain": (
        {"$host": "a.example", "$domain": "b.example", "$referrer": "https://a.example/"},
        SERVER,
        {"$referrer_domain": None},
    ),
    "a relative referrer": (
        {"$url": "/a", "$hostname": "shop.example", "$referrer": "/b"},
        SERVER,
        {"$referrer_domain": None},
    ),
    "a referrer without its scheme": (
        {"$referrer": "www.google.com/search"},
        SERVER,
        {"$referrer_domain": "google.com", "$referrer_source": "Google"},
    ),
    "a referrer of many characters": (
        {"$referrer": f"https://m.baidu.com/from=844b/{'pu=usm%405/' * 400}"},
        SERVER,
        {"$referrer_domain": "m.baidu.com", "$referrer_source": "Baidu"},
    ),
    "no referrer": ({"$referrer": "$direct"}, SERVER, {"$referrer_domain": None}),
    "an app of Android": (
        {"$referrer": "android-app://com.google.android.gm/"},
        SERVER,
        {"$referrer_domain": "com.google.android.gm", "$referrer_source": "Gmail"},
    ),
    "an app with the page it showed": (
        {"$referrer": "android-app://com.google.android.googlequicksearchbox/https/www.google.com"},
        SERVER,
        {"$referrer_source": "Google"},
    ),
    "an app of iOS": (
        {"$referrer": "ios-app://544007664/youtube/watch"},
        SERVER,
        {"$referrer_domain": "544007664", "$referrer_source": "YouTube"},
    ),
    "an app nobody knows": (
        {"$referrer": "Android-App://Org.Acme.App"},
        SERVER,
        {"$referrer_domain": "org.acme.app", "$referrer_source": "org.acme.app"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_step_puts(name: str) -> None:
    assert_puts(*CASES[name])


def test_sources_have_names_for_their_subdomains_only() -> None:
    assert [
        source(name)
        for name in (
            "m.facebook.com",
            "t.co",
            "com.linkedin.android",
            "310633997",
            "com.whatsapp",
            "notfacebook.com",
            "google.com.evil.example",
        )
    ] == [
        "Facebook",
        "X",
        "LinkedIn",
        "WhatsApp",
        "WhatsApp",
        "notfacebook.com",
        "google.com.evil.example",
    ]


def test_every_address_of_a_site_is_one_referrer() -> None:
    for address in ("news.example", "news.example/", "news.example./item?id=1", "News.example:80"):
        assert_puts(
            {"$referrer": f"https://{address}"}, SERVER, {"$referrer_domain": "news.example"}
        )
