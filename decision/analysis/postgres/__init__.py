"""PostgreSQL statements to facts, over libpg_query's tree."""

from __future__ import annotations

from decision.analysis.postgres import calls, ddl, dml, machinery, operators, settings, statements, utility

__all__ = ["calls", "ddl", "dml", "machinery", "operators", "settings", "statements", "utility"]
