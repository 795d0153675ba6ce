"""The docs say what the code does: nothing that can be set, called, measured or answered is
missing, and what is shown runs.
"""

import ast
import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from analytics import __version__, errors, metrics, pipeline
from analytics.cli import COMMANDS, cli
from analytics.embedded import free_port
from analytics.queries import QUESTIONS, Question
from analytics.roles.http import errors as http
from analytics.roles.reference import DOCUMENT
from analytics.settings import SECRETS, SETTINGS, Setting
from tests import prose
from tests.faults.platform import http_get
from tests.waiting import wait_for

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        ROOT / "SECURITY.md",
        *(ROOT / "docs").rglob("*.md"),
    ]
)
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text()


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """What a page's headings are called in links."""
    headings = re.findall(r"^#+ (.*)", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(
    command: click.Command = cli, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            subcommand = command.get_command(context, name)
            assert subcommand is not None
            yield from commands(subcommand, (*path, name))
    else:
        yield path, command


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_stands_in_the_docs_with_its_default(setting: Setting) -> None:
    default = f"`{setting.default}`" if setting.default else ""
    assert f"| `{setting.name}` | {default} | {setting.help} |" in CONFIGURATION


def test_the_docs_name_the_secrets_that_may_be_files() -> None:
    sentence = next(line for line in CONFIGURATION.splitlines() if "NAME_FILE" in line)
    assert all(f"`{name}`" in sentence for name in SECRETS)


@pytest.mark.parametrize(
    ("path", "command"),
    list(commands()),
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_every_command_and_option_stands_in_the_docs(
    path: tuple[str, ...], command: click.Command
) -> None:
    row = next(
        line for line in CONFIGURATION.splitlines() if line.startswith(f"| `analytics {path[0]}")
    )
    assert all(re.search(rf"`(analytics {path[0]} )?{word}\b", row) for word in path[1:])
    for option in (
        parameter for parameter in command.params if isinstance(parameter, click.Option)
    ):
        assert any(name in row for name in option.opts), (
            f"{option.opts[0]} is not in the docs of {' '.join(path)}"
        )


def test_every_metric_stands_in_the_docs_and_no_other() -> None:
    declared = {collector.name for collector in metrics.REGISTRY.get_all()}
    assert set(re.findall(r"^\| `(analytics_\w+)` \|", CONFIGURATION, re.MULTILINE)) == declared


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.path)
def test_every_question_stands_in_the_docs(question: Question) -> None:
    path = re.sub(r":\w+}", "}", question.path)
    assert f"`/api{path}`" in (ROOT / "docs" / "asking.md").read_text()


ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
PACKAGE = ROOT / "analytics"


def parts_of(folder: Path) -> set[str]:
    """The files and folders of a package, as docs write them: `name.py`, `name/`."""
    files = {path.name for path in folder.glob("*.py")} - {"__init__.py"}
    return files | {f"{path.parent.name}/" for path in folder.glob("*/__init__.py")}


def layers_of(contract: dict[str, Any]) -> set[str]:
    """The modules of a contract of import-linter."""
    return {name for layer in contract["layers"] for name in layer.split(" | ")}


CONTRACTS: dict[str, dict[str, Any]] = {
    contract["name"]: contract
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    if contract["type"] == "layers"
}


def test_the_architecture_names_every_part_of_the_package() -> None:
    house = ARCHITECTURE.partition("## The house")[2].partition("## ")[0]
    rows = [line.split("|")[1] for line in house.splitlines() if line.startswith("| `")]
    names = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    assert {name.removeprefix("analytics/") for name in names} == {*parts_of(PACKAGE), "alembic/"}


def test_the_architecture_shows_all_layers_that_are_checked() -> None:
    shown = re.findall(
        r"^`analytics/([\w/]*)`:\n\n```\n(.*?)^```", ARCHITECTURE, re.MULTILINE | re.DOTALL
    )
    assert dict(shown) == {
        "" if name == "layers" else f"{name}/": "".join(f"{line}\n" for line in contract["layers"])
        for name, contract in CONTRACTS.items()
    }


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS)
def test_every_part_of_a_layered_package_has_a_layer(contract: dict[str, Any]) -> None:
    [container] = contract["containers"]
    parts = parts_of(ROOT / container.replace(".", "/")) - {"__main__.py"}
    assert layers_of(contract) == {part.removesuffix("/").removesuffix(".py") for part in parts}


PACKAGES = sorted(path.parent for path in PACKAGE.rglob("__init__.py"))


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_the_tour_of_a_package_leaves_nothing_out(package: Path) -> None:
    """The docstring names every file and folder, unless the package lists it (`listed_in`)."""
    tree = ast.parse((package / "__init__.py").read_text())
    named = set(re.findall(r"`(\w+(?:\.py|/))`", ast.get_docstring(tree) or ""))
    parts = parts_of(package)
    assert named <= parts
    listed = listed_in(package)
    hidden = {part for part in parts if part.removesuffix("/").removesuffix(".py") not in listed}
    assert hidden <= named


def listed_in(package: Path) -> set[str]:
    """The parts of a package that a list in code names, so that its tour need not.

    These are the imports of the package itself, the questions of the api (in `queries`), and the
    commands of the command line.
    """
    text = (package / "__init__.py").read_text()
    if package.name == "questions":
        text = (package.parent / "__init__.py").read_text()
    imports = [node for node in ast.parse(text).body if isinstance(node, ast.ImportFrom)]
    modules = {part for node in imports for part in (node.module or "").split(".")}
    names = {alias.name for node in imports for alias in node.names}
    commands_ = {entry.target.partition(":")[0] for entry in COMMANDS.values()}
    return modules | names | (commands_ if package.name == "commands" else set())


def test_every_verdict_of_the_collector_stands_in_the_docs() -> None:
    used = {
        code
        for source in (ROOT / "analytics" / "protocols").glob("*.py")
        for code in re.findall(r'EventError\(\s*"(\w+)"', source.read_text())
    }
    assert used
    page = (ROOT / "docs" / "collecting.md").read_text()
    assert [code for code in used if f"`{code}`" not in page] == []


def codes_in(source: str) -> Iterator[str]:
    """The codes that a module names: `code="…"` of a call, `"code": "…"` of a body."""
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.keyword)
            and node.arg == "code"
            and isinstance(node.value, ast.Constant)
        ):
            yield str(node.value.value)
        elif isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            yield from (
                str(value.value)
                for key, value in pairs
                if isinstance(key, ast.Constant)
                and key.value == "code"
                and isinstance(value, ast.Constant)
            )


