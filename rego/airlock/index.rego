# Made by `airlock policy index` from the packages under policies/; the loader makes its own at every load.
package airlock.index

voice := {
	"allow": data.policies.access.allow,
	"deny": union({data.policies.access.deny, data.policies.guardrails.deny, data.policies.masking.deny}),
	"hold": data.policies.approvals.hold,
	"mask": data.policies.masking.mask,
	"limit": data.policies.guardrails.limit,
	"advice": data.policies.guardrails.advice,
}
