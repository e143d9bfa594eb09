package main

import (
	mathrand "math/rand/v2"
	"time"

	"proofmark/crypto"
	"proofmark/node/dispatch"
	"proofmark/protocol"
)

// signatureBytes is about what a breech face's signature takes.
const signatureBytes = 2300

// samplePublication is a publication as a technician's acquisition makes it; the noise in its signature cannot be compressed.
func samplePublication() (*protocol.SignatureBody, dispatch.Facts) {
	sig := make([]byte, signatureBytes)
	_, _ = mathrand.NewChaCha8([32]byte{7}).Read(sig)
	begun := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return &protocol.SignatureBody{Exhibit: must(protocol.NewID(begun, mathrand.NewChaCha8([32]byte{3}))), ROI: "breech-face", Kind: protocol.CartridgeCase,
			Origin: protocol.Evidence, Calibre: "9x19", FiringPin: "circular", Pattern: "parallel", Algorithm: "bench", Signature: sig, Quality: 0.9,
			Agency: "Polícia Judiciária", CaseReference: "PJ-2026-0815", ExhibitNumber: "E-1", Offence: "homicide", Place: "Elvas"},
		dispatch.Facts{Attributes: map[string]any{"calibre": "9x19", "offence": "homicide", "origin": protocol.Evidence, "terrorism": false, "customs": false,
			"trafficking": false, "group_size": int64(1), "handling": []string{}}, Purpose: "criminal-investigation", Kind: "exhibit", Object: "E-1", Case: "PJ-2026-0815",
			Actor: "tina", Event: begun}
}

// samplePayload is the message that such a publication becomes: what NATS carries.
func samplePayload() []byte {
	body, facts := samplePublication()
	random := mathrand.NewChaCha8([32]byte{5})
	id := must(protocol.NewDocumentID(sending, time.Now(), random))
	signed, disclosures, err := protocol.Compose(protocol.Header{ID: id, Type: protocol.TypeSignature, Issuer: sending, Issued: time.Now(), Purpose: facts.Purpose}, body, random)
	if err != nil {
		panic(err)
	}
	m := protocol.Message{From: sending, To: receiving, Channel: protocol.Bulk, Seq: 1, Terms: protocol.Terms{Handling: []string{"H0"}},
		Document: must(keysOf(sending).Signer().Sign(crypto.TypeDocument, signed)), Disclosures: disclosures}
	b, _, err := m.Encode()
	if err != nil {
		panic(err)
	}
	return b
}
