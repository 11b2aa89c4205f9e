# METADATA
# title: Library
# description: |
#   Words that policies share. `s` is always a statement of `input.statement.statements`.
package airlock.lib

# The person's or agent's rights on a production database are the narrow ones; dev and staging are permissive.
prod if input.resource.environment == "prod"

agent if input.principal.kind == "agent"

privileged if {
	some group in input.principal.groups
	group in data.settings.privileged_groups
}

# Kinds that by themselves change nothing but the session.
reading_kinds := {"select", "explain", "tcl", "session", "cursor", "prepare", "execute", "copy_out"}

# Utility statements that read, or concern the asking session only.
reading_verbs := {
	"show", "listen", "unlisten", "discard", "reset", "close",
	"deallocate", "fetch", "move", "declare", "prepare", "execute",
}

changing_effects := {
	"writes", "reads_files", "writes_files", "os_command", "network", "dynamic_sql",
	"kills_sessions", "large_object", "opaque", "sleeps",
}

changing_flags := {
	"row_lock", "role_change", "lexer_setting", "dynamic_unknown", "opaque_code", "replication", "transaction_control",
	"admin", "kills_sessions", "load", "program", "remote", "security_setting", "xa",
}

# The indexes of the statements that only read, and the other statements. Most messages change nothing: rules about
# changes and powers look at `changing` alone.
reading := {i | some i, s in input.statement.statements; reads(s)}

changing := [s | some i, s in input.statement.statements; not i in reading]

# Whether the statement is a plain read: kinds, relations, functions, flags, files and settings all say so. Next come
# LISTEN, SHOW, DISCARD … as utility, of which every operation must be one that reads; SHOW TABLES and the like of other
# databases; last, an empty statement.
reads(s) if {
	every kind in s.kinds { kind in reading_kinds }
	harmless(s)
} else if {
	"utility" in s.kinds
	every kind in s.kinds { kind in {"utility", "session", "cursor", "select"} }
	count(s.operations) > 0
	every op in s.operations { op.verb in reading_verbs }
	harmless(s)
} else if {
	"show" in s.flags
	s.kinds == ["utility"]
	s.operations == []
	harmless(s)
} else if {
	"empty" in s.flags
}

# Nothing beside its kinds makes the statement a change.
harmless(s) if {
	every relation in s.relations {
		relation.name != "pg_largeobject" # a power, whose functions are changes as well
		every access in relation.access { not access in {"write", "ddl"} }
	}
	every fn in s.functions {
		every effect in fn.effects { expected(effect, fn, s) }
	}
	every flag in s.flags { harmless_flag(flag, s) }
	s.files == []
	s.programs == []
	every name in s.settings { not lower(name) in data.settings.security_settings }
}

expected(effect, fn, s) if {
	not effect in changing_effects
} else if {
	trusted(fn)
} else if {
	only_planned(effect, fn, s)
}

# The server's own functions that wait are volatile: making a plan does not call them. It may call a function of
# somebody's own, which has its effects itself.
only_planned("sleeps", fn, s) if {
	fn.schema == "pg_catalog"
	planned(s)
}

harmless_flag(flag, s) if {
	not flag in changing_flags
} else if {
	resets(s)
} else if {
	flag == "security_setting"
	input.statement.dialect == "postgres" # whose settings are known one by one
} else if {
	flag == "transaction_control"
	every op in s.operations { op.verb != "prepare" }
} else if {
	flag == "admin"
	every fn in s.functions { fn.effects != ["changes_settings"] }
}

# RESET ALL and DISCARD ALL lead back to the session's own role.
resets(s) if "reset_all" in s.flags

resets(s) if "discard" in s.flags

# Functions that the owner of the settings vouches for.
trusted(fn) if {
	some known in data.settings.trusted_functions
	known.schema == fn.schema
	known.name == fn.name
}

# The relations whose definition a statement changes are all temporary: nobody else will ever see it.
temporary(s) if {
	touched := [relation | some relation in s.relations; changed(relation)]
	count(touched) > 0
	every relation in touched { relation.kind == "temporary" }
	every op in s.operations { op.object_type in {"table", "index", "sequence", "view"} }
}

changed(relation) if "ddl" in relation.access

changed(relation) if "write" in relation.access

named(object) := object.name if object.schema == ""

named(object) := concat(".", [object.schema, object.name]) if object.schema != ""

critical(relation) if {
	some tag in relation.tags
	tag in data.settings.critical_tags
}

# Whether a grant covers all that this agent's statement changes.
granted(s) if {
	some grant in data.settings.agents.write_grants
	grant.issuer == input.principal.issuer
	grant.subject == input.principal.subject
	input.resource.database in grant.databases
	every kind in s.kinds { kind in (reading_kinds | {k | some k in grant.kinds}) }
	every relation in s.relations { grants_relation(grant, relation) }
	every fn in s.functions { grants_function(fn) }
}

grants_relation(_, relation) if not changed(relation)

grants_relation(grant, relation) if {
	not "ddl" in relation.access
	named(relation) in grant.tables
}

# nextval and the like come with the tables that they fill; nothing else that a read may not call comes with a grant.
grants_function(fn) if {
	every effect in fn.effects { not effect in (changing_effects - {"writes"}) }
}

grants_function(fn) if trusted(fn)

# Where a sequence goes on is part of the schema, whether ALTER SEQUENCE … RESTART says it or a function.
moves_sequence(s) if {
	some fn in s.functions
	fn.schema in {"", "pg_catalog"}
	lower(fn.name) == "setval"
	not trusted(fn)
	not planned(s)
}

# EXPLAIN without ANALYZE runs nothing.
planned(s) if {
	"explain" in s.kinds
	not "explain_analyze" in s.flags
}

# INSERT … ON CONFLICT DO UPDATE changes the rows it meets, one for each row inserted.
upsert(s) if {
	"on_conflict" in s.flags
	"insert" in s.kinds
	not "dml_in_cte" in s.flags
}

# Some condition holds the rows of the target down. It may be one that only looks so.
restricted(s) if {
	s.predicate.present
	not s.predicate.always_true
}

# The rows are named by a key, or the table is small enough to be repaired by hand.
bounded(s) if {
	s.predicate.pins_key
	not "dml_in_cte" in s.flags
}

bounded(s) if {
	is_number(s.estimated_rows)
	s.estimated_rows >= 0
	s.estimated_rows <= data.settings.mass_change.small_rows
	not "dml_in_cte" in s.flags
}

# The statement stores rows where others, or a later session, can read them.
keeps(s) if {
	some relation in s.relations
	"write" in relation.access
	relation.kind != "temporary"
}

keeps(s) if {
	"ddl" in s.kinds
	not temporary(s)
	some relation in s.relations
	"ddl" in relation.access
	not relation.kind == "view"
}

# What goes on under another name isn't what its tags were said of any more.
keeps(s) if {
	"ddl" in s.kinds
	not temporary(s)
	some op in s.operations
	op.verb in {"rename", "set_schema"}
}
