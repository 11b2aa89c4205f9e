"""The console in a real browser, on a running Airlock: what people see and click."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from tests.e2e.support import Running
from tests.support.require import require

pytestmark = pytest.mark.browser

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync")  # fmt: skip
WAIT_MS = 15_000
ATTACK = "<img src=x onerror=document.title='owned'>"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    program = require("Chromium", found, "install Debian's package chromium")
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"), executable_path=program, headless=True, args=list(FLAGS),
            viewport={"width": 1360, "height": 900},
        )  # fmt: skip
        context.set_default_timeout(WAIT_MS)
        expect.set_options(timeout=WAIT_MS)
        yield context
        context.close()


@pytest.fixture
def page(browser: BrowserContext, up: Running) -> Iterator[Page]:
    """A page that is signed in as carol, of dba. No script error and no violation of the page's policy is let pass."""
    browser.clear_cookies()
    made = browser.new_page()
    complaints: list[str] = []
    made.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    made.on("pageerror", lambda error: complaints.append(str(error)))
    console = up.runtime["console"]
    made.goto(f"http://{console['host']}:{console['port']}/")
    made.get_by_label("Token").fill(up.token("carol", groups="dba"))
    made.get_by_role("button", name="Sign in").click()
    expect(made.get_by_role("heading", name="Live")).to_be_visible()
    yield made
    made.close()
    assert complaints == []


def test_a_denial_appears_while_one_looks(page: Page, up: Running, tmp_path: Path) -> None:
    """The feed shows it without a reload; its page tells who, for whom and which rule."""
    page.evaluate("window.stayed = true")
    token = up.token("web-bot", "agent", on_behalf_of="alice")
    connecting = psycopg.connect(up.conninfo(token), autocommit=True)
    with connecting as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("DROP TABLE payments")
    row = page.locator("tr.is-deny", has_text="web-bot")
    expect(row.first).to_contain_text("DROP TABLE payments")
    expect(row.first).to_contain_text("guardrails.drop_critical")
    assert page.evaluate("window.stayed") is True
    shot = page.screenshot(path=tmp_path / "feed.png")
    assert shot.startswith(b"\x89PNG") and len(shot) > 20_000
    row.first.get_by_role("link").click()
    expect(page.get_by_role("heading", name="Rules that spoke")).to_be_visible()
    expect(page.locator(".way")).to_contain_text("for alice")
    expect(page.locator(".tables")).to_contain_text("public.payments")


def test_a_held_statement_is_approved_by_a_click(page: Page, up: Running) -> None:
    """The one who waits goes on as soon as the approver has clicked; markup in a reason does nothing."""
    info = up.conninfo(up.token("dora", groups="developers"))
    outcome: list[str] = []

    def change() -> None:
        with psycopg.connect(info, autocommit=True) as connection:
            connection.execute(f"/* {ATTACK} */ CREATE INDEX console_test ON products (id, category)")
            outcome.append("done")

    page.get_by_role("link", name="Approvals").click()
    asking = threading.Thread(target=change)
    asking.start()
    try:
        card = page.locator("article.ask", has_text="console_test")
        expect(card).to_be_visible()
        expect(card).to_contain_text("approvals.schema_change")
        card.get_by_label("Your reason, recorded with your vote").fill(f"reviewed {ATTACK}")
        card.get_by_role("button", name="Approve").click()
        expect(page.get_by_role("status")).to_contain_text("Your vote is recorded.")
    finally:
        asking.join(60)
    assert outcome == ["done"]
    page.reload()
    expect(page.locator(".closed tr", has_text="console_test")).to_contain_text(f"carol: reviewed {ATTACK}")
    assert page.title() == "Approvals · Airlock"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_telephone(page: Page, scheme: str) -> None:
    """At a width of 400 no page is wider than the screen, in light and dark."""
    page.set_viewport_size({"width": 400, "height": 800})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    for name in ("Live", "Approvals", "Overview"):
        page.get_by_role("link", name=name, exact=True).click()
        expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground))) < 200) == (scheme == "dark")


def test_it_can_be_used_by_keyboard(page: Page) -> None:
    """The first stop is the way past the navigation; the filter works with Enter; one can leave."""
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.get_by_label("Statement, rule or intent").fill("no such statement")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing here in this time")).to_be_visible()
    page.get_by_role("button", name="Sign out").press("Enter")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
