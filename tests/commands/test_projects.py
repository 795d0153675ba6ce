"""`analytics projects` as a shell runs it, on a real database."""

import json

from tests.commands.shell import Run


def test_projects_are_made_once_and_listed(analytics: Run) -> None:
    assert "made project shop" in analytics("projects", "create", "shop").stdout
    assert "already" in analytics("projects", "create", "shop", status=1).stderr
    assert "shop" in analytics("projects", "list").stdout
    assert "shop" in [
        project["name"] for project in json.loads(analytics("projects", "list", "--json").stdout)
    ]
