# METADATA
# title: Budgets
# description: |
#   How much a principal may take out in a while. The counters are streams' (docs/distributed.md): about a second late,
#   a name that is missing is 0, and `stale` is 1 where the streams have been away for too long to be believed.
#   Evaluated for every member of the chain: who an agent acts for has a budget of their own.
#
#   Off until the settings name budgets:
#
#     "budgets": [{"counter": "rows_out_today", "most": 100000, "kinds": ["agent", "human"], "when_stale": "deny"}]
package policies.budgets

deny contains {
	"rule": concat(".", ["budgets", budget.counter]),
	"message": sprintf(
		"the budget is used up: %s of %s is %d, at most %d is allowed; wait until it is less, or ask for a larger one",
		[budget.counter, input.principal.subject, used, budget.most],
	),
	"severity": "medium",
	"controls": ["SOC2:CC6.1", "ISO27001:A.8.12", "NIST:AC-3", "NIST:AC-6"],
} if {
	some budget in bounding
	used := object.get(counters, budget.counter, 0)
	used >= budget.most
}

deny contains {
	"rule": "budgets.unknown",
	"message": sprintf("how much of the budget %s is used can't be told now; try again in a moment", [budget.counter]),
	"severity": "medium",
	"controls": ["SOC2:CC6.1", "NIST:AC-3", "NIST:SI-17"],
} if {
	some budget in bounding
	counters.stale == 1
	object.get(budget, "when_stale", "allow") == "deny"
}

bounding contains budget if {
	input.phase == "statement"
	some budget in data.settings.budgets
	input.principal.kind in budget.kinds
}

# Those of the member of the chain that is asked about.
counters := figures if {
	some member in input.context.counters_behind
	member.issuer == input.principal.issuer
	member.subject == input.principal.subject
	figures := member.counters
} else := input.context.counters
