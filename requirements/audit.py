"""Asks the advisory service about every locked package, by its pinned version: `make audit`. Says
so when nobody could be asked.
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SECONDS = "10"
KNOWN = "Found "
"""How pip-audit begins when it has found something."""


def main() -> None:
    """Raises SystemExit: 1 with the known advisories, 2 when the service could not be asked."""
    lock = HERE / "dev.txt"  # holds main.txt's pins too, which check.py makes sure of
    command = [
        *(sys.executable, "-m", "pip_audit", "--requirement", str(lock)),
        *("--require-hashes", "--disable-pip"),
        *("--timeout", SECONDS, "--progress-spinner", "off"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    sys.stdout.write(done.stdout)
    if done.returncode == 0:
        sys.stdout.write(f"no known advisory for any package of {lock.name}\n")
    elif KNOWN in done.stderr:
        raise SystemExit(done.stderr)
    else:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        sys.stderr.write(
            "NOT AUDITED: the advisory service could not be asked, "
            f"so nothing is known of any package ({reason[:300]})\n"
        )
        raise SystemExit(2)


if __name__ == "__main__":
    main()
