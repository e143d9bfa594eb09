package demo

import "context"

// scene is one step of the day: what is played, and why it matters to each kind of reader.
type scene struct {
	name  string
	title string
	play  func(context.Context) error
	why   [4]string // in the order of readers
}

// scenes are the steps in their order; fail ends the day from outside.
func (f *federation) scenes(fail context.CancelCauseFunc) []scene {
	return []scene{
		{"federation", "Three nodes, their people, and one list of members that all trust",
			func(ctx context.Context) error { return f.found(ctx, fail) }, [4]string{
				"You trust a list that 2 of 3 key holders signed, checked against an anchor you got out of band.",
				"Your name and role stand behind each act; nobody shares an account.",
				"Only members of the list can reach your cases, and only what policy permits leaves.",
				"Whoever runs the machine made the accounts, and cannot use them: duties are apart."}},
		{"acquisitions", "Cases, incidents and exhibits; every scan becomes a signature of a few kilobytes", f.acquire, [4]string{
			"What leaves the country is a signature, calibre, offence and date; place and case stay here.",
			"One command reads, checks, encodes, stores and publishes a scan, or does nothing at all.",
			"Your exhibit is searched against all members' within seconds, without asking each of them.",
			"Scan, signature, log entry and outgoing mail are one transaction: none is ever without the others."}},
		{"candidates", "Signatures cross the borders, and each country gets its own ranked list", f.exchange, [4]string{
			"Delivery is receipted: you can prove what was sent and that it arrived.",
			"You get a ranked list with scores and congruent cells, never a \"match\": you decide.",
			"A link to another country shows up the day an exhibit is entered, not years later.",
			"Every correlation stands in the log, also those that found nothing."}},
		{"score", "How good are the lists? The true sources, which no node knows, give the marks", f.score, [4]string{
			"Few false candidates mean few needless questions to other bureaus.",
			"If true mates stand on top, reviewing the first entries is enough.",
			"A lead that starts from the right pair saves weeks.",
			"The quality is measured, not claimed, and anybody can repeat it."}},
		{"lead-and-hit", "From candidate to lead to hit: two people each time, on both sides of a border", f.review, [4]string{
			"A lead arrives with its caveat and handling codes; you acknowledge it, and its sender knows.",
			"The second reviewer does not see the first verdict; the same person cannot be both.",
			"Your feedback reaches the country that sent the lead; a wrong lead is taken back by its sender.",
			"Software never made the lead or the hit: people's names and times stand behind each step."}},
		{"trace", "Where does the pistol come from? ES asks FR", f.trace, [4]string{
			"The record is found although the serial number was misread; you pick it, the software proposes.",
			"The test fire, the firearm and its history are one file.",
			"You get the chain of custody, the time to crime and the point where the legal chain ends.",
			"Request, search and answer are logged on both sides, with their justification."}},
		{"oversight", "Who watches? The logs are proved, and those who must see nothing see nothing", f.oversee, [4]string{
			"A stranger's host gets a closed connection and not one byte.",
			"Nobody can quietly change what was found when, and by whom.",
			"Your case is invisible to whoever administers the machine.",
			"You prove each log whole with one command, and see every refusal in it."}},
	}
}
