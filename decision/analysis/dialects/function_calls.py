"""Calls of functions: by which name, and with which effects."""

from __future__ import annotations

from sqlglot import exp

from decision.analysis.dialects.functions import ORIGINAL, effects_of
from decision.analysis.dialects.walk import Walk
from decision.model.facts import Effect

_FUNCTION_EFFECTS: tuple[tuple[str, tuple[Effect, ...]], ...] = (
    ("AI", (Effect.NETWORK, Effect.OPAQUE)),
    ("Generate", (Effect.NETWORK, Effect.OPAQUE)),
    ("ML", (Effect.OPAQUE,)),
    ("Predict", (Effect.OPAQUE,)),
    ("Features", (Effect.OPAQUE,)),
    ("VectorSearch", (Effect.OPAQUE,)),
    ("ToFile", (Effect.READS_FILES,)),
    ("Read", (Effect.READS_FILES, Effect.NETWORK)),
    ("NextValueFor", (Effect.WRITES,)),
    ("DynamicIdentifier", (Effect.DYNAMIC_SQL, Effect.OPAQUE)),
    ("GetExtract", (Effect.OPAQUE,)),
    ("Secret", (Effect.OPAQUE,)),
    ("CombinedAggFunc", ()),
)
_HARMLESS = frozenset({"GenerateSeries", "GenerateDateArray", "GenerateTimestampArray"})


def function_name(node: exp.Func) -> tuple[str, str]:
    """(schema, name) as the text has it, in lower case; a class of sqlglot gives its usual name."""
    if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc | exp.CombinedAggFunc):
        path = node.name if isinstance(node.this, exp.Expr) else str(node.this)
        schema, _, name = path.lower().rpartition(".")
        return schema, name
    written = node.meta.get(ORIGINAL)
    return "", written.lower() if isinstance(written, str) else node.sql_name().lower()


def call(walk: Walk, node: exp.Func, schema: str, name: str) -> tuple[Effect, ...]:
    """Notes the call; its effects. What isn't known is opaque, and unresolved unless the catalog knows its language."""
    record = walk.record
    if isinstance(node, exp.And | exp.Or | exp.Case | exp.If | exp.Cast | exp.Xor):
        return ()
    full = f"{schema}.{name}" if schema else name
    effects = effects_of(walk.dialect, full)
    if not isinstance(node, exp.Anonymous | exp.AnonymousAggFunc) and not schema:
        names = [name, *(one.lower() for one in node.sql_names())]
        effects = next((e for one in names if (e := effects_of(walk.dialect, one))), effects)
        if effects is None:
            kind = type(node).__name__
            starts = (e for prefix, e in _FUNCTION_EFFECTS if kind.startswith(prefix) and kind not in _HARMLESS)
            effects = next(starts, ())
    if effects is None:
        effects = (Effect.OPAQUE,)
        record.unresolved(walk.shown(name), "what this function does is not known")
    record.call(schema, name, effects)
    flagged = {
        Effect.READS_FILES: "file", Effect.WRITES_FILES: "file", Effect.OS_COMMAND: "program",
        Effect.NETWORK: "remote", Effect.DYNAMIC_SQL: "dynamic_unknown", Effect.SLEEPS: "dos",
        Effect.KILLS_SESSIONS: "admin", Effect.CHANGES_SETTINGS: "setting",
    }  # fmt: skip
    record.flags.update(flagged[effect] for effect in effects if effect in flagged)
    if name == "nextval":
        record.flags.add("sequence")
    if name in ("get_lock", "release_lock", "release_all_locks"):
        record.flags.add("advisory_lock")
    if Effect.DYNAMIC_SQL in effects:
        record.unresolved(walk.shown(name), "it runs a text that is not read")
    return effects
