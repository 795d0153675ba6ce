#!/bin/sh
# Writes the lock files of the libraries that tests/sdks runs; package.json names its own versions.
set -eu
cd "$(dirname "$0")"
../../.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
    requirements.in --output-file requirements.txt
PATH="../../.venv/bin:$PATH" npm install --package-lock-only --ignore-scripts --no-audit --no-fund
