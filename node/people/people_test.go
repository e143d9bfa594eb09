package people

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"proofmark/crypto"
	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/store"
)

var testSigner = sync.OnceValues(func() (note.Signer, note.Verifier) {
	skey, vkey, err := note.GenerateKey(rand.Reader, "proofmark.PT")
	if err != nil {
		panic(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		panic(err)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		panic(err)
	}
	return signer, verifier
})

// bureau is a people service over a real store, with a clock that the test moves.
type bureau struct {
	*Service
	t   *testing.T
	dir string
	log bytes.Buffer

	mu  sync.Mutex
	now time.Time
}

var (
	ctx         = context.Background()
	chiefSecret = []byte("seven ravens over Lisbon")
	annaSecret  = []byte("a cartridge in the sand")
)

// secretOf is a secret that no other account has.
func secretOf(name string) []byte { return []byte("a cartridge in the sand of " + name) }

func newBureau(t *testing.T) *bureau {
	b := &bureau{t: t, dir: t.TempDir(), now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
	b.start()
	t.Cleanup(func() { b.stop() })
	return b
}

func (b *bureau) start() {
	b.t.Helper()
	signer, _ := testSigner()
	st, err := store.Open(store.Options{
		Dir: b.dir, Key: bytes.Repeat([]byte{9}, 32), Random: rand.Reader, Signer: signer, MemTable: 8 << 20, Cache: 4 << 20,
		Now: func() time.Time {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.now
		},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	engine := policy.Default()
	b.Service = New(&desk.Desk{
		Store: st, Policy: func() *policy.Engine { return engine }, Country: "PT", Log: slog.New(slog.NewTextHandler(&b.log, nil)),
	}, crypto.TestCost)
}

func (b *bureau) stop() {
	if err := b.desk.Store.Close(); err != nil {
		b.t.Error(err)
	}
}

func (b *bureau) restart() {
	b.stop()
	b.start()
}

func (b *bureau) wait(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

// chief makes the first administrator and gives it as an actor.
func (b *bureau) chief() desk.Actor {
	b.t.Helper()
	if err := b.CreateFirst(ctx, "chief", chiefSecret); err != nil {
		b.t.Fatal(err)
	}
	return desk.Actor{Name: "chief", Roles: []string{policy.Administrator}}
}

// enrolled adds a person and has it enrol.
func (b *bureau) enrolled(chief desk.Actor, name string, secret []byte, roles ...string) *Session {
	b.t.Helper()
	code, err := b.Add(ctx, chief, "", name, "", roles)
	if err != nil {
		b.t.Fatal(err)
	}
	session, err := b.Enrol(ctx, name, code, secret)
	if err != nil {
		b.t.Fatal(err)
	}
	return session
}

func (b *bureau) account(name string) *Account {
	b.t.Helper()
	var a *Account
	err := b.desk.Store.View(func(tx *store.Tx) (err error) {
		a, err = accounts.Get(tx, name)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

// putAccount keeps an account as it stands, past all rules.
func (b *bureau) putAccount(a *Account) {
	b.t.Helper()
	if err := b.desk.Store.Update(ctx, func(tx *store.Tx) error { return accounts.Put(tx, a.Name, a) }); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bureau) entries(q store.AuditQuery) []store.AuditRecord {
	b.t.Helper()
	if q.Limit == 0 {
		q.Limit = 10_000
	}
	list, err := b.desk.Store.QueryAudit(ctx, q)
	if err != nil {
		b.t.Fatal(err)
	}
	return list
}

// works fails the test unless a secret opens a session.
func (b *bureau) works(name string, secret []byte) *Session {
	b.t.Helper()
	session, err := b.Login(ctx, name, secret)
	if err != nil {
		b.t.Fatalf("log-in of %s: %v", name, err)
	}
	return session
}

// refused fails the test unless a log-in is refused in the common words.
func (b *bureau) refused(name string, secret []byte) {
	b.t.Helper()
	if session, err := b.Login(ctx, name, secret); err != ErrCredentials || session != nil {
		b.t.Fatalf("log-in of %s: session %v, error %v, want ErrCredentials", name, session != nil, err)
	}
}

func TestFirstDay(t *testing.T) {
	b := newBureau(t)
	b.chief()
	session := b.works("chief", chiefSecret)
	chief, err := b.Authenticate(ctx, session.Token)
	if err != nil {
		t.Fatal(err)
	}
	code, err := b.Add(ctx, chief, "k1", "anna", "Anna Sousa", []string{policy.Examiner, policy.Technician})
	if err != nil {
		t.Fatal(err)
	}
	if state := b.account("anna").StateAt(b.now); state != Waiting {
		t.Errorf("before enrolment the account is %s, want waiting", state)
	}
	b.refused("anna", annaSecret)
	anna, err := b.Enrol(ctx, "anna", code, annaSecret)
	if err != nil {
		t.Fatal(err)
	}
	actor, err := b.Authenticate(ctx, anna.Token)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{policy.Technician, policy.Examiner}; actor.Name != "anna" || !slices.Equal(actor.Roles, want) || !slices.Equal(anna.Roles, want) {
		t.Errorf("actor %v, session roles %v, want anna with %v", actor, anna.Roles, want)
	}
	views, err := b.List(ctx, chief)
	if err != nil {
		t.Fatal(err)
	}
	if len(views) != 2 || views[0].Name != "anna" || views[0].State != Active || views[0].Sessions != 1 || views[0].FullName != "Anna Sousa" || views[0].CreatedBy != "chief" {
		t.Errorf("list %+v", views)
	}
	for range 2 {
		if err := b.Logout(ctx, anna.Token); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Authenticate(ctx, anna.Token); err != ErrSession {
		t.Errorf("after log-out: %v, want ErrSession", err)
	}
	var events []string
	for _, r := range slices.Backward(b.entries(store.AuditQuery{Object: "anna"})) {
		events = append(events, string(r.Action)+": "+r.Event)
	}
	want := []string{"collect: account added", "deny: log-in refused", "administer: enrolled with own secret", "administer: logged out"}
	if !slices.Equal(events, want) {
		t.Errorf("audit log of anna\n%q, want\n%q", events, want)
	}
	_, verifier := testSigner()
	if _, err := b.desk.Store.VerifyAudit(ctx, verifier, nil); err != nil {
		t.Error(err)
	}
	if err := b.desk.Store.CheckIndexes(ctx); err != nil {
		t.Error(err)
	}
}

func TestCreateFirst(t *testing.T) {
	b := newBureau(t)
	for _, bad := range []struct{ name, secret string }{{"Chief", string(chiefSecret)}, {"chief", "too short"}, {"node", string(chiefSecret)}} {
		if err := b.CreateFirst(ctx, bad.name, []byte(bad.secret)); !errors.Is(err, desk.ErrInvalid) {
			t.Errorf("name %q, secret %q: %v, want ErrInvalid", bad.name, bad.secret, err)
		}
	}
	// Of many at the same time one is the first.
	var wg sync.WaitGroup
	results := make([]error, 4)
	for i := range results {
		wg.Go(func() { results[i] = b.CreateFirst(ctx, []string{"ana", "bea", "cid", "dio"}[i], chiefSecret) })
	}
	wg.Wait()
	made := 0
	for _, err := range results {
		switch {
		case err == nil:
			made++
		case !errors.Is(err, ErrNotFirst) || !errors.Is(err, desk.ErrConflict):
			t.Errorf("%v, want ErrNotFirst", err)
		}
	}
	if made != 1 {
		t.Errorf("%d first administrators, want 1", made)
	}
}

func TestStates(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	later, earlier := now.Add(time.Second), now.Add(-time.Second)
	for _, c := range []struct {
		account Account
		want    State
	}{
		{Account{Secret: "x"}, Active},
		{Account{Secret: "x", LockedUntil: later}, Locked},
		{Account{Secret: "x", LockedUntil: now}, Active},
		{Account{Secret: "x", LockedUntil: later, Disabled: true}, Disabled},
		{Account{CodeUntil: later}, Waiting},
		{Account{CodeUntil: now}, Expired},
		{Account{CodeUntil: earlier}, Expired},
		{Account{CodeUntil: later, Disabled: true}, Disabled},
	} {
		if got := c.account.StateAt(now); got != c.want {
			t.Errorf("%+v is %s, want %s", c.account, got, c.want)
		}
	}
}
