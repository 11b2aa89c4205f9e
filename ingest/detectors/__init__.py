"""Windows, counters and detections over audit events. Pure: no I/O, clock, randomness or logging.

    AuditEvent ──Extraction──▶ Signal: who, when, which measures by how much, which items
    Signal     ──Detections──▶ alerts (AlertRaised), counters of each principal

Both forms run the same two folds: embedded one after the other in one process, distributed with a topic between them,
because a principal's sessions lie in several partitions of the events and its windows must lie in one.

Everything follows from the set of events alone: neither their order (within the grace) nor repetition matters.
"""

from ingest.detectors.extract import Extraction
from ingest.detectors.fold import Detections, Limits
from ingest.detectors.rules import RULES, Rule
from ingest.detectors.signals import Places, Signal

__all__ = ["RULES", "Detections", "Extraction", "Limits", "Places", "Rule", "Signal"]
