"""Prometheus' own judgement of its configuration, its rules and their tests."""

from pathlib import Path

from tests.deploy.programs import ROOT, find, run


def test_the_configuration_and_the_rules_are_valid() -> None:
    run(find("promtool"), "check", "config", ROOT / "prometheus/prometheus.yml")


def test_every_alert_fires_when_it_should_and_is_silent_otherwise() -> None:
    run(find("promtool"), "test", "rules", ROOT / "tests/deploy/alerts.test.yml")


def test_the_rules_are_well_formed_as_kubernetes_takes_them(tmp_path: Path) -> None:
    """The shell of docs/operations/kubernetes.md wraps each file into a PrometheusRule."""
    import yaml

    page = (ROOT / "docs/operations/kubernetes.md").read_text()
    script = page.partition("# the rules, as a PrometheusRule\n")[2].partition("```")[0]
    assert "kubectl apply" in script
    made = run("bash", "-c", script.replace("kubectl apply -f -", "cat"))
    rules = [rule for rule in yaml.safe_load_all(made) if rule]
    assert [rule["kind"] for rule in rules] == ["PrometheusRule"] * 2
    for rule, name in zip(rules, ("recording", "alerts"), strict=True):
        assert rule["spec"] == yaml.safe_load((ROOT / f"prometheus/{name}.rules.yml").read_text())
