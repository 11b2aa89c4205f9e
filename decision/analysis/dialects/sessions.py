"""What changes the session, and what describes the database: USE, SET, DESCRIBE and SHOW."""

from __future__ import annotations

from sqlglot import exp

from decision.analysis.dialects import names, transfers
from decision.analysis.dialects.expressions import value
from decision.analysis.dialects.scopes import Scope
from decision.analysis.dialects.settings import LEXER_SETTINGS, SECURITY_SETTINGS
from decision.analysis.dialects.walk import Walk
from decision.analysis.effects import SearchPathSet
from decision.model.facts import Access, Kind, Usage

_SHOWN = frozenset({"CREATE TABLE", "CREATE VIEW", "COLUMNS", "FULL COLUMNS", "INDEX"})


def use(walk: Walk, tree: exp.Use) -> None:
    kind = tree.args.get("kind")
    walk.see(*tree.find_all(exp.Table, exp.Column))
    walk.record.kind(Kind.SESSION)
    what = (kind.name if isinstance(kind, exp.Expr) else str(kind or "")).upper()
    if what in ("ROLE", "SECONDARY ROLES"):
        walk.record.flags.add("role_change")
    elif what in ("", "DATABASE", "SCHEMA", "CATALOG"):
        walk.record.flags.add("search_path_change")
        walk.record.effects.append(SearchPathSet(None))
    walk.record.settings[walk.shown(what.lower().replace(" ", "_") or "use")] = None


def assign(walk: Walk, tree: exp.Set) -> None:
    record = walk.record
    record.kind(Kind.SESSION)
    for item in tree.expressions:
        kind = str(item.args.get("kind") or "").upper()
        assigned = item.this if isinstance(item, exp.SetItem) else item
        if kind in ("TRANSACTION", "SESSION TRANSACTION"):
            record.flags.add("transaction_control")
            continue
        if not isinstance(assigned, exp.EQ | exp.PropertyEQ):
            label = (kind or type(assigned).__name__).lower()
            record.settings[walk.shown(label.replace(" ", "_"))] = None
            record.flags.add("lexer_setting" if label in LEXER_SETTINGS else "setting")
            continue
        name = assigned.this
        walk.see(assigned, name)
        if isinstance(name, exp.Parameter) and isinstance(name.this, exp.Parameter) and walk.dialect == "bigquery":
            label = name.this.name.lower()
            record.settings[walk.shown(label)] = None
            record.flags.add("setting")
            if label in ("dataset_id", "dataset_project_id"):
                record.flags.add("search_path_change")
                record.effects.append(SearchPathSet(None))
        elif isinstance(name, exp.Parameter) or kind == "VARIABLE" or (walk.dialect == "snowflake" and not kind):
            record.flags.add("variable")
        else:
            label = name.name.lower() or walk.shown(name.sql().lower().lstrip("@"))
            label = label.rsplit(".", 1)[-1]
            record.settings[walk.shown(label)] = None
            record.flags.add("setting")
            if label in LEXER_SETTINGS:
                record.flags.add("lexer_setting")
            kind = kind or str(name.args.get("kind") or "").upper()
            if kind == "GLOBAL" or kind.startswith("PERSIST") or label in SECURITY_SETTINGS:
                record.flags.update(("security_setting", "admin"))
        if not isinstance(assigned.expression, exp.Column | exp.Identifier | exp.Var):
            given = value(walk, assigned.expression, Scope(), Usage.INNER)
            if "variable" in record.flags:
                record.use(given, Usage.PASSED)
        walk.see(assigned.expression)
    if not tree.expressions:
        record.refuse("SET", "it is not known what it sets")


def describe(walk: Walk, tree: exp.Describe) -> None:
    walk.record.kind(Kind.UTILITY)
    if isinstance(tree.this, exp.Table):
        walk.see(tree.this)
        names.relation(walk, tree.this, Access.READ)
    else:
        walk.record.refuse("DESCRIBE", "what it shows is not known")
    transfers.shows(walk)


def show(walk: Walk, tree: exp.Show) -> None:
    walk.record.kind(Kind.UTILITY)
    walk.record.flags.add("show")
    target = tree.args.get("target")
    if isinstance(target, exp.Identifier) and tree.name.upper() in _SHOWN:
        names.by_name(walk, [part for part in (tree.text("db"), target.name) if part], Access.READ)
    if tree.args.get("into_outfile"):
        walk.record.refuse("SHOW", "it writes a file")
    transfers.shows(walk)
