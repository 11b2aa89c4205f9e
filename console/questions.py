"""What the pages ask of the audit store. Values are always parameters; the texts here are constants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from console.audit import Question, moment

EFFECTS = ("allow", "deny", "hold", "masked")
WINDOWS: Mapping[str, timedelta | None] = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "all": None,
}
PAGE = 60
LONGEST = 200

# A prepared statement that is allowed runs nothing yet: it shows when it is bound.
_FEED = """
WITH picked AS (
  SELECT * FROM decisions
  WHERE NOT (message_kind = 'parse' AND effect = 'allow')
    AND (? IS NULL OR time >= ?)
    AND (? IS NULL OR time < ?)
    AND (? = '' OR effect = ? OR (? = 'masked' AND len(masked) > 0))
    AND (? = '' OR contains(lower(who), lower(?)))
    AND (? = '' OR database = ?)
    AND (? = '' OR contains(lower(statement), lower(?)) OR contains(lower(intent), lower(?))
         OR contains(lower(array_to_string(rules, ' ')), lower(?)))
  ORDER BY time DESC, decision_id DESC LIMIT ?
), ran AS (
  SELECT decision_id, sum(rows) AS rows, sum(duration_ms) AS duration_ms, sum(masked_cells) AS masked_cells,
    arg_max(outcome, time) AS outcome, any_value(sqlstate) FILTER (sqlstate <> '') AS sqlstate
  FROM executions WHERE decision_id IN (SELECT decision_id FROM picked) GROUP BY decision_id
)
SELECT p.*, r.rows, r.duration_ms, r.masked_cells, r.outcome, r.sqlstate
FROM picked p LEFT JOIN ran r USING (decision_id) ORDER BY p.time DESC, p.decision_id DESC
"""


@dataclass(frozen=True, slots=True)
class Filters:
    """What of the feed is looked at. `before` is the time from which older decisions are shown."""

    effect: str = ""
    principal: str = ""
    database: str = ""
    text: str = ""
    window: str = "day"
    before: datetime | None = None

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Filters:
        """From an address; what makes no sense there is left out."""
        effect, window = given.get("effect", ""), given.get("window", "day")
        return cls(
            effect=effect if effect in EFFECTS else "",
            principal=given.get("principal", "").strip()[:LONGEST],
            database=given.get("database", "").strip()[:LONGEST],
            text=given.get("text", "").strip()[:LONGEST],
            window=window if window in WINDOWS else "day",
            before=moment(given.get("before", "")),
        )

    def address(self, **changes: str) -> str:
        """The feed with these filters and `changes` (an empty one takes a filter away)."""
        known = {
            "effect": self.effect,
            "principal": self.principal,
            "database": self.database,
            "text": self.text,
            "window": "" if self.window == "day" else self.window,
            "before": self.before.isoformat() if self.before else "",
        }
        kept = {key: value for key, value in (known | changes).items() if value}
        return "/feed" + ("?" + urlencode(kept) if kept else "")


def feed(filters: Filters, now: datetime) -> Question:
    """One row more than a page holds, newest first, with what the database then did."""
    window = WINDOWS[filters.window]
    since = None if window is None else now - window
    f = filters
    values: list[object] = [since, since, f.before, f.before, f.effect, f.effect, f.effect, f.principal, f.principal]
    values += [f.database, f.database, f.text, f.text, f.text, f.text, PAGE + 1]
    return _FEED, values


DATABASES: Question = (
    "SELECT database, any_value(environment) AS environment FROM decisions GROUP BY database ORDER BY database", (),
)  # fmt: skip


def decision(decision_id: str) -> dict[str, Question]:
    """Everything about one decision, by what it is."""
    one = (decision_id,)
    return {
        "decision": ("SELECT * FROM decisions WHERE decision_id = ?", one),
        "statements": ("SELECT * FROM statements WHERE decision_id = ? ORDER BY statement_index", one),
        "rules": (
            "SELECT rule, effect, severity, message, controls FROM decision_rules WHERE decision_id = ? "
            "ORDER BY effect = 'allow', rule",
            one,
        ),
        "tables": (
            "SELECT schema_name, table_name, any_value(kind) AS kind, list(DISTINCT access ORDER BY access) AS access, "
            "list(DISTINCT via ORDER BY via) AS via, flatten(list(tags)) AS tags "
            "FROM table_access WHERE decision_id = ? GROUP BY ALL ORDER BY schema_name, table_name",
            one,
        ),
        "columns": (
            "SELECT schema_name, table_name, column_name, list(DISTINCT usage ORDER BY usage) AS usage, "
            "flatten(list(tags)) AS tags FROM column_access WHERE decision_id = ? "
            "GROUP BY ALL ORDER BY schema_name, table_name, column_name",
            one,
        ),
        "masked": (
            "SELECT statement_index, ordinal, output_name, method, rule, sources, tags FROM masked_reads "
            "WHERE decision_id = ? ORDER BY statement_index, ordinal",
            one,
        ),
        "executions": ("SELECT * FROM executions WHERE decision_id = ? ORDER BY time", one),
        "session": (
            "SELECT s.* FROM sessions s JOIN decisions d ON d.session_id = s.session_id WHERE d.decision_id = ?",
            one,
        ),
        "events": (
            "SELECT e.time, e.type, e.event_id, e.producer_id, e.epoch, e.seq, hex(e.hash) AS hash, e.size "
            "FROM events e, (SELECT time, session_id FROM decisions WHERE decision_id = ?) d "
            "WHERE e.causation_id = ? OR (e.type = 'StatementDecided' AND e.time = d.time "
            "AND e.correlation_id = d.session_id) ORDER BY e.time, e.seq",
            (decision_id, decision_id),
        ),
    }


HOURS = 24

_PER_HOUR = """
SELECT date_diff('hour', date_trunc('hour', ?::TIMESTAMPTZ), date_trunc('hour', time)) AS hour, count(*) AS n
FROM {} WHERE time >= date_trunc('hour', ?::TIMESTAMPTZ) GROUP BY hour
"""
_DENIALS_PER_HOUR = _PER_HOUR.format("denials")
_MASKED_PER_HOUR = _PER_HOUR.format("masked_reads")


def overview(now: datetime) -> dict[str, Question]:
    """The last day: figures, denials and masked reads per hour, the rules and the principals seen most."""
    since = now - timedelta(hours=HOURS - 1)
    hour = since.replace(minute=0, second=0, microsecond=0)
    return {
        "figures": (
            "SELECT count(*) AS decisions, "
            "(SELECT count(*) FROM denials WHERE time >= ? AND stage = 'statement') AS denials, "
            "count(*) FILTER (effect = 'hold') AS holds, count(*) FILTER (len(masked) > 0) AS masked, "
            "count(DISTINCT (principal_issuer, principal)) AS principals, median(latency_us) AS latency_us "
            "FROM decisions WHERE time >= ? AND NOT (message_kind = 'parse' AND effect = 'allow')",
            (hour, hour),
        ),
        "denials": (_DENIALS_PER_HOUR, (since, since)),
        "masked": (_MASKED_PER_HOUR, (since, since)),
        "rules": (
            "SELECT rule, count(*) AS n, count(DISTINCT who) AS people FROM "
            "(SELECT unnest(rules) AS rule, who FROM decisions WHERE time >= ? AND effect <> 'allow') "
            "GROUP BY rule ORDER BY n DESC, rule LIMIT 8",
            (hour,),
        ),
        "principals": (
            "SELECT who, count(*) AS n, coalesce(any_value(refused.n), 0) AS denials, "
            "count(*) FILTER (len(masked) > 0) AS masked FROM decisions LEFT JOIN "
            "(SELECT who, count(*) AS n FROM denials WHERE time >= ? AND stage = 'statement' GROUP BY who) refused "
            "USING (who) WHERE time >= ? AND NOT (message_kind = 'parse' AND effect = 'allow') "
            "GROUP BY who ORDER BY denials DESC, n DESC, who LIMIT 8",
            (hour, hour),
        ),
    }
