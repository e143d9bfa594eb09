package people

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/store"
)

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{
		"ana": true, "a1": true, "0a": true, "ana.sousa": true, "ana-s_2": true, strings.Repeat("a", 64): true,
		"": false, "a": false, strings.Repeat("a", 65): false, "Ana": false, "ana sousa": false, "-rf": false, ".a": false, "_a": false,
		"aná": false, "a\x00b": false, "a/b": false, "node": false, "node2": true, "..": false,
	} {
		if err := CheckName(name); (err == nil) != ok || err != nil && !errors.Is(err, desk.ErrInvalid) {
			t.Errorf("%q: %v, want it accepted: %v", name, err, ok)
		}
	}
}

func TestCheckSecret(t *testing.T) {
	for _, c := range []struct {
		secret, why string // why it is refused; "" = accepted
	}{
		{"twelve chars", ""},
		{"only lower case and spaces", ""},
		{"ação à côté", "11 characters"},
		{"ação à côtés", ""},
		{"弾丸と薬莢の痕跡を比べて見る", ""},
		{"", "0 characters"},
		{"eleven char", "11 characters"},
		{strings.Repeat("A sentence without an end ", 39) + "1234567890", ""},
		{strings.Repeat("A sentence without an end ", 39) + "12345678901", "1025 bytes"},
		{"a secret \xff of bytes", "UTF-8"},
		{"a secret with a line end\n", "control character"},
		{"a secret with a \x00 zero", "control character"},
		{"aaaaaaaaaaaa", "first that anybody tries"},
		{"abababababababab", "first that anybody tries"},
		{"123456789012", "first that anybody tries"},
		{"Password1234", "first that anybody tries"},
		{"QWERTYuiop123", "first that anybody tries"},
		{"anna.sousa12", "account's name"},
		{"Anna.Sousaanna.sousa", "account's name"},
		{"2026anna.SOUSA!", "account's name"},
		{"anna.sousa compares casings", ""},
	} {
		err := CheckSecret("anna.sousa", []byte(c.secret))
		if (err == nil) != (c.why == "") || err != nil && (!errors.Is(err, desk.ErrInvalid) || !strings.Contains(err.Error(), c.why)) {
			t.Errorf("%.40q: %v, want %q", c.secret, err, c.why)
		}
	}
}

// The same words typed on another keyboard are the same secret.
func TestSecretIsNormalised(t *testing.T) {
	b := newBureau(t)
	chief := b.chief()
	apart, composed := []byte("um cafe\u0301 na esquina"), []byte("um caf\u00e9 na esquina")
	b.enrolled(chief, "anna", apart, policy.Examiner)
	b.works("anna", composed)
	other := []byte("um cafe\u0301 no largo")
	b.enrolled(chief, "bela", other, policy.Examiner)
	b.works("bela", norm.NFC.Bytes(other))
}

func TestCheckRoles(t *testing.T) {
	const (
		op, te, ex, in, au, ad = policy.NCBOperator, policy.Technician, policy.Examiner, policy.Investigator, policy.Auditor, policy.Administrator
	)
	for _, c := range []struct {
		roles []string
		want  string // sorted; "" = refused
	}{
		{[]string{op}, op}, {[]string{te}, te}, {[]string{ex}, ex}, {[]string{in}, in}, {[]string{au}, au}, {[]string{ad}, ad},
		{[]string{in, ex, te, op}, op + " " + te + " " + ex + " " + in},
		{[]string{ex, ex}, ex},
		{[]string{ad, op}, op + " " + ad},
		{[]string{ad, ex}, ""}, {[]string{ad, te}, ""}, {[]string{ad, in}, ""}, {[]string{op, in, ad}, ""},
		{[]string{au, op}, ""}, {[]string{au, ad}, ""}, {[]string{au, ex}, ""},
		{nil, ""}, {[]string{"root"}, ""}, {[]string{ex, ""}, ""}, {[]string{"Examiner"}, ""},
	} {
		got, err := sortRoles(c.roles)
		if strings.Join(got, " ") != c.want || (err == nil) != (c.want != "") || err != nil && !errors.Is(err, desk.ErrInvalid) {
			t.Errorf("%q: %q, %v, want %q", c.roles, got, err, c.want)
		}
		if (CheckRoles(c.roles) == nil) != (c.want != "") {
			t.Errorf("%q: CheckRoles disagrees", c.roles)
		}
	}
}

