package release

import (
	"testing"

	"proofmark/node/dispatch"
	"proofmark/protocol"
	"proofmark/store"
)

// TestWithdrawalErasesTheScans: taken back, the signature or the release of its scans, the bytes that were fetched go.
func TestWithdrawalErasesTheScans(t *testing.T) {
	for _, typ := range []protocol.Type{protocol.TypeSignature, protocol.TypeScanRelease} {
		f, id := granted(t)
		es, pt := f.bureaus["ES"], f.bureaus["PT"]
		if err := pt.fetchRound(t, "ES"); err != nil {
			t.Fatal(err)
		}
		got := pt.show(id)
		withdrawn := got.Signature
		if typ == protocol.TypeScanRelease {
			withdrawn = got.Release.Document
		}
		err := es.Store.Update(t.Context(), func(tx *store.Tx) error {
			_, err := es.Out.Withdraw(tx, exam1, withdrawn, dispatch.Withdrawal{Reason: protocol.ReasonCourtOrder})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		f.carry("ES", "PT")
		if s := pt.show(id).State; s != Erased {
			t.Errorf("%s: the request is %s", typ, s)
		}
		hash := got.Files[0].SHA256
		if err := pt.Store.View(func(tx *store.Tx) error {
			has, err := tx.HasBlob(hash)
			if has {
				t.Errorf("%s: the bytes are still there", typ)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if e := pt.entries("scan erased"); len(e) != 1 || e[0].Ground != "withdrawal" {
			t.Errorf("%s: %+v", typ, e)
		}
		if err := es.Store.View(func(tx *store.Tx) error { _, err := tx.Blob(hash); return err }); err != nil {
			t.Errorf("%s: the owner's own scan: %v", typ, err)
		}
	}
}
