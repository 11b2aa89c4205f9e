"""The worker process: `python -m decision.sandbox.worker FD MEMORY_BYTES`, messages over the inherited socket."""

from __future__ import annotations

import resource
import signal
import sys
from multiprocessing.connection import Connection

from decision.analysis.analyzer import Analyzer
from decision.model.catalog import CatalogSnapshot
from decision.model.errors import AnalysisError, AnalysisFault, LimitExceeded

RECURSION = 5_000


def serve(connection: Connection) -> None:
    """Answers until the other side is gone. A failure of the parser is an answer, too."""
    dialect, limits = connection.recv()
    analyzer = Analyzer(dialect, limits)
    connection.send("ready")
    catalog: CatalogSnapshot | None = None
    while True:
        try:
            text, version, newer, state = connection.recv()
        except (EOFError, OSError):
            return
        if newer is not None or not version:
            catalog = newer
        try:
            answer: object = analyzer.analyze(text, catalog, state)
        except AnalysisError as error:
            answer = type(error)(error.message, hint=error.hint)
        except (MemoryError, RecursionError):
            answer = LimitExceeded("the statement needs too much memory or stack", hint="send a simpler statement")
        except Exception as error:  # noqa: BLE001  a defect must refuse this message, and must not show its text
            answer = AnalysisFault(
                f"analysis of the statement failed ({type(error).__name__})", hint="write it in a plainer form"
            )
        connection.send(answer)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    memory = int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.setrecursionlimit(RECURSION)
    serve(Connection(int(sys.argv[1])))


if __name__ == "__main__":
    main()
