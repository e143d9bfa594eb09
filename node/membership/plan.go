package membership

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"proofmark/crypto/roster"
	"proofmark/node/desk"
)

// document is a parsed roster with what is asked of it again and again.
type document struct {
	*roster.Document
	raw     []byte
	version int
	hash    string
}

// parse reads the documents and puts them in the order of their versions. The same content twice counts once.
func parse(documents [][]byte, known *roster.Roster) ([]document, error) {
	if len(documents) == 0 {
		return nil, desk.Invalid("no roster given: name the roster's file")
	}
	if len(documents) > MaxDocuments {
		return nil, desk.Invalid("%d rosters at once, the limit is %d: install them in several steps, oldest first", len(documents), MaxDocuments)
	}
	total := 0
	for _, raw := range documents {
		total += len(raw)
	}
	if total > MaxBytes {
		return nil, desk.Invalid("the rosters have %d bytes together, the limit is %d: install them in several steps, oldest first", total, MaxBytes)
	}
	docs := make([]document, 0, len(documents))
	for i, raw := range documents {
		d, err := roster.ParseBeside(raw, known)
		if err != nil {
			return nil, desk.Invalid("document %d of %d is not a roster that can be read: %v. Ask its sender for the file again", i+1, len(documents), err)
		}
		known = d.Roster()
		docs = append(docs, document{Document: d, raw: slices.Clone(raw), version: d.Roster().Version, hash: d.Hash()})
	}
	slices.SortStableFunc(docs, func(a, b document) int { return a.version - b.version })
	return slices.CompactFunc(docs, func(a, b document) bool { return a.version == b.version && a.hash == b.hash }), nil
}

// request is what makes two installations the same command.
func request(docs []document, anchor string) any {
	hashes := make([]string, len(docs))
	for i, d := range docs {
		hashes[i] = d.hash
	}
	return struct {
		Rosters []string
		Anchor  string
	}{hashes, anchor}
}

