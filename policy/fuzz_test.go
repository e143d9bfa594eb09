package policy

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
)

// FuzzLoad loads arbitrary text: no panic, no endless work, every error with a
// place in the file, and what loads decides without a panic and has a version
// that survives loading its own canonical text.
func FuzzLoad(f *testing.F) {
	for _, dir := range []fs.FS{DefaultFiles(), folder(manyPolicies(8))} {
		names, err := fs.Glob(dir, "*.cedar")
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range names {
			text, err := fs.ReadFile(dir, name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(text))
			f.Add(string(text[:len(text)/2]))
		}
	}
	for _, seed := range []string{
		permitAll, `@retain("P1Y") ` + permitAll, "permit(principal,action,resource)when{\"\\u{1F5}\\\"\\x41\"like\"*\\*\"};",
		"permit(principal,action,resource)when{if context has purpose then -9223372036854775808<0 else{a:1,\"b\":[1]}.a==1};",
		"permit(principal,action,resource)when{principal is User in Role::\"auditor\"&&principal.hasTag(\"a\")};",
		"permit(principal,action in [],resource);", "permit(principal,action,resource)when{[]==[]};",
		"permit(principal,action,resource)when{ip(\"1\").isIpv4()&&decimal(\"1.0\").lessThan(decimal(\"2.0\"))};",
		"permit(principal==?principal,action,resource);", "/*;*/;//;\n\";\"", "permit(principal,action,resource)when{action in[Action::\"share\",action]};",
		"permit(principal,action,resource)when{((((((((" + strings.Repeat("!", 9), strings.Repeat("a.", 2000) + ";",
		"permit(principal,action,resource)unless{" + strings.Repeat("resource has owner||", 100) + "true};",
		"permit(principal,action,resource)when{{}.a};", "permit(principal,action,resource)when{if context.a.b then context has a.b.c.d else resource.a};", "permit(principal,action,resource)when{context.now.offset(duration(\"1d\"))>context.now};",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := Load(folder(map[string]string{"x.cedar": text})) // go test ends an input that takes ten seconds
		if err != nil {
			var p *Problem
			if !errors.Is(err, ErrNoPolicies) && (!errors.As(err, &p) || p.File != "x.cedar" || p.Line < 1 || p.Line > 1+strings.Count(text, "\n") || p.Message == "") {
				t.Fatalf("an error without a place in the file: %v", err)
			}
			return
		}
		for _, q := range []Request{
			signatureTo("FR", nil), shareWith("FR", Lead, directed("FR")),
			{Principal: country("FR"), Action: Answer, Resource: Resource{Type: Lookup}},
			{Principal: person(Examiner), Action: CaseView, Now: noon},
		} {
			if d := e.Decide(q); d.Allow && (len(d.Policies) == 0 || len(d.Errors) > 0) {
				t.Fatalf("allowed without a policy or with errors: %+v", d)
			}
		}
		var canonical strings.Builder
		for _, r := range e.rules {
			canonical.Write(r.policy.MarshalCedar())
			canonical.WriteByte('\n')
		}
		again, err := Load(folder(map[string]string{"x.cedar": canonical.String()}))
		if err != nil {
			t.Fatalf("the canonical text does not load: %v\n%s", err, canonical.String())
		}
		if again.Version() != e.Version() {
			t.Fatalf("the version changed from %s to %s", e.Version(), again.Version())
		}
	})
}