// Neither log nor errors nor audit entries nor kept records hold a secret, a token, a code, or what was typed as an unknown name.
func TestNothingSecretIsWrittenDown(t *testing.T) {
	b := newBureau(t)
	chief := b.chief()
	var said strings.Builder
	note := func(err error) { fmt.Fprintf(&said, "%v %+v\n", err, err) }
	secrets := map[string]string{
		"administrator's secret": string(chiefSecret), "person's secret": string(annaSecret),
		"secret typed as a name": "my-own-secret-in-the-wrong-field", "wrong secret": "this one was wrong by far", "short secret": "too small",
	}
	code, err := b.Add(ctx, chief, "k1", "anna", "Anna", []string{policy.Examiner})
	note(err)
	_, err = b.Enrol(ctx, "anna", "0000-1111-2222-3333", annaSecret)
	note(err)
	_, err = b.Enrol(ctx, "anna", code, []byte(secrets["short secret"]))
	note(err)
	session, err := b.Enrol(ctx, "anna", code, annaSecret)
	note(err)
	_, err = b.Login(ctx, secrets["secret typed as a name"], annaSecret)
	note(err)
	for range freeFailures + 2 {
		_, err = b.Login(ctx, "anna", []byte(secrets["wrong secret"]))
		note(err)
	}
	b.wait(touchEvery)
	_, err = b.Authenticate(ctx, session.Token)
	note(err)
	_, err = b.Authenticate(ctx, session.Token+"x")
	note(err)
	other := b.works("chief", chiefSecret)
	note(b.Logout(ctx, other.Token))
	reset, err := b.ResetCode(ctx, chief, "k2", "anna")
	note(err)
	b.wait(refusalWindow)
	note(b.Sweep(ctx))
	views, err := b.List(ctx, chief)
	note(err)
	secrets["token"], secrets["ended token"], secrets["code"], secrets["second code"] = session.Token, other.Token, code, reset
	secrets["code without hyphens"] = strings.ReplaceAll(code, "-", "")
	secrets["wrong code"] = "0000-1111-2222-3333"

	kept := map[string]any{"errors": said.String(), "log": b.log.String(), "audit": b.entries(store.AuditQuery{}), "list": views}
	err = b.desk.Store.View(func(tx *store.Tx) error {
		for id, a := range accounts.All(tx) {
			kept["account "+id] = a
		}
		for id, r := range sessions.All(tx) {
			kept["session "+id] = r
		}
		for id, r := range refused.All(tx) {
			kept["refusal "+id] = r
		}
		for key, value := range tx.Scan("", "") {
			kept["raw "+key] = string(value)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for where, v := range kept {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		for what, secret := range secrets {
			if strings.Contains(where+string(text), secret) {
				t.Errorf("the %s stands in %s: %s", what, where, text)
			}
		}
		if where == "list" && strings.Contains(string(text), "argon2id") {
			t.Errorf("the list shows hashes: %s", text)
		}
	}
}

func FuzzCheckSecret(f *testing.F) {
	f.Add("anna", []byte("twelve chars"))
	f.Add("anna", []byte("e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301"))
	f.Add("", []byte{0xff})
	f.Add("aa", []byte(strings.Repeat("a", 1025)))
	f.Fuzz(func(t *testing.T, name string, secret []byte) {
		if CheckSecret(name, secret) != nil {
			return
		}
		if n := utf8.RuneCount(secret); n < minSecret || len(secret) > maxSecret || !utf8.Valid(secret) {
			t.Fatalf("%q is accepted", secret)
		}
		if again := canonical(secret); string(canonical(again)) != string(again) {
			t.Fatalf("%q has no canonical form", secret)
		}
	})
}

func FuzzCheckName(f *testing.F) {
	for _, s := range []string{"anna", "a\xffb", "node", strings.Repeat("é", 40)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if CheckName(name) == nil && (strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789.-_") != "" || len(name) < 2 || len(name) > 64) {
			t.Fatalf("%q is accepted", name)
		}
	})
}
