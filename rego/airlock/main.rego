# METADATA
# title: Combination
# description: |
#   Combines what all policies say into one decision. A policy need not know how: it adds to its partial sets.
#
#   Policies are evaluated once for every member of the principal's chain, as `input.principal`: an agent, then everyone
#   it acts for. Allow needs every member; deny, hold, mask, limit and advice are united. So an agent has the
#   intersection of its own rights and its human's, and whatever either of them may not see is masked.
#
#   deny beats hold beats allow; no allow means deny. A hold is met by an approval that covers its rule. The strongest
#   mask and the smallest limit win. decision/policy/combine.py says the same in Python and is held against this file.
package airlock

import data.airlock.index

decision := {
	"effect": effect,
	"results": results,
	"masks": masks,
	"limits": limits,
	"advice": {a | some v in voices; some a in v.advice},
	"holds": unmet,
}

# What the policies say with each member of the chain in the principal's place.
voices := [v |
	some p in array.concat([input.principal], input.principal.on_behalf_of)
	v := index.voice with input.principal as p
]

denials := {r | some v in voices; some r in v.deny}

held := {r | some v in voices; some r in v.hold}

approved := {rule | some rule in input.context.approval.rules}

unmet := {h | some h in held; not h.rule in approved}

default effect := "deny"

effect := "hold" if {
	count(unmet) > 0
	count(denials) == 0
	permitted
}

effect := "allow" if {
	count(unmet) == 0
	count(denials) == 0
	permitted
}

default permitted := false

# A chain within the chain would not be evaluated, so it permits nothing.
permitted if {
	every p in input.principal.on_behalf_of { p.on_behalf_of == [] }
	every v in voices { allows(v.allow) }
}

# An allow is for the whole message, or for the one statement at its index (`"statement": 2`).
allows(grants) if {
	count(grants) > 0
	input.phase in {"session", "approval"}
}

allows(grants) if {
	count(grants) > 0
	input.phase == "statement"
	input.statement.complete == true
	is_array(input.statement.statements)
	some r in grants
	not "statement" in object.keys(r)
}

allows(grants) if {
	count(grants) > 0
	input.phase == "statement"
	input.statement.complete == true
	count(input.statement.statements) > 0
	every i, _ in input.statement.statements { covers(grants, i) }
}

# What analysis could not understand needs an allow that says it means exactly that (`"incomplete": true`).
allows(grants) if {
	input.phase == "statement"
	input.statement.complete == false
	knowing := {r | some r in grants; r.incomplete == true}
	count(knowing) > 0
	count(input.statement.statements) > 0
	every i, _ in input.statement.statements { covers(knowing, i) }
}

covers(grants, i) if {
	some r in grants
	object.get(r, "statement", i) == i
}

results := (({result("deny", r) | some r in denials} | {result("hold", r) | some r in held}) | granted) | missing

granted := {result("allow", r) | some v in voices; some r in v.allow}

# What is missing stays visible, and is refused by whoever reads the decision.
result(kind, r) := {
	"effect": kind,
	"rule": object.get(r, "rule", ""),
	"message": object.get(r, "message", ""),
	"severity": object.get(r, "severity", ""),
	"controls": object.get(r, "controls", []),
}

missing := {{
	"effect": "deny",
	"rule": "airlock.not_understood",
	"message": concat("", [
		"not all that this statement does could be determined",
		unknowns,
		"; write it in plainer SQL, with names that the database's catalog holds",
	]),
	"severity": "medium",
	"controls": ["SOC2:CC6.1", "ISO27001:A.8.3", "NIST:AC-3"],
}} if {
	not permitted
	count(denials) == 0
	input.statement.complete == false
} else := {{
	"effect": "deny",
	"rule": "airlock.default_deny",
	"message": "no policy allows this; ask those who keep the policies for access",
	"severity": "medium",
	"controls": ["SOC2:CC6.1", "ISO27001:A.5.15", "NIST:AC-3"],
}} if {
	not permitted
	count(denials) == 0
} else := set()

# What analysis could not know, for the person.
unknowns := concat("", [" (", concat(", ", array.slice(sort(named), 0, 3)), ")"]) if {
	count(named) > 0
} else := ""

named := {concat(": ", [u.what, u.why]) | some s in input.statement.statements; some u in s.unresolved}

# Masks: of those for one target only the strongest stay.
strength := {"email": 0, "last_four": 1, "partial": 2, "hash": 3, "full": 4, "null": 5}

wishes := {m | some v in voices; some m in v.mask}

target(m) := [object.get(m, name, "") | some name in ["tag", "except_tags", "schema", "table", "column"]]

masks := wishes if {
	tags := {m.tag | some m in wishes}
	columns := {[m.schema, m.table, m.column] | some m in wishes}
	count(tags) + count(columns) == count(wishes)
} else := {m | some m in wishes; not outdone(m)}

outdone(m) if {
	some other in wishes
	strength[other.method] > strength[m.method]
	target(other) == target(m)
}

# Limits: the smallest of each; read-only if any says so.
bounds := {l | some v in voices; some l in v.limit}

limits := set_limits if {
	count(bounds) > 0
} else := {}

set_limits := object.union(smallest, read_only)

smallest := {name: value |
	some name in ["rows", "bytes", "timeout_ms"]
	values := {l[name] | some l in bounds}
	count(values) > 0
	value := min(values)
}

read_only := {"read_only": true} if {
	some l in bounds
	l.read_only == true
} else := {}
