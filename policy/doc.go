// Package policy turns a question (may this country, or this person, do this
// with that object, for this purpose, now?) into a decision with its reasons and
// obligations, from Cedar policies. It refuses to know any database, network or
// clock: everything it decides on stands in the question.
//
// Everything is denied that no policy permits; one policy that forbids outweighs
// all that permit; a policy that cannot be evaluated denies, and so does a
// question that the schema does not admit (see Schema for what is known of each
// object).
//
// # Obligations
//
// Annotations of the permits that decided restrict how the act may be done:
//
//	@handling("H1 H2")      handling codes that travel with the object
//	@retain("P365D")        how long the receiver may keep it
//	@redact("place agency") fields withheld from the receiver
//	@approval("two-person") held until two different people approve
//
// A permit that speaks of operations (`principal in Operation::"…"`,
// `context.operations`) permits for their time alone: the receiver's copy ends
// with the operation, without an annotation that somebody could forget.
//
// Several permits may decide one question; their restrictions are united, and
// the shortest retention wins. A wider agreement is therefore carved out of the
// narrow policy with `unless`. A duration counts 365 days for a year, 30 for a
// month and 7 for a week. @id names a policy; any other annotation is an error.
//
// # Who may do what
//
// The default policy gives a person's actions to roles as the comments of the
// Action constants say. Nobody but an administrator manages users; an
// administrator sees no case; an auditor reads the log and nothing else.
package policy
