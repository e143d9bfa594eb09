package monitor

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"proofmark/node/agenda"
	"proofmark/node/budget"
	"proofmark/node/exchange"
	"proofmark/protocol"
	"proofmark/store"
)

const token = "a token of thirty-two characters"

func sources() Sources {
	return Sources{
		Peers: func() []exchange.PeerStatus {
			return []exchange.PeerStatus{{Country: "ES", Name: "OCN Madrid", Connected: true, Transport: "quic", LastContact: time.Unix(1_700_000_000, 0),
				Sync: &exchange.SyncStatus{Delivered: 30, Total: 120}, Channels: []exchange.ChannelStatus{{Channel: protocol.Bulk, Delivered: 12, LagSeconds: 90}}},
				{Country: "FR", LastError: "nothing listens at its address"}}
		},
		Queues: func() ([]store.QueueLength, error) {
			return []store.QueueLength{{Peer: "FR", Channel: "bulk", Intents: 7, Unacknowledged: 3}}, nil
		},
		Entries:    func() (int64, error) { return 42, nil },
		Spare:      func() (uint64, error) { return 0, errors.New("no disk") },
		Signatures: func() map[string]int { return map[string]int{"breech-face": 100} },
		Roster: func() Roster {
			return Roster{Version: 7, ValidUntil: time.Unix(1_800_000_000, 0), Forks: 1, Overrides: 2, Held: true}
		},
		Agenda: func() (agenda.Agenda, error) {
			es := budget.Who{Country: "ES"}
			return agenda.Agenda{Approvals: agenda.Ends{Count: 3, Soon: 1}, Permitted: agenda.Ends{Count: 2, Soon: 2}, Operations: agenda.Ends{Count: 4, Soon: 1}, Offered: 1,
				Retention:   agenda.Kept{Looked: time.Unix(1_700_000_000, 0), Due: 9, Soon: 8, Proposed: 7, Waiting: 6, Since: time.Unix(1_600_000_000, 0)},
				Budgets:     []budget.Spent{{Who: es, What: "trace", Purpose: "missing-persons", Used: 20, Limit: 20, Asked: 33, Total: 11}, {Who: es, What: "scan", Used: 1, Limit: 50, Asked: 1}},
				PeopleSpent: map[string]int{"firearm:search": 2}}, nil
		},
		Waiting: func() (int, error) { return 5, nil },
		Refused: func() map[string]uint64 { return map[string]uint64{"forged": 2} },
		Ready:   func() []string { return []string{"no roster is installed"} },
		Store:   func() (store.Figures, error) { return store.Figures{Commits: 3, Acts: 9, Tables: 1 << 20}, nil },
	}
}

