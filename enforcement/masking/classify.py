"""Tags for columns by their names and types: which are likely to hold personal data or secrets.

A column's name is cut into words (snake_case, camelCase, digits), lower-cased and stripped of accents, and looked
for in `vocabulary`: phrases of English, German, French, Spanish, Portuguese, Italian and Dutch. The longest phrase
that fits at the end of the name weighs most, because there stands what the column is (`email_address`), while what
follows a phrase (`email_verified`, `phone_type`) may say that it is something about it. The type then has its say:
a boolean holds no address.

`classify` is what a snapshot goes through; `findings` gives the evidence. Sampled values can join as further
findings.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace

from decision.model.catalog import CatalogColumn, CatalogRelation, CatalogSnapshot
from enforcement.masking.vocabulary import ABOUT, CONTEXTUAL, PERSONAL_TABLES, PHRASES, SUITS

THRESHOLD = 0.5  # findings below it give no tag
SYSTEM_SCHEMAS = frozenset({"pg_catalog", "information_schema", "pg_toast"})
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
GENERATION = b"airlock.classify.1"  # changes with the vocabulary, so that versions do


@dataclass(frozen=True, slots=True)
class Finding:
    """Column `column` of schema.table likely holds what `tag` names. `confidence` is 0 to 1; `evidence` says why, and
    never holds a value of the column."""

    schema: str
    table: str
    column: str
    tag: str
    confidence: float
    evidence: str


def words(name: str) -> tuple[str, ...]:
    """`CustomerE-Mail2` to ("customer", "e", "mail", "2")."""
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss"))
    return tuple(word.lower() for word in WORD.findall("".join(c for c in plain if not unicodedata.combining(c))))


def kind_of(type_name: str) -> str:
    """The broad kind of a type as format_type prints it: text number boolean time binary json network uuid other."""
    name = type_name.lower().removesuffix("[]").partition("(")[0].strip().rpartition(".")[2].strip('"')
    return KINDS.get(name) or ("time" if name.startswith(("time", "date")) else "other")


KINDS = {
    **dict.fromkeys(("text", "character varying", "varchar", "character", "char", "bpchar", "name", "citext"), "text"),
    **dict.fromkeys(("smallint", "integer", "bigint", "numeric", "real", "double precision", "money", "int2", "int4",
                     "int8", "float4", "float8", "decimal"), "number"),
    **dict.fromkeys(("json", "jsonb", "xml", "hstore"), "json"),
    **dict.fromkeys(("inet", "cidr", "macaddr", "macaddr8"), "network"),
    "boolean": "boolean", "bool": "boolean", "bytea": "binary", "uuid": "uuid", "interval": "time",
}  # fmt: skip


def _phrase_at(parts: tuple[str, ...]) -> tuple[str, float, int, int] | None:
    """The best phrase in a name: its tag, weight, and where it begins and ends. Later and longer wins."""
    best: tuple[str, float, int, int] | None = None
    for begin in range(len(parts)):
        for end in range(begin + 1, min(len(parts), begin + 5) + 1):
            plain = (*parts[begin : end - 1], singular(parts[end - 1]))
            for joined in ("_".join(parts[begin:end]), "".join(parts[begin:end]), "_".join(plain)):
                known = PHRASES.get(joined)
                if known is not None and (best is None or (end, end - begin) >= (best[3], best[3] - best[2])):
                    best = (*known, begin, end)
    return best


def column_findings(relation: CatalogRelation, column: CatalogColumn) -> tuple[Finding, ...]:
    """What name and type of one column say; none below the threshold."""
    parts = words(column.name)
    kind = kind_of(column.type_name)
    found = _phrase_at(parts)
    personal = bool(PERSONAL_TABLES.intersection(singular(word) for word in words(relation.name)))
    if found is None:
        tag = CONTEXTUAL.get("_".join(parts)) if personal else None
        if tag is None:
            return ()
        confidence, evidence = 0.7, f"column name {'_'.join(parts)!r} of a table about people"
    else:
        tag, confidence, begin, end = found
        evidence = f"column name contains {'_'.join(parts[begin:end])!r}"
        after = parts[end:]
        if any(word in ABOUT for word in after) and not (after == ("id",) and kind == "text"):
            confidence *= 0.4
            evidence += f", followed by {'_'.join(after)!r}"
        elif personal:
            confidence = min(1.0, confidence + 0.1)
            evidence += ", in a table about people"
    if kind not in SUITS.get(tag, SUITS[""]):
        confidence *= 0.3
        evidence += f", but type {kind} does not suit"
    if confidence < THRESHOLD:
        return ()
    return (Finding(relation.schema, relation.name, column.name, tag, round(confidence, 2), evidence),)


def singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word


def findings(snapshot: CatalogSnapshot) -> tuple[Finding, ...]:
    """What the names and types of all user relations say."""
    return tuple(
        finding
        for relation in snapshot.relations
        if relation.schema not in SYSTEM_SCHEMAS
        for column in relation.columns
        for finding in column_findings(relation, column)
    )


def with_findings(snapshot: CatalogSnapshot, found: Iterable[Finding]) -> CatalogSnapshot:
    """The snapshot with the findings' tags added, and a version that covers them."""
    tags: dict[tuple[str, str, str], set[str]] = {}
    for one in found:
        if one.confidence >= THRESHOLD:
            tags.setdefault((one.schema, one.table, one.column), set()).add(one.tag)
    relations = tuple(
        replace(
            relation,
            columns=tuple(
                replace(column, tags=tuple(sorted({*column.tags, *tags[name]})))
                if (name := (relation.schema, relation.name, column.name)) in tags
                else column
                for column in relation.columns
            ),
        )
        for relation in snapshot.relations
    )
    digest = hashlib.sha256(GENERATION + snapshot.version.encode())
    for key in sorted(tags):
        digest.update(repr((key, sorted(tags[key]))).encode())
    return replace(snapshot, relations=relations, version=digest.hexdigest()[:32])


def classify(snapshot: CatalogSnapshot) -> CatalogSnapshot:
    """The snapshot with detected tags added to its columns. Equal snapshots give equal ones."""
    return with_findings(snapshot, findings(snapshot))
