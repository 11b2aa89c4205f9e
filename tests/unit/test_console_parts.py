"""The console's small parts: texts, times, figures of a chart, sessions, settings, the socket it listens on."""

from __future__ import annotations

import itertools
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from airlock.pages import bound, listening
from console.chart import BASE, TOP, draw, scale_top
from console.pages import duration, number, reason, visible
from console.questions import Filters
from console.sessions import Sessions
from console.settings import ConsoleSettings
from console.shield import host_name
from decision.model.errors import SettingsError
from decision.model.principal import Authentication, Principal, PrincipalKind
from tests.support.certificates import Authority
from tests.support.service import SetClock


def principal(expires_unix: int = 0) -> Principal:
    how = Authentication("oidc", expires_unix=expires_unix)
    return Principal("urn:test", "carol", PrincipalKind.HUMAN, authentication=how)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("SELECT 1\n\tFROM t", "SELECT 1\n\tFROM t"),
        ("a\x00b\x1b[31m", "a\ufffdb\ufffd[31m"),
        ("user\u202egpj.exe", "user\ufffdgpj.exe"),
        ("zero\u200bwidth", "zero\ufffdwidth"),
        ("größe 数", "größe 数"),
    ],
)
def test_unseen_characters_are_made_visible(text: str, shown: str) -> None:
    """What would change the look of other text stands there as a mark."""
    assert visible(text) == shown


@pytest.mark.parametrize(
    ("ms", "said"),
    [(0.377, "377 µs"), (2.64, "2.6 ms"), (640, "640 ms"), (1500, "1.5 s"), (3_600_000, "60 min"), (None, "")],
)
def test_durations_are_said_as_people_do(ms: float | None, said: str) -> None:
    """A number and the unit that fits it."""
    assert duration(ms) == said


def test_numbers_are_grouped() -> None:
    """By narrow spaces, which no language takes for a decimal sign."""
    assert number(1234567) == "1\u202f234\u202f567"


def test_a_message_does_not_repeat_its_rule() -> None:
    """Beside the rule's name only the reason is said; any other message stays as it is."""
    assert reason("denied by a.b: not here: really", ["a.b"]) == "not here: really"
    assert reason("denied by a.b: not here", ["c.d"]) == "denied by a.b: not here"
    assert reason(None, []) == ""


@pytest.mark.parametrize(
    ("header", "name"),
    [("LocalHost:6480", "localhost"), ("127.0.0.1", "127.0.0.1"), ("[::1]:6480", "::1"), ("a.example.", "a.example"),
     ("", "")],
)  # fmt: skip
def test_the_host_header_is_read(header: str, name: str) -> None:
    """The name alone, in one form."""
    assert host_name(header) == name


@pytest.mark.parametrize(("most", "top"), [(0, 4), (4, 4), (5, 5), (6, 10), (11, 20), (21, 50), (501, 1000)])
def test_the_scale_ends_at_a_round_number(most: int, top: int) -> None:
    """Never below what is drawn."""
    assert scale_top(most) == top


def test_bars_fit_the_drawing() -> None:
    """The highest one touches the top of its scale at most; each hour has its place."""
    chart = draw(datetime(2026, 1, 1, 22, tzinfo=UTC), 24, {0: 10, 23: 3}, {0: 5})
    first, last = chart.bars[0], chart.bars[-1]
    assert (first.denial_height, first.masked_height) == (BASE - TOP, (BASE - TOP) / 2)
    assert last.start == datetime(2026, 1, 2, 21, tzinfo=UTC) and last.label == "21"
    assert all(bar.x >= 0 and bar.x + 2 * bar.width <= 960 for bar in chart.bars)
    assert [value for _, value in chart.ticks] == [0, 5, 10]


def test_filters_survive_the_way_through_an_address() -> None:
    """What is put into a link is what is read from it."""
    from urllib.parse import parse_qsl, urlsplit

    filters = Filters("deny", "a & b", "sh=op", "drop \u00fc", "week", datetime(2026, 1, 1, tzinfo=UTC))
    assert Filters.of(dict(parse_qsl(urlsplit(filters.address()).query))) == filters
    assert Filters.of({"before": "2026-01-01T00:00:00"}).before is None


def test_a_session_lasts_no_longer_than_its_credential() -> None:
    """Whichever ends first ends it."""
    clock = SetClock(1_000 * 10**9)
    sessions = Sessions(clock, map(str, itertools.count()).__next__, 3600, 10)
    short, long = sessions.open(principal(1_060), "x", True), sessions.open(principal(9_999), "x", True)
    clock.move(61)
    assert sessions.find(short.session_id) is None and sessions.find(long.session_id) == long
    clock.move(3600)
    assert sessions.find(long.session_id) is None


def test_sessions_are_bounded() -> None:
    """One more than allowed ends the one that would end soonest."""
    clock = SetClock(0)
    sessions = Sessions(clock, map(str, itertools.count()).__next__, 3600, 2)
    opened = []
    for _ in range(3):
        opened.append(sessions.open(principal(), "x", True))
        clock.move(1)
    assert [sessions.find(one.session_id) is not None for one in opened] == [False, True, True]


def test_a_session_does_not_tell_its_credential() -> None:
    """Not in logs, not in tracebacks."""
    session = Sessions(SetClock(0), lambda: "token", 60, 2).open(principal(), "s3cret", True)
    assert "s3cret" not in repr(session) and "token" not in repr(session)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "::", "console.example"])
def test_beyond_loopback_tls_is_demanded(host: str, tmp_path: Path) -> None:
    """Tokens and the audit trail don't cross a network in clear."""
    with pytest.raises(SettingsError, match="without TLS"):
        ConsoleSettings().check(host)
    pair = Authority(tmp_path).pair("console", "console.example")
    settings = ConsoleSettings(certificate_file=pair.certificate, key_file=pair.key)
    settings.check(host)
    assert settings.tls() is not None


def test_a_certificate_needs_its_key(tmp_path: Path) -> None:
    """Half a pair, or files that are none, are named at the start."""
    with pytest.raises(SettingsError, match="belong together"):
        ConsoleSettings(certificate_file=tmp_path / "x").check("127.0.0.1")
    with pytest.raises(SettingsError, match="can't be used"):
        ConsoleSettings(certificate_file=tmp_path / "x", key_file=tmp_path / "y").tls()


def test_a_taken_port_is_replaced_unless_it_was_asked_for() -> None:
    """By default the console finds room; an address that somebody named is that address or an error."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        wanted = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(SettingsError, match="can't listen on"):
            listening(wanted, exactly=True)
        with listening(wanted, exactly=False) as found:
            assert bound(found).host == "127.0.0.1" and str(bound(found)) != wanted
