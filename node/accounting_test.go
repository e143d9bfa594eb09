package node

import (
	"bytes"
	"encoding/binary"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"proofmark/crypto/proof"
	"proofmark/node/control"
	"proofmark/node/tracing"
	"proofmark/protocol"
	"proofmark/store"
)

// hideEntry writes another country into an audit entry of a node that is stopped, behind the program's back: what is asked about that country does not find it
// any more. The entry itself may hold a hash that the tree's root needs; without it the node would append, and show, nothing at all.
func (b *bureau) hideEntry(index int64, with string) {
	b.t.Helper()
	n := &Node{dir: b.dir}
	master, err := n.unlock([]byte(testPassphrase))
	if err != nil {
		b.t.Fatal(err)
	}
	db, err := badger.Open(badger.DefaultOptions(filepath.Join(b.dir, storeDir)).WithLogger(nil).WithEncryptionKey(master.Derive("badger")).WithIndexCacheSize(8 << 20).
		WithCompression(options.ZSTD))
	if err != nil {
		b.t.Fatal(err)
	}
	key, named := binary.BigEndian.AppendUint64([]byte("l"), uint64(index)), []byte(`"counterpart":"`+with+`"`)
	err = db.Update(func(txn *badger.Txn) error {
		item, err := txn.Get(key)
		if err != nil {
			return err
		}
		stored, err := item.ValueCopy(nil)
		if err == nil && !bytes.Contains(stored, named) {
			err = errors.New("it names another country")
		}
		if err != nil {
			return err
		}
		return txn.Set(key, bytes.Replace(stored, named, []byte(`"counterpart":"XX"`), 1))
	})
	if err != nil {
		b.t.Fatalf("entry %d with %s: %v", index, with, err)
	}
	if err := db.Close(); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bureau) again(name string) *control.Client {
	return b.session(control.LoginRequest{Name: name, Secret: testSecret + " " + name})
}

// TestLogsAreReconciled: two nodes' logs of their channels agree; an entry that somebody takes out of one of them is found by the other.
func TestLogsAreReconciled(t *testing.T) {
	pt, es := newBureau(t, "PT"), newBureau(t, "ES")
	for _, b := range []*bureau{pt, es} {
		b.start()
		b.login(map[string]string{"inv": "investigator", "op": "ncb-operator", "aud": "auditor"})
	}
	federate(t, pt, es)
	for range 3 {
		call[tracing.Trace](t, pt.people["inv"], "trace.new", tracing.NewTrace{To: "ES", Agency: "PJ", LegalJustification: "seized in a search", Circumstances: "under the floor", IntendedUse: "prosecution",
			RecoveryPlace: "Elvas", RecoveryDate: &protocol.Interval{From: time.Now().AddDate(0, 0, -9), To: time.Now().AddDate(0, 0, -8)}, Firearm: protocol.FirearmDescription{Kind: "pistol", Action: "semi-automatic", Make: "Ruger", Serial: "315-08281", Calibre: "9x19"}})
	}
	compare := func(b *bureau, who, with string) *proof.Reconciliation {
		t.Helper()
		var r *proof.Reconciliation
		eventually(t, "the statement of "+with, func() bool {
			var err error
			r, err = control.Call[*proof.Reconciliation](t.Context(), b.people[who], "audit.reconcile", "", control.ChannelRef{With: with})
			return err == nil
		})
		return r
	}
	lane := func(r *proof.Reconciliation) proof.LaneResult { return r.Lanes[0] } // PT to ES, urgent, as PT sees it
	eventually(t, "three requests in the log of ES", func() bool {
		return len(call[[]store.AuditRecord](t, es.people["aud"], "audit.query", control.AuditRequest{Counterpart: "PT", Action: "receive", Kind: "trace-request"})) == 3
	})
	if r := compare(pt, "aud", "ES"); !r.Agree || len(r.Items) != 0 {
		t.Errorf("%+v", r)
	}
	if r := compare(es, "op", "PT"); !r.Agree || r.Lanes[2].Count[proof.Agreed] != 3 {
		t.Errorf("as ES sees it: %+v", r)
	}
	if _, err := control.Call[*proof.Reconciliation](t.Context(), pt.people["inv"], "audit.reconcile", "", control.ChannelRef{With: "ES"}); err == nil {
		t.Error("an investigator reconciles")
	}

	arrived := call[[]store.AuditRecord](t, es.people["aud"], "audit.query", control.AuditRequest{Counterpart: "PT", Action: "receive", Kind: "trace-request"})
	if len(arrived) != 3 || arrived[1].MessageSeq != 2 {
		t.Fatalf("ES has logged %+v", arrived)
	}
	es.halt()
	es.hideEntry(arrived[1].Index, "PT")
	es.start()
	r := compare(pt, "op", "ES")
	if r.Agree || lane(r).Count[proof.Agreed] != 2 || lane(r).Count[proof.Missing] != 1 || len(r.Items) != 1 {
		t.Fatalf("an entry was taken out of the log of ES: %+v", r)
	}
	if it := r.Items[0]; it.Seq != 2 || it.In != "PT" || it.Document != arrived[1].Documents[0] || !strings.Contains(it.Why, "the log of ES has no entry of it") {
		t.Errorf("it says %+v", it)
	}
	es.people["aud"] = es.again("aud")
	if seen := call[[]store.AuditRecord](t, es.people["aud"], "audit.query", control.AuditRequest{Counterpart: "PT", Text: "given to a member", Limit: 2}); len(seen) < 2 {
		t.Errorf("ES has logged %d statements that it gave", len(seen))
	}
}
