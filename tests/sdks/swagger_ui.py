"""The Swagger UI that `/api/docs` shows: as it is locked here, compressed in the package.

`make reference` runs this and writes the files anew.
"""

import gzip
from collections.abc import Iterator
from pathlib import Path

from analytics.roles.reference import page
from tests.sdks.sdks import HERE

PUBLISHED = HERE / "node_modules" / "swagger-ui-dist"
FILES = Path(str(page.FILES))
COMPRESSED = ("swagger-ui-bundle.js", "swagger-ui.css")
LICENCES = ("LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt")


def contents() -> Iterator[tuple[Path, bytes]]:
    """Each file of the package, and what it holds, inflated."""
    for name in COMPRESSED:
        yield FILES / f"{name}.gz", (PUBLISHED / name).read_bytes()
    texts = [(PUBLISHED / name).read_bytes() for name in LICENCES]
    yield FILES / "swagger-ui.LICENSE.txt", b"".join(texts)


def write() -> None:
    for path, content in contents():
        compressed = path.suffix == ".gz"
        path.write_bytes(gzip.compress(content, 9, mtime=0) if compressed else content)


if __name__ == "__main__":
    write()
