package sharing

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"proofmark/crypto"
	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/store"
)

var (
	olga = desk.Actor{Name: "olga", Roles: []string{policy.NCBOperator}}
	otto = desk.Actor{Name: "otto", Roles: []string{policy.NCBOperator}}
	rita = desk.Actor{Name: "rita", Roles: []string{policy.Technician}}
)

type rig struct {
	*Service
	folder  string
	store   *store.Store
	changes int
}

func newRig(t *testing.T) *rig {
	t.Helper()
	dir := t.TempDir()
	r := &rig{folder: filepath.Join(dir, "policy")}
	if err := os.CopyFS(r.folder, policy.DefaultFiles()); err != nil {
		t.Fatal(err)
	}
	keys, err := crypto.GenerateKeys(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := keys.LogSigner("proofmark.PT")
	if err != nil {
		t.Fatal(err)
	}
	r.store, err = store.Open(store.Options{Dir: filepath.Join(dir, "store"), Key: make([]byte, 32), Now: time.Now, Random: rand.Reader, Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.store.Close() })
	engine, err := Load(r.store, r.folder)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	if err := Record(t.Context(), r.store, engine, r.folder, log); err != nil {
		t.Fatal(err)
	}
	inForce := new(atomic.Pointer[policy.Engine])
	inForce.Store(engine)
	r.Service = New(&desk.Desk{Store: r.store, Policy: inForce.Load, Country: "PT", Log: log}, r.folder, inForce, time.Now, func() { r.changes++ })
	return r
}

// files is the default policy with one more rule.
func files(t *testing.T, id string) map[string]string {
	t.Helper()
	out := map[string]string{"99-more.cedar": "@id(\"" + id + "\")\nforbid (principal, action == Action::\"share\", resource is Notice);\n"}
	all := policy.DefaultFiles()
	names, err := fs.Glob(all, "*.cedar")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := fs.ReadFile(all, name)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = string(b)
	}
	return out
}

func versionOf(t *testing.T, f map[string]string) string {
	t.Helper()
	e, err := policy.LoadTexts(f)
	if err != nil {
		t.Fatal(err)
	}
	return e.Version()
}

func TestASecondPersonPutsAPolicyInForce(t *testing.T) {
	r := newRig(t)
	before := r.engine.Load().Version()
	one, other := files(t, "one"), files(t, "other")
	if _, err := r.Apply(t.Context(), rita, "k0", one, ""); !errors.Is(err, desk.ErrForbidden) {
		t.Errorf("a technician proposes: %v", err)
	}
	p, err := r.Apply(t.Context(), olga, "k1", one, "because")
	if err != nil || p.State != Open || r.engine.Load().Version() != before || r.changes != 0 {
		t.Fatalf("%+v, %v, %d changes", p, err, r.changes)
	}
	if _, err := r.Apply(t.Context(), olga, "k2", other, ""); err != nil {
		t.Fatal(err)
	}
	for _, who := range []desk.Actor{olga, rita} {
		if _, err := r.Approve(t.Context(), who, "k3"+who.Name, p.Version); !errors.Is(err, desk.ErrForbidden) {
			t.Errorf("%s approves: %v", who.Name, err)
		}
	}
	if got := r.engine.Load().Version(); got != before {
		t.Fatalf("in force is %s", got)
	}
	for range 2 { // the same command again changes nothing more
		if p, err = r.Approve(t.Context(), otto, "k4", p.Version[:12]); err != nil || p.State != InForce || p.Second != "otto" {
			t.Fatalf("%+v, %v", p, err)
		}
	}
	if got := r.engine.Load().Version(); got != p.Version || r.changes != 1 {
		t.Errorf("in force is %s, want %s; %d changes", got, p.Version, r.changes)
	}
	if e, err := Load(r.store, r.folder); err != nil || e.Version() != p.Version {
		t.Errorf("the files: %v", err)
	}
	// What was compared with the policy before is not approved under this one.
	if _, err := r.Approve(t.Context(), otto, "k5", versionOf(t, other)); !errors.Is(err, desk.ErrConflict) || r.engine.Load().Version() != p.Version {
		t.Errorf("approved after another: %v", err)
	}
	if _, err := r.Apply(t.Context(), olga, "k6", one, ""); !errors.Is(err, desk.ErrConflict) {
		t.Errorf("proposed again while in force: %v", err)
	}
	if entries, err := r.store.QueryAudit(context.Background(), store.AuditQuery{Kind: policy.KindPolicy, Limit: 100}); err != nil || len(entries) < 4 {
		t.Errorf("%d entries, %v", len(entries), err)
	}
}

