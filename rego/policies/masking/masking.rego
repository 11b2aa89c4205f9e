# METADATA
# title: Masking
# description: |
#   Columns tagged with a family (`pii`, `pii.email`, `secret` …) are masked for whoever is in none of the family's reader
#   groups. An agent needs the group itself: it inherits nothing, because every member of the chain is asked and the
#   masks are united.
#
#   Masks are wished for by tag, whatever the statement reads: the enforcement point compares what the server says it
#   sends with all of them, so that a column which analysis missed is masked too.
package policies.masking

import data.airlock.lib

# The families which this member may not see, each with its settings.
closed := {family: settings |
	input.phase == "statement"
	masking := data.settings.masking
	input.resource.environment in masking.environments
	some family, settings in masking.families
	not reader(settings)
}

reader(settings) if {
	some group in settings.readers
	group in input.principal.groups
}

family_of(tag) := parts[0] if parts := split(tag, ".")

# The masks of each closed family: tags with a method of their own, and one for all others (`except_tags`).
mask contains m if {
	some settings in closed
	some m in settings.masks
}

# A computed value is masked in full: reversing, splitting or concatenating would turn the shape that a mask leaves
# visible (the domain of an email, the last digits) into the part that it hides.
mask contains {
	"rule": "masking.computed",
	"tag": tag,
	"method": "full",
} if {
	some s in input.statement.statements
	some output in s.output
	some tag in output.tags
	computed(output)
	closed[family_of(tag)]
}

# Whoever may read a subscription still never sees how it signs in (guardrails.credentials refuses all but reading).
mask contains {
	"rule": "masking.credentials",
	"schema": "pg_catalog",
	"table": "pg_subscription",
	"column": "subconninfo",
	"method": "null",
} if {
	input.phase == "statement"
	some s in input.statement.statements
	some column in s.columns
	column.column == "subconninfo"
	column.table == "pg_subscription"
	column.schema == "pg_catalog"
}

# What came by way of an object of the session may be anything: its columns keep their sources, not what was made of them.
computed(output) if {
	output.transform != "identity"
} else if {
	output.opaque
} else if {
	some source in output.sources
	source.schema == "pg_temp"
}

# An output of unknown origin can't be masked by its column: where something masked may flow into it, it is closed.
deny contains {
	"rule": "masking.unmaskable",
	"message": sprintf(
		"output column %d may hold %s data in a form that can't be masked; select the columns that you need by name",
		[output.ordinal, concat(" or ", sort(object.keys(closed)))],
	),
	"severity": "high",
	"controls": ["SOC2:C1.1", "SOC2:CC6.7", "ISO27001:A.8.11", "ISO27001:A.8.12", "NIST:AC-3", "NIST:AC-4"],
} if {
	some s in input.statement.statements
	some output in s.output
	output.opaque
	count(closed) > 0
	not masked_itself(output)
	may_flow(s)
}

masked_itself(output) if {
	some tag in output.tags
	closed[family_of(tag)]
}

may_flow(s) if {
	some column in s.columns
	some tag in column.tags
	closed[family_of(tag)]
}

may_flow(s) if {
	some fn in s.functions
	some effect in fn.effects
	effect in {"opaque", "dynamic_sql"}
}

# Copied elsewhere, a value would lose its tag and come back in clear, and so it would under another name of its column,
# table or schema. Temporary tables keep their lineage.
deny contains {
	"rule": "masking.copy",
	"message": sprintf(
		"this would copy %s data, which you may not see, to where it is not protected, or give it a name that is not; leave the column %s out",
		[family_of(tag), column.column],
	),
	"severity": "high",
	"controls": ["SOC2:C1.1", "SOC2:CC6.7", "ISO27001:A.8.11", "ISO27001:A.8.12", "NIST:AC-4"],
} if {
	some s in lib.changing
	count(closed) > 0
	lib.keeps(s)
	not lib.planned(s)
	some column in s.columns
	some tag in column.tags
	closed[family_of(tag)]
	carried(s, column)
}

