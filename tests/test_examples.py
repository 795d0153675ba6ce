"""Every property says on how many examples it is tried.

One that does not would try others in every run, and fail on a busy machine for being slow.
"""

import ast
from collections.abc import Iterator

from tests.faults.platform import ROOT


def _properties() -> Iterator[tuple[str, set[str]]]:
    """Each test that Hypothesis gives examples, with the names of its decorators."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        if {".venv", "node_modules"} & set(path.parts):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                names = {
                    name.id
                    for decorator in node.decorator_list
                    for name in ast.walk(decorator)
                    if isinstance(name, ast.Name)
                }
                if "given" in names:
                    yield f"{path.relative_to(ROOT)}::{node.name}", names


def test_every_property_says_on_how_many_examples_it_is_tried() -> None:
    properties = dict(_properties())
    assert len(properties) > 50
    assert [
        name for name, names in properties.items() if not names & {"examples", "few", "several"}
    ] == []
