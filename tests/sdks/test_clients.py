"""Clients that programs make of openapi.json: no part is dropped, and every answer is read whole.

The document is that of a running api; both clients send to and ask a real platform.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from analytics.queries import QUESTIONS
from tests import node
from tests.faults.platform import API_KEY, Platform, Role, http_get
from tests.sdks.sdks import HERE, VENV
from tests.servers import temporary_folder
from tests.waiting import wait_for

MODULES = HERE / "node_modules"
PROGRAMS = HERE / "programs"
CONFIGURATION = {
    "package_name_override": "analytics_client",
    "content_type_overrides": {"image/gif": "application/octet-stream"},
}
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*")

Calls = dict[str, dict[str, Any]]


class Deployed:
    """A platform, and the document that its api serves."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.folder = platform.folder
        self.collector: Role = platform.role("collector")
        self.api: Role = platform.role("api")
        platform.role("processor")
        self.document = platform.folder / "openapi.json"
        self.document.write_bytes(http_get(f"{self.api.url}/api/openapi.json", key="")[1])

    @property
    def operations(self) -> set[str]:
        paths = json.loads(self.document.read_text())["paths"].values()
        operations = (methods.get("get") or methods["post"] for methods in paths)
        return {operation["operationId"] for operation in operations}

    def run(self, *command: object, **environment: str) -> str:
        """What a program prints, which must not fail."""
        env = {
            **os.environ,
            "PATH": f"{VENV / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "COLLECTOR": self.collector.url,
            "API": self.api.url,
            "KEY": API_KEY,
            **environment,
        }
        words = [str(word) for word in command]
        done = subprocess.run(
            words, cwd=self.folder, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout + done.stderr

    def calls(self, *command: object, **environment: str) -> Calls:
        """What a program told of its calls, by their names."""
        lines = self.run(*command, **environment).splitlines()
        told = [json.loads(line) for line in lines if line.startswith('{"name"')]
        assert len({call["name"] for call in told}) == len(told)
        return {call["name"]: call for call in told}


@pytest.fixture(scope="module")
def deployed() -> Iterator[Deployed]:
    with temporary_folder("clients") as folder, Platform(folder) as platform:
        yield Deployed(platform)


def test_the_document_is_valid(deployed: Deployed) -> None:
    assert "OK" in deployed.run(VENV / "bin" / "openapi-spec-validator", deployed.document)


# openapi-python-client


@pytest.fixture(scope="module")
def package(deployed: Deployed) -> Path:
    """The folder with the package `analytics_client`; a warning is a failure."""
    (deployed.folder / "config.yaml").write_text(json.dumps(CONFIGURATION))
    generated = deployed.folder / "python"
    said = deployed.run(
        *(VENV / "bin" / "openapi-python-client", "generate", "--fail-on-warning"),
        *("--path", deployed.document, "--output-path", generated, "--config", "config.yaml"),
    )
    assert "WARNING" not in said.upper()
    return generated


@pytest.fixture(scope="module")
def python(deployed: Deployed, package: Path) -> Calls:
    """What the client sent and asked: first it sends, and asks when all is stored."""
    program = (VENV / "bin" / "python", PROGRAMS / "generated-python.py")
    sent = deployed.calls(*program, "send", PYTHONPATH=str(package))
    wait_for(deployed.platform.drained, "the queue to drain")
    return sent | deployed.calls(*program, "ask", PYTHONPATH=str(package))


def test_python_has_a_module_for_every_operation_and_a_class_for_every_type(
    deployed: Deployed, package: Path
) -> None:
    modules = {path.stem for path in package.glob("analytics_client/api/*/*.py")} - {"__init__"}
    assert modules == deployed.operations
    models = (package / "analytics_client" / "models" / "__init__.py").read_text()
    schemas = json.loads(deployed.document.read_text())["components"]["schemas"]
    exported = set(re.findall(r'"(\w+)"', models))
    # a name that Python has already gets an underscore
    assert {name for name in schemas if not {name, f"{name}_"} & exported} == set()


def test_python_asks_every_question(python: Calls) -> None:
    names = {
        re.sub(r"\W+", "_", question.path.replace(":path", "")).strip("_") for question in QUESTIONS
    }
    assert names <= {name for name, call in python.items() if call["status"] == 200}


def test_python_reads_every_answer_whole(python: Calls) -> None:
    for name, call in python.items():
        raw = call["raw"]
        if call["type"] in ("str", "bytes"):
            assert call["read"] == raw or name == "pixel", name
        else:
            assert comparable(call["read"]) == comparable(json.loads(raw)), name


def comparable(value: Any) -> Any:
    """A JSON value with instants as instants, however they are written."""
    match value:
        case dict():
            return {name: comparable(part) for name, part in value.items()}
        case list():
            return [comparable(part) for part in value]
        case str() if INSTANT.fullmatch(value):
            return datetime.fromisoformat(value)
    return value


def test_python_hears_what_became_of_its_events(python: Calls) -> None:
    read = {name: call["read"] for name, call in python.items()}
    statuses = {name: call["status"] for name, call in python.items()}
    assert [statuses[name] for name in ("one", "list", "batch", "none", "pixel")] == [
        *(202, 202, 202),
        *(400, 200),
    ]
    assert (read["one"]["accepted"], len(read["one"]["ids"])) == (1, 1)
    assert (read["list"]["accepted"], read["list"]["rejected"][0]["field"]) == (1, "session_id")
    assert (python["none"]["type"], read["none"]["error"]["code"]) == (
        "Refused",
        "no_valid_event",
    )
    assert read["funnel"]["data"]["steps"][1]["n"] == 1
    assert read["events_id"]["data"]["event"]["metadata"] == {
        "plan": "pro",
        "amount": 12.5,
        "é": [1, None],
    }
    assert [step["total"] for step in read["trends_series"]["data"]["series"]] == [3, 3, 1]
    assert (read["users"]["data"]["rows"][0]["id"], bool(read["users"]["data"]["next"])) == (
        "cy",
        True,
    )


def test_python_reads_refusals(python: Calls) -> None:
    for name, status, code in (
        ("wrong", 400, "bad_parameter"),
        ("missing", 404, "no_project"),
        ("stranger", 401, "unauthorized"),
    ):
        call = python[name]
        assert (call["status"], call["type"], call["read"]["error"]["code"]) == (
            status,
            "Failure",
            code,
        )


# openapi-typescript


@pytest.fixture(scope="module")
def typescript(deployed: Deployed, python: Calls) -> Calls:
    """What the program with the types asked; tsc has judged it before it ran."""
    folder = deployed.folder / "typescript"
    folder.mkdir()
    (folder / "node_modules").symlink_to(MODULES)
    (folder / "package.json").write_text('{"type": "module"}')
    shutil.copy(PROGRAMS / "generated-typescript.ts", folder / "program.ts")
    said = deployed.run(
        *(node.node(), MODULES / "openapi-typescript" / "bin" / "cli.js"),
        *(deployed.document, "-o", folder / "analytics.ts"),
    )
    assert "warning" not in said.lower()
    judged = ("--noEmit", "--strict", "--noUncheckedIndexedAccess", "--target", "es2022")
    modules = ("--module", "nodenext", "--allowImportingTsExtensions", "--lib", "es2022,dom")
    tsc = MODULES / "typescript" / "bin" / "tsc"
    deployed.run(node.node(), tsc, *judged, *modules, folder / "program.ts")
    return deployed.calls(node.node(), folder / "program.ts")


def test_typescript_has_every_operation_and_type(deployed: Deployed, typescript: Calls) -> None:
    types = (deployed.folder / "typescript" / "analytics.ts").read_text()
    document = json.loads(deployed.document.read_text())
    for name in deployed.operations:
        assert re.search(rf"^    {name}: \{{", types, re.MULTILINE), name
    for name in document["components"]["schemas"]:
        assert re.search(rf"^        {name}: ", types, re.MULTILINE), name


def test_typescript_asks_every_question_and_reads_what_the_api_says(
    deployed: Deployed, typescript: Calls, python: Calls
) -> None:
    wait_for(deployed.platform.drained, "the queue to drain")
    for question in QUESTIONS:
        name = re.sub(r"\W+", "_", question.path.replace(":path", "")).strip("_")
        call = typescript[name]
        assert call["status"] == 200, name
        if question.streamed:
            assert call["read"].count("\n") >= 4
        else:
            assert set(call["read"]) == {"data", "query", "meta"}
    assert (
        typescript["funnel"]["read"]["data"]
        == json.loads(
            http_get(f"{deployed.api.url}/api/funnel?step=page:view&step=page:buy&order=strict")[1]
        )["data"]
    )
    assert typescript["users_id"]["read"]["data"] == json.loads(python["users_id"]["raw"])["data"]


def test_typescript_knows_the_types_of_what_it_reads(typescript: Calls) -> None:
    told = {name: call["read"] for name, call in typescript.items()}
    assert (typescript["collect"]["status"], told["ids"]) == (202, 1)
    assert (told["totals"][1], told["reached"], told["field"]) == ("string", 1, "by")