# A temporary table keeps the lineage of what it holds, and compares it: by its keys, checks, partitions and types, which
# whoever asks has chosen. A guarded value comes into one by CREATE TABLE AS alone, which has none of these.
deny contains {
	"rule": "masking.copy",
	"message": sprintf(
		"a temporary table may tell what is written into it of the column %s, which is masked for you; use CREATE TEMP TABLE … AS, or leave it out",
		[column.column],
	),
	"severity": "high",
	"controls": ["SOC2:C1.1", "ISO27001:A.8.11", "ISO27001:A.8.12", "NIST:AC-4", "NIST:AC-23"],
} if {
	some s in lib.changing
	count(closed) > 0
	not "ddl" in s.kinds
	some relation in s.relations
	relation.kind == "temporary"
	"write" in relation.access
	not lib.planned(s)
	some column in s.columns
	some tag in column.tags
	closed[family_of(tag)]
	guarded(tag)
	guarding.effect != "allow"
	carried(s, column)
}

# The value itself flows on, rather than deciding which rows do.
carried(_, column) if {
	some usage in column.usage
	usage in {"inner", "aggregate", "window"}
}

carried(s, column) if {
	"output" in column.usage
	not returned(s, column)
}

# RETURNING: the column leaves by an output, where it is masked.
returned(s, column) if {
	some output in s.output
	some source in output.sources
	source.column == column.column
	source.table == column.table
	source.schema == column.schema
}

# What a function keeps or passes on comes back by another way: a setting by SHOW, a number by a sequence or a lock, a
# notification in another session, a delay on the clock.
deny contains {
	"rule": "masking.passed",
	"message": sprintf(
		"this would hand %s data, which you may not see, to a function that keeps it or passes it on; leave the column %s out",
		[family_of(tag), column.column],
	),
	"severity": "high",
	"controls": ["SOC2:C1.1", "SOC2:CC6.7", "ISO27001:A.8.11", "ISO27001:A.8.12", "NIST:AC-4"],
} if {
	some s in input.statement.statements
	some column in s.columns
	"passed" in column.usage
	some tag in column.tags
	closed[family_of(tag)]
	not lib.planned(s)
}

# The planner's statistics hold values of every column.
deny contains {
	"rule": "masking.statistics",
	"message": sprintf(
		"%s holds sample values of columns that are masked for you; ask somebody who may see them",
		[relation.name],
	),
	"severity": "high",
	"controls": ["SOC2:C1.1", "ISO27001:A.8.11", "ISO27001:A.8.12", "NIST:AC-4"],
} if {
	some s in input.statement.statements
	some relation in s.relations
	relation.schema == "pg_catalog"
	relation.name in statistics_relations
	count(closed) > 0
}

statistics_relations := {
	"pg_statistic", "pg_statistic_ext_data", "pg_stats", "pg_stats_ext", "pg_stats_ext_exprs",
}

# What other sessions run holds their literals, which may be the very values that are masked.
deny contains {
	"rule": "masking.other_statements",
	"message": "the text of other sessions' statements may quote values that are masked for you; leave the column query out",
	"severity": "medium",
	"controls": ["SOC2:C1.1", "ISO27001:A.8.11", "ISO27001:A.8.12", "NIST:AC-4"],
} if {
	count(closed) > 0
	some s in input.statement.statements
	shows_statements(s)
}

shows_statements(s) if {
	some column in s.columns
	column.column == "query"
	column.table == "pg_stat_activity"
	column.schema == "pg_catalog"
} else if {
	some relation in s.relations
	relation.name in {"pg_stat_statements", "pg_stat_statements_info", "pg_stat_monitor"}
} else if {
	some fn in s.functions
	returns_statements(fn.name, s)
}

returns_statements(name, _) if name in {"pg_stat_get_backend_activity", "pg_stat_statements"}

# The function under the view, called by itself: its columns are not told apart.
returns_statements("pg_stat_get_activity", s) if {
	count([relation | some relation in s.relations; startswith(relation.name, "pg_stat_")]) == 0
}

