package ledger

import (
	"fmt"
	"strings"
	"testing"

	"proofmark/protocol"
)

const (
	pt, es = protocol.Country("PT"), protocol.Country("ES")
	n      = 6 // messages on the lane under test
)

var lane = Lane{pt, es, protocol.Urgent}

// balanced are the books of two nodes between which all went well.
func balanced() map[protocol.Country]*Books {
	books := map[protocol.Country]*Books{}
	for _, c := range []protocol.Country{pt, es} {
		books[c] = &Books{Country: c, Sent: map[Lane][]Entry{}, Receipts: map[Lane][]Entry{}, Received: map[Lane][]Entry{}, Out: map[Lane]Head{}, In: map[Lane]Head{},
			Hashes: map[Lane][]string{}, Documents: map[string]Document{}, Stones: map[string]Stone{}}
	}
	from, to := books[pt], books[es]
	for i := 1; i <= n; i++ {
		id, hash := fmt.Sprintf("doc-%d", i), fmt.Sprintf("hash-of-%06d", i)
		from.Sent[lane] = append(from.Sent[lane], Entry{int64(10 * i), uint64(i), hash, []string{id}})
		to.Received[lane] = append(to.Received[lane], Entry{int64(7 * i), uint64(i), hash, []string{id}})
		from.Hashes[lane] = append(from.Hashes[lane], hash)
		from.Documents[id] = Document{Status: "own", Type: "trace-request", Issuer: pt, JWS: "jws of " + id}
		to.Documents[id] = Document{Status: "accepted", Type: "trace-request", Issuer: pt, JWS: "jws of " + id}
		from.Deliveries = append(from.Deliveries, Delivery{Document: id, Lane: lane, State: "delivered", Seq: uint64(i)})
		if i%3 == 0 {
			from.Receipts[lane] = append(from.Receipts[lane], Entry{int64(10*i + 5), uint64(i), hash, []string{fmt.Sprintf("doc-%d", i-2), fmt.Sprintf("doc-%d", i-1), id}})
		}
	}
	for _, b := range books {
		with := pt
		if b.Country == pt {
			with = es
		}
		b.Effects = Effects{Traces: map[string]Effect{"doc-1": {with, "COMPLETED", []string{"acknowledge", "complete", "submit"}}}, Leads: map[string]Effect{"pair": {with, "", []string{"from PT doc-2"}}}}
	}
	// The last document withdraws the first.
	w := fmt.Sprintf("doc-%d", n)
	from.Documents["doc-1"] = Document{Status: "withdrawn", Type: "trace-request", Issuer: pt, JWS: "jws of doc-1", Withdrawal: w}
	delete(to.Documents, "doc-1")
	to.Stones["doc-1"] = Stone{w, true}
	from.Deliveries[n-1].Outcome = "ERASED"
	last := from.Hashes[lane][n-1]
	from.Out[lane], to.In[lane] = Head{Seq: n, Hash: last, Acked: n}, Head{Seq: n, Hash: last}
	return books
}

func TestBalancedBooks(t *testing.T) {
	totals, findings := Compare(balanced())
	if len(findings) != 0 || totals.Messages != n || totals.Received != n || totals.Receipted != n || totals.Lanes != 1 || totals.Erased != 1 || totals.ByType["trace-request"] != n {
		t.Errorf("%+v %v", totals, findings)
	}
}

