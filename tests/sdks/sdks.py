"""The libraries that are run: what each is called, its program, and where its events' properties
end up.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tests import node

HERE = Path(__file__).parent
VENV = Path(os.environ.get("SDK_VENV", HERE / ".venv"))
EVENTS = 5
PLAN = 'café ☕ 100% & + "all"'
"""A property of every event, of what encodings stumble over."""


class Sdk(msgspec.Struct, frozen=True):
    """One library."""

    package: str
    program: str
    docs: str
    """Its page in docs/sdks."""
    named: bool = True
    """Whether it sends ids, so that what it sends twice is counted once."""
    number: str = "n"
    """The key in metadata that tells one event from another."""
    plan: str = "plan"
    keeps: bool = True
    """Whether it is known to send again what met 503."""
    yields: bool = True
    """Whether it takes 400 for the last word."""
    form: str = "{}"
    """What its product's keys look like."""
    environment: Mapping[str, str] = {}
    label: str = ""
    note: str = ""

    @property
    def name(self) -> str:
        return self.program.partition(".")[0] + "".join(self.environment).lower()

    @property
    def python(self) -> bool:
        return self.program.endswith(".py")

    @property
    def version(self) -> str:
        """As it is locked."""
        if not self.python:
            version: str = json.loads((HERE / "package.json").read_text())["dependencies"][
                self.package
            ]
            return version
        match = re.search(
            rf"^{re.escape(self.package)}==(\S+)",
            (HERE / "requirements.txt").read_text(),
            re.MULTILINE,
        )
        assert match, self.package
        return match[1]

    @property
    def page(self) -> bool:
        """Whether its program is a page in a browser."""
        return self.program.endswith(".page.js")

    def start(self, target: str, token: str, log: Path) -> "subprocess.Popen[bytes]":
        """Its program, which sends EVENTS events to `target` and lives on until its standard input
        is closed.
        """
        runner = (
            [sys.executable, "-m", "tests.sdks.page"]
            if self.page
            else [str(VENV / "bin" / "python") if self.python else node.node()]
        )
        command = [*runner, str(HERE / "programs" / self.program)]
        kept = {
            name: value
            for name, value in os.environ.items()
            if name in ("PATH", "HOME", "LANG", "PYTHONPATH", "CHROMIUM")
        }
        environment = {
            **kept,
            "TARGET": target,
            "TOKEN": token,
            "EVENTS": str(EVENTS),
            "PLAN": PLAN,
            **self.environment,
        }
        with log.open("wb") as out:
            return subprocess.Popen(
                command,
                cwd=HERE.parents[1],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=subprocess.STDOUT,
            )


HTTPS_ONLY = "retries over https only, and these runs use http"
CALLER = "only builds requests; the caller sends them, here each once"
BROWSER = " (in Chromium)"

SDKS = (
    Sdk("segment-analytics-python", "segment-python.py", "segment"),
    Sdk("@segment/analytics-node", "segment-node.mjs", "segment"),
    Sdk("@segment/analytics-next", "segment-browser.page.js", "segment", label=BROWSER),
    Sdk("rudder-sdk-python", "rudder-python.py", "segment"),
    Sdk("@rudderstack/rudder-sdk-node", "rudder-node.mjs", "segment"),
    Sdk("@jitsu/js", "jitsu-node.mjs", "segment", keeps=False, label=" (Node)"),
    Sdk("posthog", "posthog-python.py", "posthog"),
    Sdk("posthog", "posthog-python.py", "posthog", environment={"V1": "1"}, label=" (capture v1)"),
    Sdk("posthog-node", "posthog-node.mjs", "posthog"),
    Sdk("posthog-js", "posthog-browser.page.js", "posthog", label=BROWSER),
    Sdk("amplitude-analytics", "amplitude-python.py", "amplitude"),
    Sdk("@amplitude/analytics-node", "amplitude-node.mjs", "amplitude"),
    Sdk("@amplitude/analytics-browser", "amplitude-browser.page.js", "amplitude", label=BROWSER),
    Sdk(
        "mixpanel",
        "mixpanel-python.py",
        "mixpanel",
        keeps=False,
        label=" (Python)",
        note=HTTPS_ONLY,
    ),
    Sdk("mixpanel", "mixpanel-node.mjs", "mixpanel", named=False, keeps=False, label=" (Node)"),
    Sdk("mixpanel-browser", "mixpanel-browser.page.js", "mixpanel", label=BROWSER),
    Sdk("plausible-events", "plausible-python.py", "plausible", named=False, yields=False),
    Sdk(
        "plausible-tracker",
        "plausible-browser.page.js",
        "plausible",
        named=False,
        keeps=False,
        label=BROWSER,
    ),
    Sdk(
        "@plausible-analytics/tracker",
        "plausible-own-browser.page.js",
        "plausible",
        named=False,
        keeps=False,
        label=BROWSER,
    ),
    Sdk("umami-analytics", "umami-python.py", "umami", named=False, keeps=False),
    Sdk("@umami/node", "umami-node.mjs", "umami", named=False, keeps=False),
    Sdk("snowplow-tracker", "snowplow-python.py", "snowplow"),
    Sdk("@snowplow/node-tracker", "snowplow-node.mjs", "snowplow"),
    Sdk("@snowplow/browser-tracker", "snowplow-browser.page.js", "snowplow", label=BROWSER),
    Sdk("ga4mp", "ga4-python.py", "ga4", named=False, keeps=False, form="G-{}:secret"),
    Sdk(
        "matomo-tracker",
        "matomo-node.mjs",
        "matomo",
        named=False,
        keeps=False,
        number="value",
        plan="name",
    ),
    Sdk("cloudevents", "cloudevents-python.py", "cloudevents", keeps=False, note=CALLER),
)
