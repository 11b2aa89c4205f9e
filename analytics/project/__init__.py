"""Events to rows of the fact tables. Pure: no I/O, clock, randomness or logging.

`project(events)` is the whole fold; `Coverage` says which events are new. Whoever stores the rows (embedded runner,
stream sink, rebuild) stores the coverage and its position with them in one transaction.
"""

from analytics.project.coverage import Coverage, Interval
from analytics.project.document import ProjectionError
from analytics.project.fold import Rows, project
from analytics.project.rows import TABLES, DeadLetterRow, Row

__all__ = ["TABLES", "Coverage", "DeadLetterRow", "Interval", "ProjectionError", "Row", "Rows", "project"]