// TestPlantedFaultsAreFound: what a soak looks for is reported under its own name, wherever it stands.
func TestPlantedFaultsAreFound(t *testing.T) {
	for name, c := range map[string]struct {
		class string
		plant func(from, to *Books)
	}{
		"never received": {Lost, func(_, to *Books) { to.Received[lane] = append(to.Received[lane][:2:2], to.Received[lane][3:]...) }},
		"last never received": {Lost, func(_, to *Books) {
			to.Received[lane] = to.Received[lane][:n-1]
			to.In[lane] = Head{Seq: n - 1, Hash: "hash-of-000005"}
		}},
		"sent missing in the log":   {Lost, func(from, _ *Books) { from.Sent[lane] = from.Sent[lane][1:] }},
		"whole lane not received":   {Lost, func(_, to *Books) { delete(to.Received, lane); delete(to.In, lane) }},
		"document gone at holder":   {Lost, func(_, to *Books) { delete(to.Documents, "doc-2") }},
		"document gone at owner":    {Lost, func(from, _ *Books) { delete(from.Documents, "doc-2") }},
		"still queued":              {Lost, func(from, _ *Books) { h := from.Out[lane]; h.Queued = 3; from.Out[lane] = h }},
		"delivery stands as sent":   {Lost, func(from, _ *Books) { from.Deliveries[4].State = "sent" }},
		"delivery not written down": {Lost, func(from, _ *Books) { from.Deliveries = from.Deliveries[1:] }},
		"hash of a message gone":    {Lost, func(from, _ *Books) { from.Hashes[lane] = from.Hashes[lane][:n-1] }},
		"received twice":            {Duplicated, func(_, to *Books) { to.Received[lane] = append(to.Received[lane], to.Received[lane][1]) }},
		"sent twice":                {Duplicated, func(from, _ *Books) { from.Sent[lane] = append(from.Sent[lane], from.Sent[lane][1]) }},
		"document in two messages":  {Duplicated, func(from, _ *Books) { from.Sent[lane][4].Documents = []string{"doc-1"} }},
		"acknowledged twice":        {Duplicated, func(from, _ *Books) { from.Receipts[lane][1].Documents[0] = "doc-1" }},
		"received in another order": {Disordered, func(_, to *Books) { l := to.Received[lane]; l[2], l[3] = l[3], l[2] }},
		"sent in another order":     {Disordered, func(from, _ *Books) { l := from.Sent[lane]; l[0], l[1] = l[1], l[0] }},
		"receipts go backwards":     {Disordered, func(from, _ *Books) { l := from.Receipts[lane]; l[0], l[1] = l[1], l[0] }},
		"another number written":    {Disordered, func(from, _ *Books) { from.Deliveries[4].Seq = 2 }},
		"message changed":           {Tampered, func(_, to *Books) { to.Received[lane][3].Hash = "hash-of-another" }},
		"document changed":          {Tampered, func(_, to *Books) { d := to.Documents["doc-5"]; d.JWS += "!"; to.Documents["doc-5"] = d }},
		"another document came":     {Tampered, func(_, to *Books) { to.Received[lane][3].Documents = []string{"doc-1"} }},
		"channel rewritten":         {Tampered, func(from, _ *Books) { from.Hashes[lane][2] = "hash-of-another" }},
		"receipt for other content": {Tampered, func(from, _ *Books) { from.Receipts[lane][0].Hash = "hash-of-another" }},
		"no receipt":                {Unreceipted, func(from, _ *Books) { delete(from.Receipts, lane) }},
		"last receipt missing":      {Unreceipted, func(from, _ *Books) { from.Receipts[lane] = from.Receipts[lane][:1] }},
		"channel not acknowledged":  {Unreceipted, func(from, _ *Books) { h := from.Out[lane]; h.Acked = n - 1; from.Out[lane] = h }},
		"withdrawn and still held":  {Unerased, func(_, to *Books) { to.Documents["doc-1"] = Document{Status: "accepted", JWS: "jws of doc-1"} }},
		"withdrawal unknown":        {Unerased, func(_, to *Books) { delete(to.Stones, "doc-1") }},
		"erasure not confirmed":     {Unerased, func(from, _ *Books) { from.Deliveries[n-1].Outcome = "" }},
		"holder never told":         {Unerased, func(from, _ *Books) { from.Deliveries = from.Deliveries[:n-1] }},
		"effect unknown":            {Lost, func(_, to *Books) { delete(to.Effects.Leads, "pair") }},
		"effect different":          {Lost, func(_, to *Books) { to.Effects.Traces["doc-1"] = Effect{pt, "SUBMITTED", []string{"submit"}} }},
		"effect with a stranger":    {Lost, func(from, _ *Books) { from.Effects.Leads["pair"] = Effect{"XX", "", nil} }},
		"effect twice": {Duplicated, func(from, to *Books) {
			twice := []string{"acknowledge", "acknowledge", "complete", "submit"}
			from.Effects.Traces["doc-1"], to.Effects.Traces["doc-1"] = Effect{es, "COMPLETED", twice}, Effect{pt, "COMPLETED", twice}
		}},
		"log does not verify": {Log, func(from, _ *Books) { from.LogFault = "entry 4" }},
		"indexes contradict":  {Log, func(_, to *Books) { to.IndexFault = "record 4" }},
		"refused": {Refused, func(_, to *Books) {
			to.Documents["message-x"] = Document{Status: "refused", Type: "lead", Issuer: pt, Reason: "planted"}
		}},
	} {
		books := balanced()
		c.plant(books[pt], books[es])
		_, findings := Compare(books)
		found := false
		for _, f := range findings {
			found = found || f.Class == c.class && f.Where != "" && strings.TrimSpace(f.Text) != ""
		}
		if !found {
			t.Errorf("%s: no finding of the class %s among %v", name, c.class, findings)
		}
	}
}

// A received document that was refused is one finding of its class; its message is at its place.
func TestRefusedIsNotTampered(t *testing.T) {
	books := balanced()
	to := books[es]
	to.Received[lane][2].Documents = []string{"message-" + to.Received[lane][2].Hash}
	d := to.Documents["doc-3"]
	delete(to.Documents, "doc-3")
	d.Status, d.Reason, d.Named = "refused", "planted", "doc-3"
	to.Documents[to.Received[lane][2].Documents[0]] = d
	_, findings := Compare(books)
	if len(findings) != 1 || findings[0].Class != Refused {
		t.Errorf("%v", findings)
	}
}

func TestActs(t *testing.T) {
	books := balanced()
	for _, c := range []struct {
		confirmed, unknown, findings int
	}{{n, 0, 0}, {n - 1, 1, 0}, {n - 2, 5, 0}, {n + 1, 0, 1}, {n - 1, 0, 1}} {
		if got := CompareActs(books, []Act{{pt, "trace-request", c.confirmed, c.unknown}}); len(got) != c.findings {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
