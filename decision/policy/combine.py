"""How policies' effects combine, on one page. Pure.

The reference that airlock/main.rego is held against. `voices` is what the policies said for each member of the
principal's chain: for each of allow, deny, hold, mask, limit and advice the entries that they added.

- deny beats hold beats allow; without an allow by every member there is no permission, and that is a deny;
- an allow is for the whole message or for the statement at its index; for a message that analysis did not understand
  only allows with `incomplete: true` count, and they must cover each of its statements;
- a hold is met by an approval that covers its rule;
- denies, holds, masks, limits and advice are united: the strongest mask of a target and the smallest limit win.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

Entry = Mapping[str, object]
Voice = Mapping[str, Sequence[Entry]]

STRENGTH = {"email": 0, "last_four": 1, "partial": 2, "hash": 3, "full": 4, "null": 5}


def combine(document: Mapping[str, object], voices: Sequence[Voice]) -> dict[str, object]:
    """The decision in main.rego's form (lists for sets)."""
    denials = _said(voices, "deny")
    held = _said(voices, "hold")
    unmet = [hold for hold in held if hold["rule"] not in _approved(document)]
    permitted = _flat(document) and all(_allows(document, voice.get("allow", ())) for voice in voices)
    if denials or not permitted:
        effect = "deny"
    else:
        effect = "hold" if unmet else "allow"
    results = [_result(kind, entry) for kind in ("deny", "hold", "allow") for entry in _said(voices, kind)]
    if not permitted and not denials:
        results.append({"effect": "deny", "rule": _missing_rule(document)})
    masks = _said(voices, "mask")
    return {
        "effect": effect,
        "results": results,
        "masks": [mask for mask in masks if not any(_outdoes(other, mask) for other in masks)],
        "limits": _limits(_said(voices, "limit")),
        "advice": sorted({str(advice) for voice in voices for advice in voice.get("advice", ())}),
        "holds": unmet,
    }


def _said(voices: Sequence[Voice], kind: str) -> list[Entry]:
    """The union over the chain, each entry once."""
    entries: list[Entry] = []
    for voice in voices:
        entries += [entry for entry in voice.get(kind, ()) if entry not in entries]
    return entries


def _approved(document: Mapping[str, object]) -> Sequence[str]:
    context = cast(Mapping[str, Mapping[str, Sequence[str]]], document["context"])
    return context.get("approval", {}).get("rules", ())


def _flat(document: Mapping[str, object]) -> bool:
    principal = cast(Mapping[str, Sequence[Mapping[str, object]]], document["principal"])
    return all(member["on_behalf_of"] == [] for member in principal["on_behalf_of"])


def _allows(document: Mapping[str, object], grants: Sequence[Entry]) -> bool:
    if document["phase"] != "statement":
        return bool(grants)
    facts = cast(Mapping[str, object], document["statement"])
    statements = cast(Sequence[object], facts["statements"])
    if not facts["complete"]:
        grants = [grant for grant in grants if grant.get("incomplete") is True]
    if facts["complete"] and any("statement" not in grant for grant in grants):
        return True
    covered = [any(grant.get("statement", index) == index for grant in grants) for index in range(len(statements))]
    return bool(covered) and all(covered)


def _missing_rule(document: Mapping[str, object]) -> str:
    facts = cast(Mapping[str, object], document.get("statement", {}))
    return "airlock.default_deny" if facts.get("complete", True) else "airlock.not_understood"


def _result(kind: str, entry: Entry) -> Entry:
    return {"effect": kind, **{name: entry[name] for name in ("rule", "message", "severity", "controls")}}


def _target(mask: Entry) -> tuple[object, ...]:
    return tuple(mask.get(name, "") for name in ("tag", "except_tags", "schema", "table", "column"))


def _outdoes(other: Entry, mask: Entry) -> bool:
    stronger = STRENGTH[str(other["method"])] > STRENGTH[str(mask["method"])]
    return stronger and _target(other) == _target(mask)


def _limits(bounds: Sequence[Entry]) -> dict[str, object]:
    limits: dict[str, object] = {}
    for name in ("rows", "bytes", "timeout_ms"):
        values = [cast(int, bound[name]) for bound in bounds if name in bound]
        if values:
            limits[name] = min(values)
    if any(bound.get("read_only") is True for bound in bounds):
        limits["read_only"] = True
    return limits
