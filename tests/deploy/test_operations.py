"""docs/operations: what it names exists."""

import re

import pytest

from analytics.cli import COMMANDS
from analytics.settings import SECRETS, SETTINGS
from tests.deploy.programs import ROOT
from tests.deploy.shipped import compose, read

PAGES = sorted(path.name for path in (ROOT / "docs/operations").glob("*.md"))
FOREIGN = {
    "OWNER_PASSWORD",
    "READER_PASSWORD",
    "POSTGRES_PASSWORD",
    "GRAFANA_PASSWORD",
    "BACKUP",
    "KEY",
    "HOST",
    "REVISION",
    "NODE_ENV",
}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    folder = ROOT / "docs/operations"
    targets = [
        target.partition("#")[0]
        for target in re.findall(r"\]\(([^)\s]+)\)", read(f"docs/operations/{page}"))
        if not target.startswith("http")
    ]
    missing = [
        target
        for target in targets
        if target and not (folder / target).exists() and "performance.md" not in target
    ]
    assert not missing


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_variable_exists(page: str) -> None:
    text = read(f"docs/operations/{page}")
    assert set(re.findall(r"`(?:… )?analytics ([a-z-]+)", text)) <= set(COMMANDS)
    known = {setting.name for setting in SETTINGS} | {f"{name}_FILE" for name in SECRETS} | FOREIGN
    assert set(re.findall(r"`\$?([A-Z][A-Z]+_[A-Z_]+)`", text)) <= known


@pytest.mark.parametrize("page", PAGES)
def test_every_file_and_service_exists(page: str) -> None:
    text = read(f"docs/operations/{page}")
    files = re.findall(
        r"`((?:nginx|k8s|prometheus|dashboards|tests|docs|analytics)/[\w./-]+\.\w+)`", text
    )
    assert not [name for name in files if not (ROOT / name).exists()]
    services = re.findall(
        r"docker compose (?:logs -f|exec(?: -T)?|run --rm|ps|pull) ([a-z]+)", text
    )
    assert set(services) <= set(compose()["services"])


def test_the_index_lists_every_page() -> None:
    assert {
        *re.findall(r"\(([a-z-]+\.md)\)", read("docs/operations/README.md")),
        "README.md",
    } == set(PAGES)
