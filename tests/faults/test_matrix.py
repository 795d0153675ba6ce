"""Every fault that we promise to survive has tests, and they exist."""

import ast
from functools import cache
from pathlib import Path

import msgspec
import pytest

from tests.faults import proof
from tests.faults.figures import Figures
from tests.faults.matrix import FAULTS, Fault
from tests.faults.platform import ROOT

FETCHING = {"urllib.request", "http.client", "httpx", "httpx2", "aiohttp", "requests"}
CLIENTS = {"client.py", "address.py", "ports.py", "query.py", "api_client.py"}
"""Programs of the operator or of another service, which call us."""


@cache
def functions(file: str) -> set[str]:
    """The names of the tests in a file below tests/, methods by their class."""
    tree = ast.parse((ROOT / "tests" / file).read_text())
    defined = {
        node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assigned = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return defined | assigned


def test_all_faults_are_there() -> None:
    assert [fault.number for fault in FAULTS] == [*range(1, 83)]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault.number))
def test_a_fault_has_tests_that_exist(fault: Fault) -> None:
    assert fault.tests
    for test in fault.tests:
        file, name, *_ = test.split("::")
        assert name in functions(file), f"{test} does not exist"


def test_nothing_that_serves_can_fetch_a_url() -> None:
    for path in (ROOT / "analytics").rglob("*.py"):
        names = {
            alias.name
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        names |= {
            node.module or ""
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom)
        }
        if path.name not in CLIENTS:
            assert not names & FETCHING, f"{path.relative_to(ROOT)} could fetch a URL"


def test_the_proof_is_a_row_for_each_fault_and_names_what_failed_and_what_was_skipped() -> None:
    figures = Figures(acknowledged=1200, kills=20, recovery=1.5)
    ran = [
        proof.Ran(f"tests/{test}[x]", "passed", "", 2.0, figures)
        for fault in FAULTS
        for test in fault.tests
    ]
    page = proof.page(ran, commit="abc", when="today", machine="here")
    assert page.count("| held |") == len(FAULTS)
    assert "| 20 kills" not in page
    ran[0] = msgspec.structs.replace(ran[0], outcome="failed")
    ran = [one for one in ran if "wrong_clocks" not in one.test]
    page = proof.page(ran, commit="abc", when="today", machine="here")
    assert "**failed**" in page
    assert "**not run**" in page
    assert not proof.whole(ran)


def test_the_published_proof_is_of_every_fault() -> None:
    page = Path(ROOT / "docs" / "proof.md").read_text()
    assert [
        line.split("|")[1].strip()
        for line in page.splitlines()
        if line.startswith("| ") and line.split("|")[1].strip().isdigit()
    ] == [str(fault.number) for fault in FAULTS]
    assert "**failed**" not in page
