package control

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"proofmark/protocol"
)

// maxField bounds one text of a request, in bytes: nothing that people say anywhere is longer.
const maxField = protocol.MaxText

// large are the commands that take signed documents, policies, keys or checkpoints as texts, which have limits of their own.
var large = []string{"roster.install", "roster.resolve", "policy.apply", "policy.compare", "recovery.set", "audit.verify"}

// checkTexts refuses a request, of bounded size and depth, with a text that is longer than any, before it is read: it would stand in errors and in the log.
func checkTexts(name string, request []byte) error {
	if len(request) <= maxField || slices.Contains(large, name) {
		return nil
	}
	return checkText(json.NewDecoder(bytes.NewReader(request)), nil)
}

// checkText reads one JSON value; at says where it stands.
func checkText(dec *json.Decoder, at []string) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	switch token := token.(type) {
	case string:
		if len(token) > maxField {
			return fmt.Errorf("%s: %d bytes, the limit of a text is %d", strings.Join(at, "."), len(token), maxField)
		}
	case json.Delim:
		for i := 0; dec.More(); i++ {
			place := fmt.Sprint(i + 1)
			if token == '{' {
				key, err := dec.Token()
				if err != nil {
					return err
				}
				place = fmt.Sprintf("%.60s", key)
			}
			if err := checkText(dec, append(at, place)); err != nil {
				return err
			}
		}
		_, err = dec.Token()
	}
	return err
}