returns_statements("pg_stat_get_activity", s) if contains(lower(s.normalized_text), "pg_stat_get_activity")

# What is masked may not be guessed by asking for it either: `WHERE ssn LIKE '1%'`, ORDER BY, GROUP BY, a join. Which tags
# are guarded for whom, and whether such a statement is refused or held, are settings (`masking.inference`).
deny contains {
	"rule": "masking.inference",
	"message": sprintf(
		"comparing or sorting by the column %s, which is masked for you, would reveal it; leave it out, or ask somebody who may see it",
		[name],
	),
	"severity": "high",
	"controls": inference_controls,
} if {
	some name in guessed
	guarding.effect == "deny"
}

inference_controls := ["SOC2:C1.1", "ISO27001:A.8.11", "ISO27001:A.8.12", "NIST:AC-4", "NIST:AC-23"]

# The guarded columns on whose values the statement's outcome depends.
guessed := {column.column |
	some s in input.statement.statements
	some column in s.columns
	some tag in column.tags
	closed[family_of(tag)]
	some usage in column.usage
	usage in {"filter", "join", "group", "order", "window", "check", "probe"}
	guarded_against(usage, tag)
	not schema_work(usage, tag, column, s)
	not looked_up(tag, column, s)
}

guarding := data.settings.masking.inference.agents if {
	input.principal.kind == "agent"
} else := data.settings.masking.inference.people

# A bare column to sort or group by tells its order, and that values are equal; a computed key is a `probe`.
guarded_against(usage, tag) if {
	guarded(tag)
} else if {
	usage in {"filter", "join", "check", "probe"}
	compared(tag)
}

compared(tag) if {
	tag in guarding.compared
} else if {
	family_of(tag) in guarding.compared
}

# What bears a family's bare tag (free text, documents) may hold anything that is guarded.
guarded(tag) if {
	tag in guarding.tags
} else if {
	family_of(tag) in guarding.tags
} else if {
	tag == family_of(tag)
	some kind in guarding.tags
	startswith(kind, sprintf("%s.", [tag]))
}

# An index or statistics over a column compare its values, and so does the server when a row comes into a unique column:
# none tells more than that there are equal ones. A secret may not even be tried so. What a CHECK, a conversion or a
# table of the session compares is chosen by whoever asks.
schema_work("check", tag, column, s) if {
	some op in s.operations
	op.verb == "create"
	op.object_type in {"index", "statistics"}
	family_of(tag) != "secret"
	not lib.temporary(s)
} else if {
	some kind in s.kinds
	kind in {"insert", "update"}
	family_of(tag) != "secret"
	every usage in column.usage { usage in {"write", "check"} }
}

# EXPLAIN ANALYZE runs the statement and tells how large and how long everything was, which may be made to depend on a
# value: `repeat('x', ascii(email))`. A guarded column may be read there, and nothing be made of it.
deny contains {
	"rule": "masking.measured",
	"message": sprintf(
		"EXPLAIN ANALYZE would tell sizes and times that depend on the column %s, which is masked for you; leave ANALYZE or the column out",
		[column.column],
	),
	"severity": "high",
	"controls": inference_controls,
} if {
	some s in input.statement.statements
	"explain_analyze" in s.flags
	some column in s.columns
	some usage in column.usage
	not usage in {"output", "write"}
	some tag in column.tags
	closed[family_of(tag)]
	measured(usage, tag)
	guarding.effect != "allow"
}

measured(usage, tag) if {
	guarded(tag)
} else if {
	not usage in {"order", "group", "window"}
	compared(tag)
}

# One row by a value that one has in hand (`email = $1`), or the row that meets the inserted one.
looked_up(tag, column, s) if {
	some lookup in data.settings.masking.inference.lookups
	input.principal.kind in lookup.kinds
	tag in lookup.tags
	every usage in column.usage { usage in {"filter", "output", "write", "check"} }
	named_value(column, s)
}

named_value(column, s) if {
	column.column in s.predicate.pinned
} else if {
	"write" in column.usage
	lib.upsert(s)
}
