"""What pydantic-ocsf does not check of a record, checked against the schema's own definitions, which it brings along.

Its models take unknown attributes, empty objects and missing alternatives (`at_least_one`), numbers out of range and
`Other` without a word of its own. Here: only known attributes (those of a profile only where `metadata.profiles` names
it), types with their ranges and forms, enumerations with their captions, what is required, constraints, nothing empty,
and the arithmetic of class and type numbers.
"""

from __future__ import annotations

import importlib
import ipaddress
import json
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

Spec = dict[str, Any]

# The package's schema leaves profiles out; the attributes of those that we use (schema.ocsf.io/1.7.0/profiles).
PROFILES: dict[str, dict[str, Spec]] = {
    "security_control": {
        "action_id": {
            "requirement": "recommended",
            "enum": {
                number: {"caption": caption}
                for number, caption in {
                    "0": "Unknown", "1": "Allowed", "2": "Denied", "3": "Observed", "4": "Modified", "99": "Other",
                }.items()
            },
        },
        **{
            name: {}
            for name in (
                "action", "attacks", "authorizations", "confidence", "confidence_id", "confidence_score", "disposition",
                "disposition_id", "firewall_rule", "is_alert", "malware", "malware_scan_info", "policy", "risk_details",
                "risk_level", "risk_level_id", "risk_score",
            )
        },
    }
}  # fmt: skip
EMAIL = re.compile(r"[a-zA-Z0-9!#$%&'*+\-/=?^_`{|}~.]+@[a-zA-Z0-9-]+\.[a-zA-Z0-9\-.]+")
SCALARS: dict[str, Any] = {
    "boolean_t": lambda v: isinstance(v, bool),
    "integer_t": lambda v: type(v) is int and -(2**31) <= v < 2**31,
    "long_t": lambda v: type(v) is int and -(2**63) <= v < 2**63,
    "timestamp_t": lambda v: type(v) is int and -(2**63) <= v < 2**63,
    "port_t": lambda v: type(v) is int and 0 <= v <= 65_535,
    "float_t": lambda v: isinstance(v, int | float),
    "json_t": lambda v: True,
    "email_t": lambda v: isinstance(v, str) and EMAIL.fullmatch(v) is not None,
    "ip_t": lambda v: isinstance(v, str) and _is_ip(v),
}


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


@cache
def schema() -> Spec:
    found: Spec = json.loads((files("ocsf") / "schemas" / "v1_7_0.json").read_text())
    assert found["version"] == "1.7.0"
    return found


@cache
def _definition(kind: str, name: str) -> tuple[dict[str, Spec], Spec]:
    """(attributes, constraints) of an object or event, with what it inherits."""
    spec = schema()[kind].get(name)
    if spec is None:
        assert name == "object", f"the schema has no {kind} {name}"
        return {}, {}
    attributes, constraints = _definition(kind, spec["extends"]) if "extends" in spec else ({}, {})
    attributes = {key: dict(value) for key, value in attributes.items()}
    for key, value in spec["attributes"].items():
        if key.startswith("$"):
            continue
        before = attributes.get(key, {})
        enum = {**before.get("enum", {}), **value.get("enum", {})}
        attributes[key] = {**before, **value, **({"enum": enum} if enum else {})}
    return attributes, spec.get("constraints", constraints)


def class_of(record: Spec) -> str:
    return next(
        name
        for name, spec in schema()["events"].items()
        if (spec.get("uid") == record["class_uid"] % 1000 and _category(name) == record["category_uid"])
        or (name == "base_event" and record["class_uid"] == 0)
    )


def _category(name: str) -> int | None:
    spec = schema()["events"][name]
    if "category" in spec:
        found = schema()["categories_meta"]["attributes"].get(spec["category"])
        return None if found is None else int(found["uid"])
    return _category(spec["extends"]) if "extends" in spec else None


