"""The dashboard, the alerts and the documents name numbers that exist, with labels that they have."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from airlock.metrics_collect import LABELS

ROOT = Path(__file__).resolve().parents[2]
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "airlock.json"
NAME = re.compile(r"\bairlock_[a-z0-9_]+")
DURATION = re.compile(r"\d+(ms|s|m|h|d)")


@cache
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "tools" / "reference.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def known() -> dict[str, tuple[str, str, tuple[str, ...]]]:
    found: dict[str, tuple[str, str, tuple[str, ...]]] = reference().metric_names()
    return found


def rules() -> Iterator[tuple[str, dict[str, object]]]:
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        for rule in group["rules"]:
            yield group["name"], rule


def expressions() -> Iterator[tuple[str, str]]:
    for _, rule in rules():
        yield str(rule["alert"]), str(rule["expr"])
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


EXPRESSIONS = list(expressions())


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS, ids=[where for where, _ in EXPRESSIONS])
def test_an_expression_names_numbers_that_exist(where: str, expression: str) -> None:
    """By their kind: buckets of histograms only, rates of what only grows."""
    for name in NAME.findall(expression):
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        kind = known()[name][0] if name in known() else known()[base][0]
        assert (name == base) or kind == "histogram", name
        grows = re.search(rf"(rate|increase)\({name}\b", expression) is not None
        assert not grows or kind != "gauge", f"{name} is a {kind}"


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS, ids=[where for where, _ in EXPRESSIONS])
def test_an_expression_is_well_formed(where: str, expression: str) -> None:
    """Brackets close, in their order; what is summed by is a label."""
    waiting = []
    for letter in re.sub(r'"[^"]*"', '""', expression):
        if letter in "([{":
            waiting.append(letter)
        elif letter in ")]}":
            assert waiting and "([{".index(waiting.pop()) == ")]}".index(letter), expression
    assert not waiting
    for listed in re.findall(r"\bby \(([^)]*)\)", expression):
        assert {label.strip() for label in listed.split(",")} <= LABELS | {"instance", "le"}


def test_an_alert_says_what_to_do() -> None:
    """Each once, with a severity, a summary and where to look."""
    names = [rule["alert"] for _, rule in rules()]
    assert len(names) == len(set(names))
    for _, rule in rules():
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"] in ({"severity": "page"}, {"severity": "ticket"})
        assert isinstance(rule["annotations"], dict)
        assert rule["annotations"].keys() == {"summary", "description"}
        assert DURATION.fullmatch(str(rule.get("for", "1m")))


def test_every_name_of_the_documents_exists() -> None:
    """A document may show the begin of a name with a star."""
    for path in (ROOT / "docs" / "metrics.md", ROOT / "deploy" / "prometheus" / "prometheus.yml"):
        for name in NAME.findall(path.read_text()):
            base = re.sub(r"_(bucket|sum|count)$", "", name)
            assert name in known() or base in known() or any(one.startswith(name) for one in known()), name


def test_every_label_of_the_sources_is_one_that_may_be_shown() -> None:
    """Others are left out of the answer: none can name a principal."""
    for name, (_, text, labels) in known().items():
        assert set(labels) <= LABELS, name
        assert text[:1].isupper() or text[:1].isdigit(), name


def test_the_dashboard_is_whole() -> None:
    """Every panel has a place of its own and a source that can be chosen."""
    dashboard = json.loads(DASHBOARD.read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard["panels"]]
    assert len(places) == len(set(places))
    assert {one["name"] for one in dashboard["templating"]["list"]} == {"datasource", "instance"}


def test_the_scrape_configuration_finds_its_rules() -> None:
    configuration = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    assert [ROOT / "deploy" / "prometheus" / name for name in configuration["rule_files"]] == [ALERTS]
