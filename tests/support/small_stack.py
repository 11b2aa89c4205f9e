"""Analyses each case of a file in a process of its own, on a thread with a small stack, and says how that ended.

    python -m tests.support.small_stack FILE STACK_KIB

Prints a JSON object a case: `code` of the error ("" for none), `calls` (Python calls made, which no load of the machine
changes), `unknown` (the facts are not complete), or `died` with the signal. A case gets 20 seconds of CPU.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
from pathlib import Path
from typing import Any

from decision.analysis import Analyzer, SessionState
from decision.analysis.redact import redact
from decision.model.errors import AnalysisError
from tests.unit.test_analysis_cases import catalog

CPU_SECONDS = 20


def text_of(case: dict[str, Any]) -> bytes:
    """The text of a case: parts and how often each is repeated ({i} counts from 0, {j} from 1)."""
    if "hex" in case:
        return bytes.fromhex(case["hex"])
    out = []
    for part, times in case["text"]:
        if "{i}" in part or "{j}" in part:
            out += [part.replace("{i}", str(n)).replace("{j}", str(n + 1)) for n in range(times)]
        else:
            out.append(part * times)
    return "".join(out).encode()


def run(case: dict[str, Any]) -> dict[str, Any]:
    """Analyse, advance the session, redact; on this thread."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    text = text_of(case)
    state = SessionState()
    code, unknown = "", False
    sys.setprofile(count)
    try:
        analysis = Analyzer().analyze(text, catalog(), state)
        state.advance(analysis, "I")
        unknown = not analysis.facts.complete
    except AnalysisError as error:
        code = error.code
    redact(text)
    sys.setprofile(None)
    return {"code": code, "calls": calls, "unknown": unknown}


def apart(case: dict[str, Any], stack_kib: int) -> dict[str, Any]:
    """`run` in a fork of this process, on a thread with so small a stack."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        threading.stack_size(stack_kib * 1024)
        thread = threading.Thread(target=lambda: os.write(writer, json.dumps(run(case)).encode()))
        thread.start()
        thread.join()
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answers:
        answer = answers.read()
    _, status = os.waitpid(child, 0)
    found: dict[str, Any] = json.loads(answer) if answer else {"died": os.waitstatus_to_exitcode(status)}
    return found


def main() -> None:
    for line in Path(sys.argv[1]).read_text().splitlines():
        print(json.dumps(apart(json.loads(line), int(sys.argv[2]))), flush=True)


if __name__ == "__main__":
    main()
