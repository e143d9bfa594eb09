package monitor

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"proofmark/node/agenda"
	"proofmark/node/exchange"
	"proofmark/store"
)

// Sources are what the figures are read from when they are asked for. None of them names a case, an exhibit or a person.
type Sources struct {
	Peers      func() []exchange.PeerStatus
	Queues     func() ([]store.QueueLength, error)
	Entries    func() (int64, error)  // of the audit log
	Spare      func() (uint64, error) // bytes of disk beside the reserve
	Store      func() (store.Figures, error)
	Signatures func() map[string]int    // held, by region
	Waiting    func() (int, error)      // signatures that wait to be correlated
	Refused    func() map[string]uint64 // batches and receipts refused since the start, by ground
	Roster     func() Roster
	Ready      func() (reasons []string) // why the node is not ready; empty when it is
	Network    prometheus.Gatherer       // libp2p's own figures; nil: none
	Witness    func() (Witness, error)   // nil: nobody is a witness
	Agenda     func() (agenda.Agenda, error)
}

// Witness is what is watched of the members' witnessing.
type Witness struct {
	Alarms   int       // pieces of evidence against logs that nothing explains
	Cosigned int64     // entries of the best cosigned checkpoint
	Oldest   time.Time // of its cosignatures that are wanted; zero without any
	Enough   bool      // it has as many as are wanted
}

// Roster is what is watched of the roster in force; the zero value where there is none.
type Roster struct {
	Version                int
	ValidUntil, EntryUntil time.Time // of the roster, and of this country's entry; zero if it is not listed
	Forks, Overrides       int       // open; announced
	Held                   bool      // documents wait for a new version
}

var (
	rosterVersion   = describe("roster_version", "Version of the roster in force; 0 without one.")
	rosterUntil     = describe("roster_valid_until_timestamp_seconds", "When the roster in force ends.")
	entryUntil      = describe("roster_entry_valid_until_timestamp_seconds", "When this country's entry ends.")
	rosterForks     = describe("roster_forks", "Rosters beside the one in force, signed by enough key holders, that nobody has decided about. Above 0: call the key holders.")
	rosterOverrides = describe("roster_overrides", "Members for whom the key holders announce other keys.")
	rosterHeld      = describe("roster_held", "Whether documents wait because the roster and its grace have ended.")

	connected = describe("peer_connected", "Whether a connection to the member stands.", "peer")
	contact   = describe("peer_last_contact_timestamp_seconds", "When the member was last spoken with.", "peer")
	failing   = describe("peer_failing", "Whether something fails with the member; proofmark peers says what.", "peer")
	lag       = describe("peer_lag_seconds", "Age of the oldest document that the member has not acknowledged.", "peer", "channel")
	syncing   = describe("peer_initial_sync_ratio", "Part of what this node holds that a new member has been given; absent when its first synchronisation is over.", "peer")
	carrier   = describe("peer_transport", "By what the member is connected: quic, tcp or relay.", "peer", "transport")
	delivered = describe("delivered_messages_total", "Messages the member has acknowledged since the node started.", "peer", "channel")
	intents   = describe("queue_documents", "Documents that wait to become messages.", "peer", "channel")
	unacked   = describe("unacknowledged_messages", "Messages the member has not acknowledged.", "peer", "channel")
	entries   = describe("audit_entries", "Entries of the audit log.")
	spare     = describe("disk_spare_bytes", "Free disk space beside the reserve; at 0 writes stop.")
	commits   = describe("store_commits_total", "Transactions made durable since the node started.")
	acts      = describe("store_acts_total", "Acts in those transactions.")
	size      = describe("store_bytes", "Size of the database's files, counted once a minute.", "part")
	held      = describe("signatures_held", "Signatures that are held for comparison.", "region")
	waiting   = describe("correlations_waiting", "Signatures that wait to be correlated.")
	refused   = describe("refused_total", "Batches and receipts refused since the node started.", "ground")
	alarms    = describe("witness_alarms", "Pieces of evidence that an audit log was put back or forked, which no declared restore explains. Above 0: proofmark witness status.")
	cosigned  = describe("witness_cosigned_entries", "Entries of this node's audit log that its witnesses have cosigned.")
	cosignedT = describe("witness_cosigned_timestamp_seconds", "Time of the oldest of the cosignatures that are wanted.")
	enough    = describe("witness_cosigned_enough", "Whether that checkpoint has as many cosignatures as are wanted.")
	ready     = describe("ready", "Whether the node is ready.")
	broken    = describe("figure_failed", "Figures that could not be read.", "figure")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("proofmark_"+name, help, labels, nil)
}

