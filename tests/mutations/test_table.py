"""The table of mutations fits the tree as it is; whether each is caught, `make mutations` finds
out.
"""

import ast
from pathlib import Path

import pytest

from tests.mutations.run import PAGE, ROOT, apply, copied
from tests.mutations.table import MUTATIONS, Edit, Mutation


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_every_edit_still_applies_to_what_can_still_be_read(
    mutation: Mutation, tmp_path: Path
) -> None:
    for edit in mutation.edits:
        copy = tmp_path / edit.file
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text((ROOT / edit.file).read_text())
    apply(tmp_path, mutation.edits)
    for path in tmp_path.rglob("*.py"):
        ast.parse(path.read_text())


def test_a_text_that_is_not_there_exactly_once_is_no_mutation(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("twice twice")
    for old in ("twice", "never"):
        with pytest.raises(LookupError):
            apply(tmp_path, [Edit("a", old, "")])


def test_every_test_that_must_notice_is_there() -> None:
    for mutation in MUTATIONS:
        for test in mutation.tests:
            file, _, name = test.partition("::")
            functions = {
                node.name
                for node in ast.walk(ast.parse((ROOT / file).read_text()))
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            }
            assert not name or name.partition("[")[0] in functions, (
                f"{mutation.name}: there is no {test}"
            )


def test_names_are_told_apart_and_the_docs_have_all_of_them() -> None:
    names = [mutation.name for mutation in MUTATIONS]
    assert len(set(names)) == len(names)
    rows = [line.split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| ")][
        1:
    ]
    assert [row[0].removeprefix("| ") for row in rows] == names
    assert not [row for row in rows if "**nobody**" in row[2]]


def test_a_copy_is_whole() -> None:
    with copied() as folder:
        assert (folder / "analytics" / "__init__.py").exists()
        assert not list(folder.rglob("node_modules"))
