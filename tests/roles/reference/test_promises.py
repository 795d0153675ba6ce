"""The collector answers as openapi.json says, whatever is sent to it.

`tests/queries/answers/test_openapi.py` has the same of the api.
"""

import msgspec
import pytest

from analytics.roles.reference import DOCUMENT
from tests.faults.platform import Platform
from tests.promises import keeps_promises
from tests.servers import temporary_folder


@pytest.mark.hypothesis
def test_whatever_is_sent_there_is_no_500_and_no_answer_that_it_does_not_foresee() -> None:
    with temporary_folder("promises") as folder, Platform(folder) as platform:
        platform.role("processor")  # it writes the keys that a collector looks up
        collector = platform.role("collector")
        document = folder / "openapi.json"
        document.write_bytes(msgspec.json.encode(DOCUMENT))
        tested = keeps_promises(str(document), collector.url, "^/(collect|health|metrics)", folder)
    assert tested == 5
