package witness

import (
	"errors"
	"strings"
	"testing"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
)

func TestCosignaturesAreThoseOfTheStandard(t *testing.T) {
	pt, es := newMember(t, "PT"), newMember(t, "ES")
	c := pt.checkpoint(t, newTree(7).at(7))
	line, err := es.cosigner(t).Cosign(c.Text, noon)
	if err != nil {
		t.Fatal(err)
	}
	// torchwood's own signer gives the key that its own verifier knows.
	theirs, err := torchwood.NewCosignatureSigner("proofmark.ES", es.keys.LogKey())
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open([]byte(c.Note+line), note.VerifierList(theirs.Verifier()))
	if err != nil {
		t.Fatal(err)
	}
	if at, err := torchwood.CosignatureTimestamp(n.Sigs[0]); err != nil || at != noon.Unix() {
		t.Errorf("time %d, %v; want %d", at, err, noon.Unix())
	}
	ring := keyring(t, pt, es)
	log, _ := ring.Log("ES")
	if log.Cosigner.String() != theirs.Verifier().String() || log.Origin() != "proofmark.ES" {
		t.Errorf("keyring has %s, torchwood %s", log.Cosigner, theirs.Verifier())
	}
	// And the other way round.
	signed, err := note.Sign(&note.Note{Text: c.Text}, pt.log, theirs)
	if err != nil {
		t.Fatal(err)
	}
	o, err := ring.Open(signed)
	if err != nil || len(o.Cosignatures) != 1 || o.Cosignatures[0].Country != "ES" || o.Country != "PT" || o.N != 7 {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestOpenBelievesOnlyWhoSigned(t *testing.T) {
	pt, es, fr := newMember(t, "PT"), newMember(t, "ES"), newMember(t, "FR")
	ring := keyring(t, pt, es, fr)
	log := newTree(9)
	c, other := pt.checkpoint(t, log.at(9)), pt.checkpoint(t, log.at(8))
	cosign := func(m member, text string) string {
		line, err := m.cosigner(t).Cosign(text, noon)
		if err != nil {
			t.Fatal(err)
		}
		return line
	}
	plain := func(m member) string { // a checkpoint's signature of another log
		b, err := note.Sign(&note.Note{Text: c.Text}, m.log)
		if err != nil {
			t.Fatal(err)
		}
		_, sig, _ := strings.Cut(string(b), "\n\n")
		return sig
	}
	stranger := newMember(t, "XX")
	for name, tc := range map[string]struct {
		signed string
		by     string
		err    error
	}{
		"log alone":                   {c.Note, "", nil},
		"two witnesses":               {c.Note + cosign(fr, c.Text) + cosign(es, c.Text), "ES FR", nil},
		"a witness twice":             {c.Note + cosign(es, c.Text) + cosign(es, c.Text), "ES", nil},
		"stranger":                    {c.Note + cosign(stranger, c.Text), "", nil},
		"log on itself":               {c.Note + cosign(pt, c.Text), "", nil},
		"no cosignature but a log's":  {c.Note + plain(es), "", nil},
		"cosignature of another text": {c.Note + cosign(es, other.Text), "", ErrMalformed},
		"witnesses without the log":   {c.Text + "\n" + cosign(es, c.Text), "", ErrUnsigned},
		"log as its own witness only": {c.Text + "\n" + cosign(pt, c.Text), "", ErrUnsigned},
		"unknown log":                 {stranger.checkpoint(t, log.at(3)).Note, "", ErrUnknownOrigin},
		"another log's signature":     {strings.Replace(c.Text, "PT", "ES", 1) + "\n" + c.Note[len(c.Text)+1:], "", ErrMalformed},
		"too large":                   {c.Note + strings.Repeat("x", MaxNote), "", ErrMalformed},
		"no checkpoint":               {"proofmark.PT\n", "", ErrMalformed},
		"nothing":                     {"", "", ErrUnknownOrigin},
	} {
		o, err := ring.Open([]byte(tc.signed))
		if !errors.Is(err, tc.err) {
			t.Errorf("%s: %v, want %v", name, err, tc.err)
			continue
		}
		var by []string
		for _, s := range o.Cosignatures {
			by = append(by, s.Country)
			if !s.At.Equal(noon) {
				t.Errorf("%s: cosigned at %s", name, s.At)
			}
		}
		if strings.Join(by, " ") != tc.by {
			t.Errorf("%s: cosigned by %v, want %q", name, by, tc.by)
		}
		if err == nil && o.Note != c.Note {
			t.Errorf("%s: bare note %q", name, o.Note)
		}
	}
	extended, err := note.Sign(&note.Note{Text: c.Text + "more\n"}, pt.log)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ring.Open(extended); !errors.Is(err, ErrMalformed) {
		t.Errorf("a checkpoint with an extension line: %v", err)
	}
	signed := Assemble(c, []Cosignature{{Country: "FR", Line: cosign(fr, c.Text)}, {Country: "ES", Line: cosign(es, c.Text)}})
	if o, err := ring.Open([]byte(signed)); err != nil || len(o.Cosignatures) != 2 {
		t.Errorf("assembled: %+v, %v", o.Cosignatures, err)
	}
	if s, err := ring.Cosigned(c, "ES", cosign(es, c.Text)); err != nil || !s.At.Equal(noon) {
		t.Errorf("%+v, %v", s, err)
	}
	for name, line := range map[string]string{"other witness": cosign(fr, c.Text), "two lines": cosign(es, c.Text) + cosign(fr, c.Text), "other text": cosign(es, other.Text), "none": "",
		"long": strings.Repeat("x", MaxBareNote+1)} {
		if _, err := ring.Cosigned(c, "ES", line); err == nil {
			t.Errorf("cosignature %q was taken", name)
		}
	}
}

func TestCosignRefusesWhatIsNoCheckpoint(t *testing.T) {
	c := newMember(t, "ES").cosigner(t)
	for _, text := range []string{"", "proofmark.PT\n", "proofmark.PT\n1\n", "a\nb\nc\n", headForm + "\nproofmark.PT\nshown\n"} {
		if _, err := c.Cosign(text, noon); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := c.Cosign(newMember(t, "PT").checkpoint(t, newTree(1).at(1)).Text, time.Time{}); err == nil {
		t.Error("cosigned with a clock that does not go")
	}
}

func TestKeyringRefusesBadKeys(t *testing.T) {
	pt := newMember(t, "PT")
	for _, vkey := range []string{"", "proofmark.PT", "proofmark.PT+01234567+AAAA", pt.vkey + "A", pt.vkey[1:]} {
		if _, err := NewKeyring(map[string]string{"PT": vkey}); err == nil {
			t.Errorf("%q was taken", vkey)
		}
	}
	if _, err := NewKeyring(map[string]string{"PT": pt.vkey, "ES": pt.vkey}); err == nil {
		t.Error("two countries with one log")
	}
}
