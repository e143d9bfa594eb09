package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
	"github.com/rogpeppe/go-internal/testscript"
)

// jose FILE verifies a saved document as anybody can, from what README says alone and with a JOSE library alone: the signature under FILE.jwk, then each
// disclosure by its digest. It prints the payload and the disclosures. With "!" it expects the verification to fail.
func jose(ts *testscript.TestScript, neg bool, args []string) {
	file := args[0]
	key, err := jwk.ParseKey([]byte(ts.ReadFile(file + ".jwk")))
	ts.Check(err)
	payload, err := jws.Verify([]byte(strings.TrimSpace(ts.ReadFile(file))), jws.WithKey(jwa.EdDSA, key))
	if neg {
		if err == nil {
			ts.Fatalf("%s verifies", file)
		}
		return
	}
	ts.Check(err)
	var document struct {
		Body struct {
			Digests []string `json:"_sd"`
		} `json:"body"`
	}
	ts.Check(json.Unmarshal(payload, &document))
	var disclosures []string
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(file+".disclosures")), &disclosures))
	out := string(payload) + "\n"
	for _, d := range disclosures {
		sum := sha256.Sum256([]byte(d))
		if !slices.Contains(document.Body.Digests, base64.RawURLEncoding.EncodeToString(sum[:])) {
			ts.Fatalf("disclosure %.40s is none of this document's", d)
		}
		opened, err := base64.RawURLEncoding.DecodeString(d)
		ts.Check(err)
		out += string(opened) + "\n"
	}
	_, err = ts.Stdout().Write([]byte(out))
	ts.Check(err)
}
