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

# The members of the chain, each asked in the principal's place.
decision := combined([v |
	some p in array.concat([input.principal], input.principal.on_behalf_of)
	v := index.voice with input.principal as p
])

# What they said, as one decision.
combined(voices) := {
	"effect": outcome(count(denials) > 0, count(unmet) > 0, permitted),
	"results": (results | {r | permitted == false; denials == set(); r := missing}),
	"masks": strongest({m | some v in voices; some m in v.mask}),
	"limits": smallest({l | some v in voices; some l in v.limit}),
	"advice": {a | some v in voices; some a in v.advice},
	"holds": unmet,
} if {
	denials := {r | some v in voices; some r in v.deny}
	held := {r | some v in voices; some r in v.hold}
	allowed := {r | some v in voices; some r in v.allow}
	approved := {rule | some rule in input.context.approval.rules}
	unmet := {h | some h in held; not h.rule in approved}
	permitted := permits(voices)
	results := {result(kind, r) | some kind, said in {"deny": denials, "hold": held, "allow": allowed}; some r in said}
}

# deny beats hold beats allow; without permission it is a deny.
outcome(denied, waiting, permitted) := "allow" if {
	permitted
	not denied
	not waiting
} else := "hold" if {
	permitted
	not denied
} else := "deny"

# A chain within the chain would not be evaluated, so it permits nothing.
permits(voices) if {
	every p in input.principal.on_behalf_of { p.on_behalf_of == [] }
	every v in voices { allows(v.allow) }
} else := false

# An allow is for the whole message, or for the one statement at its index (`"statement": 2`).
allows(grants) if {
	input.phase == "statement"
	input.statement.complete == true
	is_array(input.statement.statements)
	some r in grants
	not "statement" in object.keys(r)
} else if {
	input.phase == "statement"
	input.statement.complete == true
	count(input.statement.statements) > 0
	every i, _ in input.statement.statements { covers(grants, i) }
} else if {
	# What analysis could not understand needs an allow that says it means exactly that (`"incomplete": true`).
	input.phase == "statement"
	input.statement.complete == false
	knowing := {r | some r in grants; r.incomplete == true}
	count(knowing) > 0
	count(input.statement.statements) > 0
	every i, _ in input.statement.statements { covers(knowing, i) }
} else if {
	input.phase in {"session", "approval"}
	count(grants) > 0
}

covers(grants, i) if {
	some r in grants
	object.get(r, "statement", i) == i
}

# What is missing stays visible, and is refused by whoever reads the decision.
result(kind, r) := object.union(
	{"effect": kind, "rule": "", "message": "", "severity": "", "controls": []},
	object.filter(r, ["rule", "message", "severity", "controls"]),
)

missing := {
	"effect": "deny",
	"rule": "airlock.not_understood",
	"message": concat("", [
		"not all that this statement does could be determined",
		unknowns,
		"; write it in plainer SQL, with names that the database's catalog holds",
	]),
	"severity": "medium",
	"controls": ["SOC2:CC6.1", "ISO27001:A.8.3", "NIST:AC-3"],
} if {
	input.statement.complete == false
} else := {
	"effect": "deny",
	"rule": "airlock.default_deny",
	"message": "no policy allows this; ask those who keep the policies for access",
	"severity": "medium",
	"controls": ["SOC2:CC6.1", "ISO27001:A.5.15", "NIST:AC-3"],
}

# What analysis could not know, for the person.
unknowns := concat("", [" (", concat(", ", array.slice(sort(named), 0, 3)), ")"]) if {
	count(named) > 0
} else := ""

named := {concat(": ", [u.what, u.why]) | some s in input.statement.statements; some u in s.unresolved}

# Masks: of those for one target only the strongest stay. Mostly each has a tag of its own.
strongest(wishes) := wishes if {
	count({m.tag | some m in wishes}) == count(wishes)
} else := {m | some m in wishes; not outdone(m, wishes)}

outdone(m, wishes) if {
	some other in wishes
	strength[other.method] > strength[m.method]
	target(other) == target(m)
}

strength := {"email": 0, "last_four": 1, "partial": 2, "hash": 3, "full": 4, "null": 5}

target(m) := [object.get(m, name, "") | some name in ["tag", "except_tags", "schema", "table", "column"]]

# Limits: the smallest of each; read-only if any says so.
smallest(bounds) := {} if {
	bounds == set()
} else := object.union(
	{name: min(values) |
		some name in ["rows", "bytes", "timeout_ms"]
		values := {l[name] | some l in bounds}
		values != set()
	},
	{"read_only": true | some l in bounds; l.read_only == true},
)
