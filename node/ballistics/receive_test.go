package ballistics

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"proofmark/correlate"
	"proofmark/correlate/bullet"
	"proofmark/correlate/shear"
	"proofmark/correlate/synth"
	"proofmark/correlate/x3p"
	"proofmark/node/dispatch"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// faceBytes is a breech-face signature in order.
func faceBytes(t *testing.T, firearm, seed uint64) []byte {
	t.Helper()
	scan, err := x3p.Decode(shot(t, firearm, seed), x3p.Options{})
	if err != nil {
		t.Fatal(err)
	}
	sig, _, err := correlate.Encode(scan, correlate.BreechFace)
	if err != nil {
		t.Fatal(err)
	}
	b, err := sig.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// bulletBytes is a signature of six lands, of which the first are strong enough to be compared.
func bulletBytes(t *testing.T, strong int) []byte {
	t.Helper()
	type key struct{ strong int }
	if b, ok := shots.Load(key{strong}); ok {
		return b.([]byte)
	}
	lands := make([]*bullet.Land, 6)
	for i := range lands {
		strength := 4.0
		if i >= strong {
			strength = 0.02
		}
		var err error
		lands[i], _, err = bullet.EncodeLand(synth.NewBarrel(3, synth.Rifling{Strength: strength}).FireLand(1, i, synth.LandShot{Rows: 64}))
		if err != nil {
			t.Fatal(err)
		}
	}
	b, err := bullet.NewBullet(lands)
	if err != nil {
		t.Fatal(err)
	}
	out, err := b.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	shots.Store(key{strong}, out)
	return out
}

// shearBytes is a signature of aperture shear.
func shearBytes(t *testing.T) []byte {
	t.Helper()
	scan, err := x3p.Decode(facet(t, 1, 1, 0.1), x3p.Options{})
	if err != nil {
		t.Fatal(err)
	}
	mark, _, err := shear.Encode(scan, correlate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := mark.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// spoilt are bytes that begin like a signature and are none.
func spoilt(b []byte) map[string][]byte {
	out := map[string][]byte{"cut": b[:len(b)-1], "longer": append(bytes.Clone(b), 0), "header": b[:4], "no signature": []byte("no signature"), "zeros": make([]byte, len(b)),
		"noise": bytes.Repeat([]byte{0xa5}, protocol.MaxSignature)}
	for i := range 5 { // magic, version, region
		turned := bytes.Clone(b)
		turned[i] ^= 0x80
		out[fmt.Sprintf("byte %d", i)] = turned
	}
	return out
}

func TestJudgeSignatures(t *testing.T) {
	face, lands, striae := faceBytes(t, 5, 1), bulletBytes(t, 6), shearBytes(t)
	pin := bytes.Clone(face) // the same marks, said to be of a firing pin
	pin[4] = 2
	const known, unknown = "", "does not know the algorithm"
	for _, c := range []struct {
		name, roi, kind, algorithm string
		bytes                      []byte
		keeps, refuses             string
	}{
		{"face", "breech-face", protocol.CartridgeCase, correlate.Algorithm, face, known, ""},
		{"bullet", "lea", protocol.Bullet, bullet.Algorithm, lands, known, ""},
		{"aperture shear", "aperture-shear", protocol.CartridgeCase, shear.Algorithm, striae, known, ""},
		{"firing pin", "firing-pin", protocol.CartridgeCase, correlate.FiringPinAlgorithm, pin, known, ""},
		{"firing pin as face", "breech-face", protocol.CartridgeCase, correlate.Algorithm, pin, "", "of a firing-pin and said to be of a breech-face"},
		{"face as firing pin", "firing-pin", protocol.CartridgeCase, correlate.FiringPinAlgorithm, face, "", "of a breech-face and said to be of a firing-pin"},
		{"aperture shear of a bullet", "aperture-shear", protocol.Bullet, shear.Algorithm, striae, "", "a bullet has no aperture-shear"},
		{"bytes of a face as aperture shear", "aperture-shear", protocol.CartridgeCase, shear.Algorithm, face, "", "not a valid aperture-shear signature"},
		{"weak bullet", "lea", protocol.Bullet, bullet.Algorithm, bulletBytes(t, 2), "2 of its lands pass the quality gate", ""},
		{"face of tomorrow", "breech-face", protocol.CartridgeCase, "proofmark-bf/99", []byte("?"), unknown, ""},
		{"bullet of tomorrow", "lea", protocol.Bullet, "proofmark-lea/99", face, unknown, ""},
		{"ejector mark", "ejector-mark", protocol.CartridgeCase, "proofmark-em/1", []byte("?"), unknown, ""},
		{"face of a bullet", "breech-face", protocol.Bullet, correlate.Algorithm, face, "", "a bullet has no breech-face"},
		{"lands of a case", "lea", protocol.CartridgeCase, bullet.Algorithm, lands, "", "a cartridge-case has no lea"},
		{"face as lands", "lea", protocol.Bullet, correlate.Algorithm, face, "", "is for the breech-face and cannot describe the lea"},
		{"face as ejector mark", "ejector-mark", protocol.CartridgeCase, correlate.Algorithm, face, "", "cannot describe the ejector-mark"},
		{"bytes of a face as lands", "lea", protocol.Bullet, bullet.Algorithm, face, "", "not a valid bullet signature"},
		{"bytes of lands as a face", "breech-face", protocol.CartridgeCase, correlate.Algorithm, lands, "", "not a valid signature"},
	} {
		keeps, err := judge(correlate.ROI(c.roi), c.kind, c.algorithm, c.bytes)
		if (err != nil) != (c.refuses != "") || err != nil && !strings.Contains(err.Error(), c.refuses) || (keeps == "") != (c.keeps == "") || !strings.Contains(keeps, c.keeps) {
			t.Errorf("%s: kept as %q, %v; want %q, %q", c.name, keeps, err, c.keeps, c.refuses)
		}
	}
	for name, b := range spoilt(face) {
		if _, err := judge(correlate.BreechFace, protocol.CartridgeCase, correlate.Algorithm, b); err == nil {
			t.Errorf("a face's signature with its %s spoilt was taken", name)
		}
	}
	for name, b := range spoilt(striae) {
		if _, err := judge(correlate.ApertureShear, protocol.CartridgeCase, shear.Algorithm, b); err == nil {
			t.Errorf("a signature of aperture shear with its %s spoilt was taken", name)
		}
	}
	for name, b := range spoilt(lands) {
		if _, err := judge(correlate.LEA, protocol.Bullet, bullet.Algorithm, b); err == nil {
			t.Errorf("a bullet's signature with its %s spoilt was taken", name)
		}
	}
}

// publish sends a signature as a member would who does not use this software's workflows.
func (l *lab) publish(body *protocol.SignatureBody) {
	l.t.Helper()
	id, err := protocol.NewID(start, strings.NewReader("sixteen bytes or more of randomness"))
	if err != nil {
		l.t.Fatal(err)
	}
	body.Exhibit, body.Origin, body.Calibre, body.FiringPin, body.Pattern, body.Quality = id, protocol.Evidence, "9 mm Luger", protocol.Unknown, protocol.Unknown, 0.5
	err = l.Store.Update(l.t.Context(), func(tx *store.Tx) error {
		_, err := l.Out.Issue(tx, protocol.TypeSignature, body, dispatch.Facts{Purpose: Purpose, Kind: policy.KindExhibit, Object: id, Actor: "forger", Event: start,
			Attributes: map[string]any{"calibre": body.Calibre, "origin": body.Origin, "handling": []string{}, "offence": "", "terrorism": false, "customs": false, "trafficking": false,
				"group_size": int64(0)}})
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
}

// Of each algorithm what cannot be is refused, what is unknown is kept and said to be, and what follows on the channel arrives.
func TestForeignSignaturesAreJudgedByTheirAlgorithm(t *testing.T) {
	both := labs(t, "PT", "ES")
	pt, es := both[0], both[1]
	face, lands := faceBytes(t, 5, 1), bulletBytes(t, 6)
	for _, b := range []*protocol.SignatureBody{
		{ROI: "breech-face", Kind: protocol.CartridgeCase, Algorithm: correlate.Algorithm, Signature: face[:len(face)-1]},
		{ROI: "breech-face", Kind: protocol.CartridgeCase, Algorithm: correlate.Algorithm, Signature: lands},
		{ROI: "breech-face", Kind: protocol.Bullet, Algorithm: correlate.Algorithm, Signature: face},
		{ROI: "lea", Kind: protocol.Bullet, Algorithm: bullet.Algorithm, Signature: lands[:len(lands)-1]},
		{ROI: "lea", Kind: protocol.Bullet, Algorithm: correlate.Algorithm, Signature: face},
		{ROI: "lea", Kind: protocol.CartridgeCase, Algorithm: bullet.Algorithm, Signature: lands},
		{ROI: "muzzle", Kind: protocol.CartridgeCase, Algorithm: correlate.Algorithm, Signature: face},

		{ROI: "lea", Kind: protocol.Bullet, Algorithm: "someone-lea/7", Signature: []byte("whatever")},
		{ROI: "lea", Kind: protocol.Bullet, Algorithm: bullet.Algorithm, Signature: bulletBytes(t, 2)},
		{ROI: "lea", Kind: protocol.Bullet, Algorithm: bullet.Algorithm, Signature: lands},
		{ROI: "breech-face", Kind: protocol.CartridgeCase, Algorithm: correlate.Algorithm, Signature: face},
	} {
		es.publish(b)
	}
	carry(t, es, pt)
	var refused, kept, compared int
	err := pt.Store.View(func(tx *store.Tx) error {
		for _, rec := range dispatch.Documents.All(tx) {
			if rec.Status == dispatch.Refused {
				refused++
			}
		}
		for _, s := range signatures.All(tx) {
			if s.NotCompared != "" {
				kept++
			} else {
				compared++
			}
		}
		for range signatures.By(tx, "not-compared", "someone-lea/7") {
			kept += 10
		}
		return tx.Err()
	})
	if err != nil || refused != 7 || kept != 12 || compared != 2 {
		t.Errorf("%d refused, %d kept (10 for the one that is found by its unknown algorithm), %d compared, %v", refused, kept, compared, err)
	}
	entries := pt.Events(store.AuditQuery{Text: "signature kept, not compared"})
	if len(entries) != 2 || entries[0].Details["reason"] == "" || entries[0].Counterpart != "ES" {
		t.Errorf("audit entries: %+v", entries)
	}
	pt.settle()
	if idle, err := pt.Idle(); err != nil || !idle {
		t.Errorf("idle %v, %v", idle, err)
	}
}