// Between the second person's look at a proposal and the approval somebody else proposes the same rules with other cases: what was not looked at is not approved.
func TestAProposalThatChangesAtTheMomentOfApproval(t *testing.T) {
	r := newRig(t)
	f := files(t, "one")
	cases := "[[case]]\nname = \"c\"\nto = \"FR\"\ndocument = \"notice\"\n[case.expect]\ndecision = \"deny\"\n"
	f[policy.CasesFile] = cases
	p, err := r.Apply(t.Context(), olga, "k1", f, "")
	if err != nil {
		t.Fatal(err)
	}
	r.now = func() time.Time { // asked for while the cases of what is known are tried
		r.now = time.Now
		other := *p
		other.By, other.Files = rita.Name, maps.Clone(f)
		other.Files[policy.CasesFile] = "# others\n" + cases
		if err := r.store.Update(t.Context(), func(tx *store.Tx) error { return proposals.Put(tx, other.Version, &other) }); err != nil {
			t.Error(err)
		}
		return time.Now()
	}
	if got, err := r.Approve(t.Context(), otto, "k2", p.Version); !errors.Is(err, desk.ErrConflict) || r.engine.Load().Version() == p.Version {
		t.Errorf("approved unseen: %+v, %v", got, err)
	}
	if _, err := r.Approve(t.Context(), otto, "k3", p.Version); err != nil || r.engine.Load().Version() != p.Version {
		t.Errorf("looked at again: %v", err)
	}
}

// Where the bureau's policy asks for no second person, one is enough.
func TestOnePersonWhereThePolicyAsksForNoSecond(t *testing.T) {
	r := newRig(t)
	alone := files(t, "alone")
	alone["60-upkeep.cedar"] = strings.ReplaceAll(alone["60-upkeep.cedar"], "@approval(\"two-person\")\n", "")
	p, err := r.Apply(t.Context(), olga, "k1", alone, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Approve(t.Context(), otto, "k2", p.Version); err != nil {
		t.Fatal(err)
	}
	p, err = r.Apply(t.Context(), olga, "k3", files(t, "next"), "")
	if err != nil || p.State != InForce || r.engine.Load().Version() != p.Version || r.changes != 2 {
		t.Errorf("%+v, %v, %d changes", p, err, r.changes)
	}
}

func TestWhatIsWrongIsNeverProposed(t *testing.T) {
	r := newRig(t)
	before := r.engine.Load()
	for name, f := range map[string]map[string]string{
		"nothing":      nil,
		"a wrong name": {"../x.cedar": "permit (principal, action, resource);"},
		"another kind": {"x.cedar": "forbid (principal, action, resource);", "x.sh": "rm"},
		"not Cedar":    {"x.cedar": "allow everybody"},
		"its case": {"x.cedar": "forbid (principal, action, resource);",
			"cases.toml": "[[case]]\nname = \"c\"\nto = \"FR\"\ndocument = \"notice\"\n[case.expect]\ndecision = \"permit\""},
	} {
		if _, err := r.Apply(t.Context(), olga, "k"+name, f, ""); !errors.Is(err, desk.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if r.engine.Load() != before || r.changes != 0 {
		t.Error("something came into force")
	}
	if _, err := os.Stat(r.folder + nextSuffix); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("files are left: %v", err)
	}
}

// A store that takes no writes leaves the policy in force as it was.
func TestWhatIsNotCommittedIsNotInForce(t *testing.T) {
	r := newRig(t)
	before := r.engine.Load()
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Apply(t.Context(), olga, "k", files(t, "one"), ""); err == nil || r.engine.Load() != before {
		t.Errorf("%v", err)
	}
}

// A crash at any point of a change leaves the old policy or the new one, as the store has it.
func TestAStartEndsAChangeThatACrashBrokeOff(t *testing.T) {
	changed := files(t, "one")
	for name, c := range map[string]struct {
		committed bool
		spoil     func(t *testing.T, folder string)
		want      bool // the new one
	}{
		"before the commit":               {false, func(*testing.T, string) {}, false},
		"while the files are written":     {false, func(t *testing.T, f string) { spoil(t, filepath.Join(f+nextSuffix, "99-more.cedar")) }, false},
		"after the commit":                {true, func(*testing.T, string) {}, true},
		"while the folders change places": {true, func(t *testing.T, f string) { rename(t, f, f+lastSuffix) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			want := r.engine.Load().Version()
			before := want
			if err := stage(r.folder, changed); err != nil {
				t.Fatal(err)
			}
			if c.committed {
				if err := r.store.Update(t.Context(), func(tx *store.Tx) error { return tx.Put(rawPolicyVersion, []byte(versionOf(t, changed))) }); err != nil {
					t.Fatal(err)
				}
			}
			c.spoil(t, r.folder)
			if c.want {
				want = versionOf(t, changed)
			}
			e, err := Load(r.store, r.folder)
			if err != nil || e.Version() != want {
				t.Fatalf("%v, want %s", err, want)
			}
			if _, err := os.Stat(r.folder + nextSuffix); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("files are left: %v", err)
			}
			if last, err := policy.Load(os.DirFS(r.folder + lastSuffix)); c.want && (err != nil || last.Version() != before) {
				t.Errorf("the policy before is not kept beside it: %v", err)
			}
		})
	}
}

// A proposal of what is in force already, broken off before its cases were written, takes no cases away.
func TestAStartKeepsTheCasesOfWhatIsInForce(t *testing.T) {
	r := newRig(t)
	cases := filepath.Join(r.folder, policy.CasesFile)
	want, err := os.ReadFile(cases)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(r.folder+nextSuffix, policy.DefaultFiles()); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(r.folder+nextSuffix, policy.CasesFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(r.store, r.folder); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(cases); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the cases are %q, %v", got, err)
	}
	if _, err := os.Stat(r.folder + nextSuffix); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("files are left: %v", err)
	}
}

func spoil(t *testing.T, path string) {
	t.Helper()
	if err := os.Truncate(path, 20); err != nil {
		t.Fatal(err)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}
