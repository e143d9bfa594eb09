package ballistics

import (
	"errors"

	"proofmark/correlate"
	"proofmark/node/desk"
	"proofmark/protocol"
	"proofmark/store"
)

// Behind is what lies behind an own signature: the exhibit, and the scan files that the signature was made of.
type Behind struct {
	Exhibit string // exhibit number
	Case    string
	ROI     correlate.ROI
	Files   []BehindFile
}

// BehindFile is one scan file, a blob of the store.
type BehindFile struct {
	Land  int    // from 1; 0 of a region that is one scan
	Hash  string // SHA-256, hex
	Bytes int64
}

// ScansBehind finds the scans of an own signature. A signature that is not there, or another country's, is ErrNotFound.
func ScansBehind(tx *store.Tx, signature string) (*Behind, error) {
	sig, err := signatures.Get(tx, signature)
	if err != nil {
		return nil, err
	}
	if !sig.Own {
		return nil, desk.NotFound("the signature %s is one of %s", signature, sig.Country)
	}
	for _, a := range acquisitions.By(tx, "exhibit", sig.Exhibit) {
		if a.Signature != signature {
			continue
		}
		b := &Behind{Exhibit: a.Number, Case: sig.Case, ROI: a.ROI}
		for i, s := range a.Scans {
			if s.Hash == "" {
				continue // a land of which there is no scan
			}
			f := BehindFile{Hash: s.Hash, Bytes: int64(s.Bytes)}
			if a.ROI == correlate.LEA {
				f.Land = i + 1
			}
			b.Files = append(b.Files, f)
		}
		return b, nil
	}
	if err := tx.Err(); err != nil {
		return nil, err
	}
	return nil, desk.NotFound("no acquisition belongs to the signature %s", signature)
}

// NamedInLead tells whether a lead that this country sent to another named an own signature: that country then knows of the exhibit, whatever else it was
// sent.
func NamedInLead(tx *store.Tx, signature string, to protocol.Country) (bool, error) {
	for _, c := range candidates.ByPrefix(tx, "ranked", signature+"/") {
		if c.Country != to {
			continue
		}
		lead, err := leads.Get(tx, c.Pair)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return false, err
		}
		if lead.Sent != nil && lead.Counterpart == to {
			return true, nil
		}
	}
	return false, tx.Err()
}
