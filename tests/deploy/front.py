"""The shipped nginx configuration on ports of this machine: what it is told to listen on, ask and
write to is replaced, and nothing else.
"""

import re
import shutil
import ssl
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx2

from analytics.embedded import free_port
from tests.deploy.programs import ROOT, find, run
from tests.waiting import PATIENCE_SECONDS

HOST = "analytics.example.com"


class Front:
    """nginx in front of `upstreams`: collector, api, realtime → their ports here."""

    def __init__(
        self,
        folder: Path,
        upstreams: Mapping[str, Sequence[int]],
        *,
        program: str = "nginx",
        trusted: str | None = None,
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.program = find(program)
        self.upstreams = upstreams
        self.trusted = trusted
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.folder / "analytics.crt"))

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def write(self) -> None:
        """The configuration with this machine's ports, and a certificate."""
        shutil.copytree(ROOT / "nginx", self.folder, dirs_exist_ok=True)
        certificate(self.folder)
        self._replace(
            "listen.conf",
            {
                "listen 443 ssl": f"listen 127.0.0.1:{self.port} ssl",
                "/etc/ssl/certs/": f"{self.folder}/",
                "/etc/ssl/private/": f"{self.folder}/",
            },
        )
        folders = ("/tmp/", "/var/cache/nginx/")  # noqa: S108 - as nginx.conf spells them
        self._replace("nginx.conf", dict.fromkeys(folders, f"{self.folder}/"))
        for role, ports in self.upstreams.items():
            line = re.search(
                rf"^ *server {role}:\d+( .*;)$",
                (self.folder / "upstreams.conf").read_text(),
                re.MULTILINE,
            )
            assert line, f"upstreams.conf names no server {role}"
            self._replace(
                "upstreams.conf",
                {line[0]: "\n".join(f"    server 127.0.0.1:{port}{line[1]}" for port in ports)},
            )
        if self.trusted:
            self._replace(
                "addresses.conf",
                {"#     set_real_ip_from 10.0.0.0/8;": f"set_real_ip_from {self.trusted};"},
            )

    def check(self) -> None:
        """`nginx -t`."""
        self.write()
        run(self.program, "-t", "-p", self.folder, "-c", self.folder / "nginx.conf", "-e", "stderr")

    def __enter__(self) -> "Front":
        self.check()
        with (self.folder / "log").open("ab") as log:
            command = [
                self.program,
                "-p",
                str(self.folder),
                "-c",
                str(self.folder / "nginx.conf"),
                "-e",
                "stderr",
                "-g",
                "daemon off;",
            ]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        end = time.monotonic() + PATIENCE_SECONDS
        with self.client() as client:
            while True:
                try:
                    assert client.get("/nginx-health").status_code == 200
                    return self
                except httpx2.TransportError:
                    assert time.monotonic() < end, self.log
                    time.sleep(0.05)

    def __exit__(self, *_: object) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(PATIENCE_SECONDS)

    def client(
        self, headers: Mapping[str, str] | None = None, *, http2: bool = False
    ) -> httpx2.Client:
        return httpx2.Client(
            base_url=self.url,
            verify=self.context,
            headers={"Host": HOST, **(headers or {})},
            timeout=PATIENCE_SECONDS,
            http2=http2,
        )

    def _replace(self, name: str, texts: Mapping[str, str]) -> None:
        path = self.folder / name
        text = path.read_text()
        for old, new in texts.items():
            assert old in text, f"{name} no longer says {old!r}"
            text = text.replace(old, new)
        path.write_text(text)


def certificate(folder: Path) -> None:
    """A self-signed certificate for this machine's address."""
    command = [
        find("openssl"),
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    names = ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST},IP:127.0.0.1"]
    run(*command, *names, "-keyout", folder / "analytics.key", "-out", folder / "analytics.crt")