// collector reads the sources at every scrape.
type collector struct{ Sources }

// Describe sends nothing: the collector is unchecked, because which figures there are depends on the members.
func (c collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	total := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	for _, p := range c.Peers() {
		peer := string(p.Country)
		gauge(connected, truth(p.Connected), peer)
		gauge(failing, truth(p.LastError != ""), peer)
		if !p.LastContact.IsZero() {
			gauge(contact, float64(p.LastContact.UnixMilli())/1000, peer)
		}
		if p.Connected {
			gauge(carrier, 1, peer, p.Transport)
		}
		if p.Sync != nil {
			gauge(syncing, float64(p.Sync.Delivered)/float64(p.Sync.Total), peer)
		}
		for _, ch := range p.Channels {
			total(delivered, float64(ch.Delivered), peer, string(ch.Channel))
			gauge(lag, ch.LagSeconds, peer, string(ch.Channel))
		}
	}
	if queues, err := c.Queues(); err == nil {
		for _, q := range queues {
			gauge(intents, float64(q.Intents), q.Peer, q.Channel)
			gauge(unacked, float64(q.Unacknowledged), q.Peer, q.Channel)
		}
	} else {
		gauge(broken, 1, "queues")
	}
	if n, err := c.Entries(); err == nil {
		gauge(entries, float64(n))
	} else {
		gauge(broken, 1, "audit")
	}
	if n, err := c.Spare(); err == nil {
		gauge(spare, float64(n))
	} else {
		gauge(broken, 1, "disk")
	}
	if f, err := c.Store(); err == nil {
		total(commits, float64(f.Commits))
		total(acts, float64(f.Acts))
		gauge(size, float64(f.Tables), "tables")
		gauge(size, float64(f.ValueLog), "value-log")
	} else {
		gauge(broken, 1, "store")
	}
	if n, err := c.Waiting(); err == nil {
		gauge(waiting, float64(n))
	} else {
		gauge(broken, 1, "correlations")
	}
	for region, n := range c.Signatures() {
		gauge(held, float64(n), region)
	}
	for ground, n := range c.Refused() {
		total(refused, float64(n), ground)
	}
	if c.Roster != nil {
		r := c.Roster()
		gauge(rosterVersion, float64(r.Version))
		if r.Version > 0 {
			gauge(rosterUntil, float64(r.ValidUntil.Unix()))
		}
		if !r.EntryUntil.IsZero() {
			gauge(entryUntil, float64(r.EntryUntil.Unix()))
		}
		gauge(rosterForks, float64(r.Forks))
		gauge(rosterOverrides, float64(r.Overrides))
		gauge(rosterHeld, truth(r.Held))
	}
	if c.Witness != nil {
		if w, err := c.Witness(); err == nil {
			gauge(alarms, float64(w.Alarms))
			gauge(cosigned, float64(w.Cosigned))
			gauge(enough, truth(w.Enough))
			if !w.Oldest.IsZero() {
				gauge(cosignedT, float64(w.Oldest.Unix()))
			}
		} else {
			gauge(broken, 1, "witness")
		}
	}
	if a, err := c.Agenda(); err == nil {
		collectAgenda(a, gauge, total)
	} else {
		gauge(broken, 1, "agenda")
	}
	gauge(ready, truth(len(c.Ready()) == 0))
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