// refusal is why a well-formed roster does not come into force; it is audited.
type refusal struct {
	ground  string // in one word, for the audit log
	version int
	hash    string
	err     error
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

func refuse(ground string, d document, err error) error {
	return &refusal{ground: ground, version: d.version, hash: d.hash, err: err}
}

// plan decides which of the documents are new and may follow what is in force. docs are in the order of parse.
func plan(st *state, docs []document, anchor string) ([]document, error) {
	for i := 1; i < len(docs); i++ {
		if docs[i].version == docs[i-1].version {
			return nil, refuse("fork", docs[i], desk.Conflict("two different rosters of version %d: %s. %s", docs[i].version, compared(docs[i-1].Fingerprint(), docs[i].Fingerprint()), askHolders))
		}
	}
	anchor, err := readAnchor(st, docs[0], anchor)
	if err != nil {
		return nil, err
	}
	fresh, err := st.unknown(docs)
	if err != nil {
		return nil, err
	}
	want := st.version() + 1
	for _, d := range fresh {
		if d.version != want {
			return nil, missing(st, want, d.version)
		}
		want++
	}
	return fresh, verify(st, fresh, anchor)
}

const askHolders = "Do not choose between them: ask several key holders, by phone or in person, which fingerprint is theirs, and tell them of the other one."

func compared(ours, theirs string) string {
	return fmt.Sprintf("one has the fingerprint %s, the other %s", ours, theirs)
}

func missing(st *state, want, got int) error {
	if st.version() == 0 && want == 1 {
		return desk.Invalid("the first installation needs every version from 1 on, and these begin with version %d: ask a member for the whole chain", got)
	}
	return desk.Invalid("version %d comes where version %d is needed next: ask a member for the versions between and give them together", got, want)
}

// unknown leaves out what is installed already.
func (st *state) unknown(docs []document) ([]document, error) {
	known, _ := slices.BinarySearchFunc(docs, st.version()+1, func(d document, v int) int { return d.version - v })
	for _, d := range docs[:known] {
		if v := st.versions[d.version-1]; v.Hash != d.hash {
			return nil, refuse("fork", d, desk.Conflict("another roster of version %d is installed: %s. %s", d.version, compared(v.Fingerprint, d.Fingerprint()), askHolders))
		}
	}
	if last := docs[len(docs)-1]; last.version < st.version() {
		return nil, refuse("older-version", last, desk.Conflict("version %d is in force and this is version %d: a roster never goes back. Ask a member for the latest one", st.version(), last.version))
	}
	return docs[known:], nil
}

// readAnchor turns what a person gave as the anchor into a hash, and compares it with what is in force. first is the oldest document.
func readAnchor(st *state, first document, given string) (string, error) {
	if strings.TrimSpace(given) == "" {
		if st.version() == 0 {
			return "", desk.Invalid("the first roster needs the anchor: the hash of version 1. Get it from a member by another way than the file, such as a letter or a phone call, and give it with --anchor-file FILE or --anchor HASH")
		}
		return "", nil
	}
	hash, fingerprint, err := parseAnchor(given)
	if err != nil {
		return "", err
	}
	ofHash, ofFingerprint := first.hash, first.Fingerprint()
	switch {
	case st.version() > 0:
		ofHash, ofFingerprint = st.anchor(), st.versions[0].Fingerprint
	case first.version != 1:
		return "", missing(st, 1, first.version)
	}
	if hash == ofHash || fingerprint == ofFingerprint {
		return ofHash, nil
	}
	if st.version() > 0 {
		return "", refuse("wrong-anchor", first, desk.Conflict("this node belongs to the federation with the anchor %s (fingerprint %s), and the anchor given is another: %s. "+
			"To join another federation, make a new node; otherwise leave the anchor out", ofHash, ofFingerprint, strings.TrimSpace(given)))
	}
	return "", refuse("wrong-anchor", first, desk.Conflict("version 1 in the file has the hash %s (fingerprint %s), and the anchor given is %s: the file is not of the federation that you were told of, or the anchor was mistyped. "+
		"Compare the fingerprint with a key holder, by phone or in person; do not install the roster while they differ", ofHash, ofFingerprint, strings.TrimSpace(given)))
}

// parseAnchor reads a hash, with or without "sha256:", or a fingerprint of 40 digits with or without spaces.
func parseAnchor(given string) (hash, fingerprint string, err error) {
	if len(given) <= 256 {
		compact := strings.ToLower(strings.Join(strings.Fields(given), ""))
		if b, err := hex.DecodeString(strings.TrimPrefix(compact, "sha256:")); err == nil && len(b) == 32 {
			return "sha256:" + hex.EncodeToString(b), "", nil
		}
		if len(compact) == 40 && strings.Trim(compact, "0123456789") == "" {
			groups := slices.Collect(slices.Chunk([]byte(compact), 5))
			words := make([]string, len(groups))
			for i, g := range groups {
				words[i] = string(g)
			}
			return "", strings.Join(words, " "), nil
		}
	}
	return "", "", desk.Invalid("%.80q is no anchor: give the hash of version 1 as sha256: and 64 hexadecimal digits, or its fingerprint of 40 digits", given)
}

// verify checks the signatures of what is new.
func verify(st *state, fresh []document, anchor string) error {
	prev := st.document
	for _, d := range fresh {
		var err error
		if prev == nil {
			_, err = d.VerifyFirst(anchor)
		} else {
			_, err = d.VerifyNext(prev)
		}
		if err != nil {
			ground, advice := explain(err)
			return refuse(ground, d, desk.Conflict("roster version %d is refused: %v. %s", d.version, err, advice))
		}
		prev = d.Document
	}
	return nil
}

// explain gives a failed verification its word for the audit log and its advice for the person.
func explain(err error) (ground, advice string) {
	switch {
	case errors.Is(err, roster.ErrAnchor):
		return "wrong-anchor", "Compare the fingerprint with a key holder, by phone or in person; do not install the roster while they differ."
	case errors.Is(err, roster.ErrThreshold):
		return "too-few-signatures", "Ask the key holders of the version before to sign it, then install the signed file."
	case errors.Is(err, roster.ErrKeyChange):
		return "key-change", "Ask that country whether it changed its keys: its new entry has to be signed with an old key too."
	case errors.Is(err, roster.ErrChain):
		return "broken-chain", "It was made from another version than the installed one. " + askHolders
	}
	return "not-valid", "Ask a key holder for the file again; if it is the same, tell them what is wrong with it."
}