func get(t *testing.T, s *Server, path, token string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://"+s.Address()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func serve(t *testing.T, s Sources) *Server {
	t.Helper()
	srv, err := Listen("127.0.0.1:0", token, s, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return srv
}

func TestFigures(t *testing.T) {
	srv := serve(t, sources())
	status, page := get(t, srv, "/metrics", "Bearer "+token)
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, page)
	}
	for _, want := range []string{
		`proofmark_peer_connected{peer="ES"} 1`, `proofmark_peer_connected{peer="FR"} 0`, `proofmark_peer_failing{peer="FR"} 1`,
		`proofmark_peer_last_contact_timestamp_seconds{peer="ES"} 1.7e+09`, `proofmark_delivered_messages_total{channel="bulk",peer="ES"} 12`,
		`proofmark_peer_lag_seconds{channel="bulk",peer="ES"} 90`, `proofmark_peer_initial_sync_ratio{peer="ES"} 0.25`, `proofmark_peer_transport{peer="ES",transport="quic"} 1`,
		`proofmark_queue_documents{channel="bulk",peer="FR"} 7`, `proofmark_unacknowledged_messages{channel="bulk",peer="FR"} 3`, `proofmark_audit_entries 42`,
		`proofmark_roster_version 7`, `proofmark_roster_valid_until_timestamp_seconds 1.8e+09`, `proofmark_roster_forks 1`, `proofmark_roster_overrides 2`, `proofmark_roster_held 1`,
		`proofmark_signatures_held{region="breech-face"} 100`, `proofmark_correlations_waiting 5`, `proofmark_refused_total{ground="forged"} 2`, `proofmark_ready 0`,
		`proofmark_budget_questions_total{asks="trace",outcome="answered",peer="ES",purpose="missing-persons"} 22`, `proofmark_budget_questions_total{asks="trace",outcome="refused",peer="ES",purpose="missing-persons"} 11`,
		`proofmark_budget_left{asks="trace",peer="ES",purpose="missing-persons"} 0`, `proofmark_budget_left{asks="scan",peer="ES",purpose="any other"} 49`, `proofmark_budget_limit{asks="scan",peer="ES",purpose="any other"} 50`,
		`proofmark_budget_people_used_up{action="firearm:search"} 2`, `proofmark_approvals_waiting 3`, `proofmark_approvals_lapsing 1`, `proofmark_permissions_standing{by="others"} 2`, `proofmark_permissions_ending{by="others"} 2`,
		`proofmark_permissions_standing{by="this country"} 0`, `proofmark_operations_standing 4`, `proofmark_operations_ending 1`, `proofmark_operations_offered 1`, `proofmark_retention_due 9`, `proofmark_retention_due_soon 8`,
		`proofmark_purges_proposed 7`, `proofmark_purges_unfinished 6`, `proofmark_purges_unfinished_since_timestamp_seconds 1.6e+09`,
		`proofmark_figure_failed{figure="disk"} 1`, `proofmark_store_acts_total 9`, `proofmark_store_bytes{part="tables"} 1.048576e+06`, "go_goroutines ", "process_resident_memory_bytes ",
	} {
		if !strings.Contains(page, want+"\n") && !strings.Contains(page, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if strings.Contains(page, "proofmark_disk_spare_bytes ") || strings.Contains(page, "Madrid") || strings.Contains(page, "listens") {
		t.Error("a figure that could not be read, a name or an error stands on the page")
	}
	if strings.Contains(page, `proofmark_peer_initial_sync_ratio{peer="FR"}`) || strings.Contains(page, `proofmark_peer_transport{peer="FR"`) {
		t.Error("a member that is not connected, or needs no first synchronisation, has its figure")
	}
}

func TestOnlyTheTokenOpens(t *testing.T) {
	srv := serve(t, sources())
	for _, path := range []string{"/metrics", "/readyz"} {
		for _, bad := range []string{"", "Bearer", "Bearer ", "Bearer " + token[:31], "Bearer " + token + "x", "Basic " + token, token} {
			if status, page := get(t, srv, path, bad); status != http.StatusUnauthorized || strings.Contains(page, "proofmark_") || strings.Contains(page, "roster") {
				t.Errorf("%s with %q: %d %.80s", path, bad, status, page)
			}
		}
	}
	if status, page := get(t, srv, "/healthz", ""); status != http.StatusOK || page != "alive\n" {
		t.Errorf("healthz: %d %q", status, page)
	}
	if status, _ := get(t, srv, "/debug/pprof/", "Bearer "+token); status != http.StatusNotFound {
		t.Errorf("another page: %d", status)
	}
	if _, err := Listen("127.0.0.1:0", "short", sources(), slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a short token is taken")
	}
}

func TestReadiness(t *testing.T) {
	s := sources()
	srv := serve(t, s)
	if status, page := get(t, srv, "/readyz", "Bearer "+token); status != http.StatusServiceUnavailable || page != "no roster is installed\n" {
		t.Errorf("%d %q", status, page)
	}
	s.Ready = func() []string { return nil }
	if status, page := get(t, serve(t, s), "/readyz", "Bearer "+token); status != http.StatusOK || page != "ready\n" {
		t.Errorf("%d %q", status, page)
	}
}