def problems(record: Spec) -> list[str]:
    """What is wrong with a record, with the place of each; empty for a valid one."""
    name = class_of(record)
    attributes, constraints = _definition("events", name)
    for profile in record["metadata"].get("profiles", ()):
        attributes = {**PROFILES[profile], **attributes}
    found = list(_object(name, record, attributes, constraints))
    spec = schema()["events"][name]
    if record["class_uid"] != record["category_uid"] * 1000 + spec.get("uid", 0):
        found.append(f"class_uid {record['class_uid']}")
    if record.get("class_name") != spec["caption"]:
        found.append(f"class_name {record.get('class_name')!r} is {spec['caption']!r}")
    if record.get("type_uid") != record["class_uid"] * 100 + record["activity_id"]:
        found.append(f"type_uid {record.get('type_uid')}")
    return found


def _object(path: str, value: Spec, attributes: dict[str, Spec], constraints: Spec) -> Iterator[str]:
    if not value:
        yield f"{path} is empty"
    for key, item in value.items():
        spec = attributes.get(key)
        if spec is None and not _is_caption(key, attributes):
            yield f"{path}.{key} is no attribute"
            continue
        yield from _attribute(f"{path}.{key}", key, item, spec or {}, value)
    for key, spec in attributes.items():
        if spec.get("requirement") == "required" and spec.get("profile") is None and key not in value:
            yield f"{path}.{key} is required"
    for names in (constraints.get("at_least_one"),):
        if names and not set(names) & value.keys():
            yield f"{path} needs one of {names}"
    if (names := constraints.get("just_one")) and len(set(names) & value.keys()) != 1:
        yield f"{path} needs just one of {names}"


def _is_caption(key: str, attributes: dict[str, Spec]) -> bool:
    """Whether `key` is the caption of an enumerated attribute."""
    dictionary = schema()["dictionary"]["attributes"]
    return any(dictionary.get(name, {}).get("sibling") == key for name in attributes)


def _attribute(path: str, key: str, value: Any, spec: Spec, holder: Spec) -> Iterator[str]:
    general = schema()["dictionary"]["attributes"].get(key)
    if general is None:
        yield f"{path} is in no dictionary"
        return
    if value in ("", [], {}) or value is None:
        yield f"{path} is empty"
        return
    if bool(general.get("is_array")) != isinstance(value, list):
        yield f"{path} must {'' if general.get('is_array') else 'not '}be an array"
        return
    for number, item in enumerate(value if isinstance(value, list) else [value]):
        place = f"{path}[{number}]" if isinstance(value, list) else path
        yield from _typed(place, item, general["type"])
    enum = {**general.get("enum", {}), **spec.get("enum", {})}
    if enum and key not in ("class_uid", "category_uid", "type_uid"):
        yield from _enumerated(path, value, enum, general.get("sibling"), holder)


def _typed(path: str, value: Any, kind: str) -> Iterator[str]:
    types = schema()["dictionary"]["types"]["attributes"]
    if kind in SCALARS:
        if not SCALARS[kind](value):
            yield f"{path} is no {kind}: {value!r}"
    elif kind in types:
        if not isinstance(value, str):
            yield f"{path} is no {kind}: {value!r}"
    elif not isinstance(value, dict):
        yield f"{path} is no object"
    elif kind != "object":
        yield from _object(path, value, *_definition("objects", kind))


def _enumerated(path: str, value: int, enum: Spec, sibling: str | None, holder: Spec) -> Iterator[str]:
    caption = enum.get(str(value), {}).get("caption")
    if caption is None:
        yield f"{path}: {value} is not enumerated"
    if sibling is None:
        return
    if value == 99 and not holder.get(sibling):
        yield f"{path}: Other needs {sibling}"
    elif value != 99 and holder.get(sibling, caption) != caption:
        yield f"{path}: {sibling} is {holder.get(sibling)!r}, not {caption!r}"


def modelled(record: Spec) -> Any:
    """The record as pydantic-ocsf's model of its class. Raises pydantic.ValidationError."""
    name = "".join(part.capitalize() for part in class_of(record).split("_"))
    events = importlib.import_module("ocsf.v1_7_0.events")
    assert events.BaseEvent  # made first: as another's parent only, it would stay without its own parts
    model = getattr(events, name)
    return model.model_validate(json.loads(json.dumps(record)))
