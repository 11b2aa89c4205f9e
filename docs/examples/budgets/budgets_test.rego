package policies.budgets_test

import data.airlock.testing as t
import data.policies.budgets

reading := {"kinds": ["select"], "relations": [t.table("orders", ["read"], [])]}

after(figures) := object.union(t.prod(t.agent, reading), {"context": {"counters": figures}})

behind(figures) := object.union(t.prod(t.agent, reading), {"context": {"counters_behind": [{
	"issuer": t.human.issuer,
	"subject": t.human.subject,
	"counters": figures,
}]}})

rows := [{"counter": "rows_out_today", "most": 1000, "kinds": ["agent"]}]

people := [{"counter": "rows_out_today", "most": 1000, "kinds": ["human"]}]

strict := [{"counter": "rows_out_today", "most": 1000, "kinds": ["agent"], "when_stale": "deny"}]

test_without_budgets_nobody_is_counted if {
	count(budgets.deny) == 0 with input as after({"rows_out_today": 1000000})
}

test_a_used_up_budget_denies if {
	count(budgets.deny) == 0 with input as after({"rows_out_today": 999}) with data.settings.budgets as rows
	some d in budgets.deny with input as after({"rows_out_today": 1000}) with data.settings.budgets as rows
	d.rule == "budgets.rows_out_today"
	contains(d.message, "is 1000")
}

test_what_is_not_counted_is_nothing if {
	count(budgets.deny) == 0 with input as after({"denials_10m": 5}) with data.settings.budgets as rows
}

test_a_budget_is_for_its_kinds if {
	count(budgets.deny) == 0 with input as after({"rows_out_today": 5000}) with data.settings.budgets as people
}

test_a_human_behind_an_agent_has_a_budget_of_their_own if {
	used := object.union(behind({"rows_out_today": 5000}), {"principal": t.human})
	some d in budgets.deny with input as used with data.settings.budgets as people
	d.rule == "budgets.rows_out_today"
}

test_unbelievable_counters_deny_where_the_budget_says_so if {
	count(budgets.deny) == 0 with input as after({"stale": 1}) with data.settings.budgets as rows
	some d in budgets.deny with input as after({"stale": 1}) with data.settings.budgets as strict
	d.rule == "budgets.unknown"
}
