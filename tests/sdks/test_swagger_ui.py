"""The Swagger UI in the package is the locked one, to the byte."""

import gzip

from tests.sdks.swagger_ui import FILES, contents


def test_the_page_has_swagger_ui_as_it_is_published_and_locked() -> None:
    for path, content in contents():
        kept = path.read_bytes()
        assert (gzip.decompress(kept) if path.suffix == ".gz" else kept) == content, path.name
    theirs = {path.name for path in FILES.glob("swagger-ui*")}
    assert theirs == {path.name for path, _ in contents()}
