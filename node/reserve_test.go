package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"proofmark/correlate/synth"
	"proofmark/node/ballistics"
	"proofmark/node/control"
	"proofmark/node/dispatch"
	"proofmark/protocol"
	"proofmark/store"
)

// TestBelowTheReserve: with too little free space the node takes no work, but people log in, look and take back what they had published.
func TestBelowTheReserve(t *testing.T) {
	b := newBureau(t, "PT")
	b.start()
	b.login(roles)
	a := b.enrol("PT-1", synth.NewMaker(1).Firearm(1).Fire(1, synth.Shot{}))
	eventually(t, "the publication", func() bool { return len(b.documents(dispatch.Own)) == 1 })
	b.halt()
	free, err := store.FreeBytes(b.dir)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(b.dir, configFile)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw = regexp.MustCompile(`(?m)^reserve_mb = .*$`).ReplaceAll(raw, []byte(fmt.Sprintf("reserve_mb = %d", free>>20*4/3))) // the disk is at three quarters of it
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	b.start()
	who := b.session(control.LoginRequest{Name: "exam1", Secret: testSecret + " exam1"})
	tech := b.session(control.LoginRequest{Name: "tech", Secret: testSecret + " tech"})
	if _, err := control.Call[*ballistics.Case](t.Context(), tech, "case.add", "", ballistics.NewCase{Reference: "C-2", Agency: "Police"}); !errors.Is(err, store.ErrDiskReserve) {
		t.Errorf("a case below the reserve: %v", err)
	}
	before := len(b.entries(func(store.AuditRecord) bool { return true }))
	if list := call[[]*ballistics.Exhibit](t, tech, "exhibit.list", control.None{}); len(list) != 1 {
		t.Errorf("%d exhibits", len(list))
	}
	if after := len(b.entries(func(store.AuditRecord) bool { return true })); after <= before {
		t.Errorf("a view left no entry: %d, %d", before, after)
	}
	r := call[*dispatch.Recall](t, who, "document.withdraw", control.WithdrawRequest{Ref: a.Signature, Withdrawal: dispatch.Withdrawal{Reason: protocol.WithdrawalReasons[0]}})
	if r.Withdrawal == "" && len(r.Holders) > 0 {
		t.Errorf("%+v", r)
	}
	if own := b.documents(dispatch.Recalled); !own[a.Signature] {
		t.Errorf("withdrawn: %v", own)
	}
}
