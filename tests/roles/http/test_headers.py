"""Headers that come more than once."""

from analytics.roles.http.headers import by_name, joined

LINES = [
    (b"x-forwarded-for", b"192.0.2.1"),
    (b"host", b"a"),
    (b"x-forwarded-for", b"198.51.100.7, 10.0.0.1"),
    (b"host", b"b"),
]


def test_the_lines_of_a_list_are_one_list_in_their_order() -> None:
    assert joined(LINES, b"x-forwarded-for") == b"192.0.2.1, 198.51.100.7, 10.0.0.1"
    assert joined(LINES, b"x-real-ip") == b""


def test_of_a_header_that_is_no_list_the_last_line_counts() -> None:
    assert by_name(LINES) == {
        b"x-forwarded-for": b"192.0.2.1, 198.51.100.7, 10.0.0.1",
        b"host": b"b",
    }
    assert by_name([(b"host", b"a")]) == {b"host": b"a"}
