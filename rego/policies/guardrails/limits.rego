package policies.guardrails

import data.airlock.lib

# What an agent gets back is bounded; whoever needs more pages through it, or asks a person.
limit contains object.union({"rule": "guardrails.agent_limits"}, data.settings.agents.limits) if {
	input.phase == "statement"
	lib.agent
	count(data.settings.agents.limits) > 0
}

advice contains sprintf("agents get at most %d rows a statement; page with ORDER BY and LIMIT", [rows]) if {
	input.phase == "statement"
	lib.agent
	rows := data.settings.agents.limits.rows
}
