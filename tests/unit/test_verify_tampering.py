"""Every kind of tampering with every store is named, with the first bad event; what is untouched passes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airlock.verification import Sources, verify, verify_bundle
from analytics.evidence_bundle import write_bundle
from analytics.verify_entries import Report
from analytics.verify_log import custody_of
from tests.support.verify_stores import KEY, START, STEP, Stores, history, make_stores
from tests.support.verify_tamper import copied, tamper

CASES = Path(__file__).parents[1] / "cases" / "verify" / "tampering.jsonl"
LATER = START + 1_000_000 * STEP
COUNT = 600


def cases() -> list[Any]:
    found = []
    for line in CASES.read_text().splitlines():
        case = json.loads(line)
        for mode in ("alone", "with_log"):
            for store, want in case[mode].items():
                name = f"{case['id'].replace(' ', '-')}-{store}-{mode}"
                found.append(pytest.param(case["tamper"], case["at"], store, mode == "with_log", want, id=name))
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Stores:
    stores = make_stores(tmp_path_factory.mktemp("stores") / "data", history(COUNT), hot=0)
    write_bundle(stores.root / "bundle.zip", stores.log, custody_of(stores.log, None), START + 301 * STEP, LATER)
    return stores


def of(stores: Stores, store: str, with_log: bool) -> Sources:
    place = {"journal": stores.journal, "parquet": stores.parquet, "export": stores.export, "log": stores.log}
    sources = Sources(log=stores.log if with_log else None, trusted=KEY.verifier)
    return replace(sources, **{"export" if store == "kafka" else store: place["export" if store == "kafka" else store]})


def checked(stores: Stores, store: str, with_log: bool) -> Report:
    if store == "bundle":
        return verify_bundle(stores.root / "bundle.zip", KEY.verifier, lambda done, total: None)
    reports = verify(of(stores, store, with_log), LATER, lambda _: lambda done, total: None)
    return next(report for report in reports if report.store == store)


@pytest.mark.parametrize(("name", "seq", "store", "with_log", "want"), cases())
def test_tampering_is_named(
    name: str, seq: int, store: str, with_log: bool, want: str, whole: Stores, tmp_path: Path
) -> None:
    """As the case says, alone and against the log."""
    stores = copied(whole, tmp_path / "data")
    tamper(stores, store, name, seq)
    finding = checked(stores, store, with_log).finding
    found = "good" if finding is None else f"{finding.what} {finding.seq}"
    assert found == want, str(finding)


@pytest.mark.parametrize("store", ["journal", "kafka", "parquet", "log", "bundle"])
def test_what_is_untouched_passes(store: str, whole: Stores) -> None:
    """With every event counted once, and vouched for."""
    report = checked(whole, store, store not in ("log", "bundle"))
    assert report.finding is None
    assert (report.events, report.copies, report.beyond) == (300 if store == "bundle" else COUNT, 0, 0)
    assert report.vouched == (0 if store == "log" else report.events)
