"""The run itself: what a broken copy prints is no reason to end."""

from tests.mutations.run import FAILED, copied, run


def test_a_test_that_prints_bytes_which_are_no_text_is_a_trial_as_any_other() -> None:
    with copied() as folder:
        (folder / "tests" / "test_bytes.py").write_text(
            "import os\n\n\ndef test_bytes():\n    os.write(2, b'\\x9b')\n    assert False\n"
        )
        status, output = run(folder, ["-s", "tests/test_bytes.py"])
    assert status == FAILED
    assert "\\x9b" in output
