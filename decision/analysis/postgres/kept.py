"""What a session keeps in its settings: `set_config('x.y', ssn, false)`, and later `SHOW x.y` gives it back.

Another session's settings can't be seen. Those of a role or a database can, but hold what was written as a constant:
taking them over from a session that filled them is refused.
"""

from __future__ import annotations

from decision.analysis.effects import SettingFilled
from decision.analysis.flow import CONSTANT, OPAQUE, Flow, Key, Scope, Shape
from decision.analysis.postgres.parse import Node, constant, only
from decision.analysis.postgres.walk import Walk

_READERS = (("pg_catalog", "current_setting"), ("pg_catalog", "pg_show_all_settings"))


def fill(walk: Walk, name: str, flow: Flow) -> None:
    """The setting (empty: any) takes this value."""
    if not flow.sources and not flow.opaque:
        return
    walk.effects.append(SettingFilled(name.lower(), flow.sources, flow.opaque))
    if any(reader in walk.functions for reader in _READERS):
        walk.unresolved("set_config", "a setting is read and given a value of a column in one statement")


def filled(walk: Walk, name: str | None) -> Flow:
    """What the setting (None: any) may hold of columns."""
    if walk.state.overflowed:
        return OPAQUE
    wanted = None if name is None else ("", name.lower())
    sources: frozenset[Key] = frozenset()
    opaque = False
    for effect in (*walk.state.filled, *walk.effects):
        if isinstance(effect, SettingFilled) and (wanted is None or effect.name in wanted or not effect.name):
            sources, opaque = sources | effect.sources, opaque or effect.opaque
    return Flow(sources, opaque=opaque) if sources or opaque else CONSTANT


def setting_call(walk: Walk, scope: Scope, name: str, arguments: list[Node], flows: list[Flow]) -> list[Flow]:
    """What a call of a function about settings adds to its value; what it keeps is remembered."""
    named = _text(arguments[0]) if arguments else None
    if name == "set_config":
        value = flows[1] if len(flows) > 1 else CONSTANT
        if scope.parameters and len(arguments) > 1 and _text(arguments[1]) is None:
            value = OPAQUE  # of a body: where its parameters and variables have their values from is not followed
        fill(walk, named or "", value)
        return []
    return [filled(walk, named if name == "current_setting" else None)]


def with_filled(walk: Walk, shape: Shape) -> Shape:
    """The columns of a view, where it reads settings that this session filled."""
    if not walk.state.filled or not any(reader in walk.functions for reader in _READERS):
        return shape
    kept = filled(walk, None)
    flows = [Flow(f.sources | kept.sources, f.transform, f.opaque or kept.opaque, f.row) for f in shape.flows]
    return Shape(shape.names, flows, shape.open)


def _text(node: Node) -> str | None:
    tag, body = only(node)
    if tag == "TypeCast":
        return _text(body.get("arg", {}))
    return constant(body) if tag == "A_Const" else None


SETTING_CALLS = frozenset({"set_config", "current_setting", "pg_show_all_settings"})
