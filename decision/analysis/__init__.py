"""SQL text + catalog + session state to Facts; pure."""

from __future__ import annotations

import decision.analysis.postgres  # noqa: F401  fills the tables of nodes
from decision.analysis.analyzer import Analyzer
from decision.analysis.limits import Limits
from decision.analysis.result import Analysis, BoundValue
from decision.analysis.session import SessionState

__all__ = ["Analysis", "Analyzer", "BoundValue", "Limits", "SessionState"]
