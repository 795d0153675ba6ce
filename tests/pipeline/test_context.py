"""A request as the steps know it: whose headers they are."""

from analytics.pipeline import Rules, context_of
from tests.visits import ADDRESS, IPHONE, NOW


def test_a_servers_plausible_hands_on_its_visitors_headers() -> None:
    headers = {b"user-agent": IPHONE.encode(), b"x-forwarded-for": b"198.51.100.4, 10.0.0.1"}
    context = context_of(headers, ADDRESS, NOW, relayed=True, salt=b"salt", rules=Rules())
    assert (context.agent, context.address) == (IPHONE, "198.51.100.4")
    own = context_of(
        {b"user-agent": b"python-requests/2"},
        ADDRESS,
        NOW,
        relayed=True,
        salt=b"salt",
        rules=Rules(),
    )
    assert own.silent