def test_every_error_stands_in_the_docs_and_no_other() -> None:
    page = (ROOT / "docs" / "errors.md").read_text()
    used = {
        code for path in (ROOT / "analytics").rglob("*.py") for code in codes_in(path.read_text())
    } - {"200"}
    used |= (
        {kind.default_code for kind in http.STATUS}
        | {code for code, _ in http.REFUSALS.values()}
        | {"http_error"}
    )
    used |= {"bad_timestamp"}  # of a batch's sent_at, by the judge of events
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == used
    for kind, status in http.STATUS.items():
        assert f"| `{kind.default_code}` | {status} |" in page


def test_every_step_and_every_reason_stands_in_the_docs() -> None:
    page = (ROOT / "docs" / "enrichment.md").read_text()
    steps, dropped = page.split("## Dropped")
    assert re.findall(r"^\| `(\w+)` \|", steps, re.MULTILINE) == [
        step.__name__ for step in pipeline.STEPS
    ]
    assert re.findall(r"^\| `(\w+)` \|", dropped, re.MULTILINE) == list(pipeline.REASONS)
    assert all(meaning in dropped for meaning in pipeline.REASONS.values())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere_and_json_is_json(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not target.startswith("http"):
            file, _, anchor = target.partition("#")
            linked = (page.parent / file).resolve() if file else page
            assert linked.exists(), f"{target} does not exist"
            if anchor:
                assert anchor in anchors(linked), f"{target}: no such heading"
    for block in blocks(page, "json"):
        for line in [block] if block.count("\n{") == 0 else block.splitlines():
            json.loads(line)


BASH = re.compile(r"^ *```bash\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
GIVEN = {"HOME", "PATH", "PWD", "MAINPID"}
"""Variables that a shell or systemd sets."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_names_every_variable_that_its_commands_read(page: Path) -> None:
    text = page.read_text()
    commands_ = "\n".join(BASH.findall(text))
    said = set(re.findall(r"`([A-Za-z_]+)`", BASH.sub("", text)))
    made = set(re.findall(r"(?:^|[\s;(])([A-Za-z_]+)=|\bfor (\w+) in", text, re.MULTILINE))
    read = set(re.findall(r"\$\{?([A-Za-z_]+)", re.sub(r"'[^']*'", "", commands_)))
    assert read <= said | {name for pair in made for name in pair} | GIVEN


def test_the_index_lists_every_page() -> None:
    """The decisions have an index of their own."""
    listed = {
        (index.parent / target).resolve()
        for index in (ROOT / "docs" / "README.md", ROOT / "docs" / "decisions" / "README.md")
        for target in re.findall(r"\]\(([^)\s#]+)\)", index.read_text())
    }
    assert {*PAGES} - listed == {ROOT / "README.md", ROOT / "docs" / "README.md"}


PYTHON = re.compile(
    r"\b(?:None(?!-Match)|True|False|UNSET|NoneType|Struct|tuple|dict|str|int|bool)\b"
)
RAISED = {"ValueError", "Flaw", "EventError", "UsageError", "BadParameter"} | {
    name for name, value in vars(errors).items() if isinstance(value, type)
}


def texts_in(document: Any) -> Iterator[str]:
    """The summaries and descriptions in an OpenAPI document."""
    if isinstance(document, dict):
        yield from (
            value
            for name, value in document.items()
            if name in ("description", "summary") and isinstance(value, str)
        )
        document = list(document.values())
    if isinstance(document, list):
        for value in document:
            yield from texts_in(value)


def messages_in(source: str) -> Iterator[str]:
    """The texts of the errors that a module raises."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in RAISED:
            for part in ast.walk(node):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.value


def test_no_text_for_users_speaks_python() -> None:
    texts = [*texts_in(DOCUMENT)]
    texts += [setting.help for setting in SETTINGS]
    texts += [collector.doc for collector in metrics.REGISTRY.get_all()]
    texts += [entry.help for entry in COMMANDS.values()]
    for _, command in commands():
        texts.append(command.help or "")
        texts += [getattr(parameter, "help", None) or "" for parameter in command.params]
    for path in PACKAGE.rglob("*.py"):
        texts += messages_in(path.read_text())
    assert len(texts) > 500
    assert [text for text in texts if PYTHON.search(text)] == []


def test_nobody_is_told_to_install_a_strangers_package() -> None:
    """`analytics` on the public index is not ours."""
    for path in [*PAGES, *PACKAGE.rglob("*.py")]:
        said = re.search(r"pip install '?analytics|\banalytics\[[a-z]+\]", path.read_text())
        assert said is None, path


def test_the_changelog_has_a_dated_section_for_the_packages_version() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert declared == __version__
    changes = (ROOT / "CHANGELOG.md").read_text()
    unreleased, newest = re.findall(r"^## (.+)$", changes, re.MULTILINE)[:2]
    assert unreleased == "[Unreleased]"
    assert re.fullmatch(rf"\[{re.escape(__version__)}\] - \d{{4}}-\d\d-\d\d", newest)


WRITTEN = {
    name
    for path in (PACKAGE / "pipeline").glob("*.py")
    for name in re.findall(r'"\$(\w+)"', path.read_text())
}
"""Names of metadata that the platform writes itself, without the `$` that they begin with."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_asks_for_what_we_write_without_its_dollar(page: Path) -> None:
    """`metadata.path` has no values where the tracker sends `$path`."""
    assert {"path", "browser", "country"} <= WRITTEN
    asked = re.findall(r"\bmetadata\.(\w+)", page.read_text())
    assert [name for name in asked if name in WRITTEN] == []


def test_the_questions_are_listed_on_their_page() -> None:
    page = (ROOT / "docs" / "questions" / "README.md").read_text()
    pages = {path.name for path in (ROOT / "docs" / "questions").glob("*.md")} - {"README.md"}
    assert set(re.findall(r"^\| \[.+\]\((\w+\.md)\)", page, re.MULTILINE)) == pages


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_sentence_is_too_long_to_be_read_once(page: Path) -> None:
    long = [each.text for each in prose.sentences(page.read_text()) if each.words > prose.MAX_WORDS]
    assert long == []


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """`analytics run` on ports of its own: what the docs' addresses stand for, and KEY."""
    folder = Path("/tmp") / f"analytics-docs-{os.getpid()}"  # noqa: S108 - where the servers' account can go
    ports = {
        name: str(free_port())
        for name in ("COLLECTOR_PORT", "API_PORT", "REALTIME_PORT", "PROCESSOR_PORT")
    }
    env = {
        **{
            name: value
            for name, value in os.environ.items()
            if name not in ("REDIS_URL", "DATABASE_URL")
        },
        **ports,
        "DATA_DIR": str(folder),
    }
    with (tmp_path_factory.mktemp("run") / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "analytics", "run"], cwd=ROOT, env=env, stdout=log, stderr=log
        )
        try:
            wait_for(
                lambda: all(
                    http_get(f"http://127.0.0.1:{port}/health")[0] == 200 for port in ports.values()
                ),
                "analytics run",
            )
            yield {
                "4001": ports["COLLECTOR_PORT"],
                "4002": ports["API_PORT"],
                "4003": ports["REALTIME_PORT"],
                "KEY": (folder / "key").read_text(),
            }
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(40) == 0
            subprocess.run(["rm", "-rf", str(folder)], check=True)


def shell(script: str, running: dict[str, str]) -> str:
    """What a block of shell prints, with the docs' ports replaced by the real ones."""
    script = re.sub(r"127\.0\.0\.1:(\d+)", lambda match: f"127.0.0.1:{running[match[1]]}", script)
    env = {**os.environ, "KEY": running["KEY"]}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_readmes_commands_run_and_answer_as_shown(running: dict[str, str]) -> None:
    send, ask = blocks(ROOT / "README.md", "bash")
    assert json.loads(shell(send, running)) == json.loads(blocks(ROOT / "README.md", "json")[0])
    total = wait_for(
        lambda: json.loads(shell(ask, running))["data"]["series"][0]["total"],
        "the event in an answer",
    )
    assert total == 1


def test_getting_started_runs_and_answers_as_shown(running: dict[str, str]) -> None:
    page = ROOT / "docs" / "getting-started.md"
    send, ask, _ = blocks(page, "bash")
    assert json.loads(shell(send, running)) == json.loads(blocks(page, "json")[0])
    asked = wait_for(
        lambda: next((text for text in [shell(ask, running)] if '"status":"stored"' in text), ""),
        "the event to be stored",
    )
    assert '"total":' in asked
