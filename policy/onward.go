package policy

import (
	"fmt"

	"proofmark/protocol"
)

// builtIn stands where the file of a policy stands, for a rule that no folder of policies holds and none can lift.
const builtIn = "built in"

// onwardID names the built-in rule for what one country demands.
func onwardID(owner protocol.Country) string { return "no-onward-transfer-without-" + string(owner) }

// onward applies what other countries demand of information of theirs: what carries their H2 goes to no third country without their permission,
// whatever the policies of this one say. It returns the rule for each country that has not permitted it, with a sentence that says what to do, and
// for each that has, the permission.
func onward(q Request) (forbid []Ref, sentences []string, permits map[string][]Ref) {
	if q.Action != Share && q.Action != Answer {
		return nil, nil, nil
	}
	to := protocol.Country(q.Principal.Country)
	for _, owner := range q.Foreign.Owners(protocol.NoOnward) {
		if owner == to {
			continue // its own
		}
		if permission := q.Permissions[owner]; permission != "" {
			if permits == nil {
				permits = map[string][]Ref{}
			}
			key := "onward:" + string(owner)
			permits[key] = append(permits[key], Ref{ID: permission, File: "permission of " + string(owner)})
			continue
		}
		forbid = append(forbid, Ref{ID: onwardID(owner), File: builtIn})
		sentences = append(sentences, fmt.Sprintf("it carries H2 of %s, which has not permitted that it is passed on to %s: ask %s, whose bureau can send a permission (proofmark permission grant)", owner, to, owner))
	}
	return forbid, sentences, permits
}
