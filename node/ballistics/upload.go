package ballistics

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"

	"proofmark/correlate"
	"proofmark/correlate/bullet"
	"proofmark/node/desk"
	"proofmark/store"
)

// NewAcquisition is the scans of one region of one exhibit with what the technician says of them.
type NewAcquisition struct {
	Exhibit     string `json:"exhibit"` // number or id
	ROI         string `json:"roi"`
	Scans       []File `json:"scans"`          // one; of land engraved areas one for each land, in the order in which they follow each other around the bullet
	Mask        *File  `json:"mask,omitempty"` // PNG of one pixel per point: light belongs to the region
	Instrument  string `json:"instrument,omitempty"`
	Replica     bool   `json:"replica,omitempty"`
	Certificate string `json:"certificate,omitempty"`
}

// File is one file of an upload. The zero value stands for a land of which there is no scan.
type File struct {
	Name    string `json:"name"` // for people
	Size    int64  `json:"size"` // bytes
	Content []byte `json:"-"`

	hash string // SHA-256, hex
}

// missing: the place of a land without a scan.
func (f *File) missing() bool { return f.Name == "" && len(f.Content) == 0 }

// files of an acquisition in the order of its upload.
func (n *NewAcquisition) files() []*File {
	var out []*File
	for i := range n.Scans {
		out = append(out, &n.Scans[i])
	}
	if n.Mask != nil {
		out = append(out, n.Mask)
	}
	return out
}

// maxScans of one acquisition: the lands of a barrel.
const maxScans = bullet.MaxLands

// Take divides the body of an upload into the files that the request names. Nothing is copied.
func (n *NewAcquisition) Take(body []byte) error {
	if len(n.Scans) > maxScans {
		return desk.Invalid("%d scans in one acquisition, at most %d are taken", len(n.Scans), maxScans)
	}
	rest := body
	for _, f := range n.files() {
		if f.Size < 0 || f.Size > int64(len(rest)) {
			return desk.Invalid("%.80q: %d bytes are announced, %d are left of the upload", f.Name, f.Size, len(rest))
		}
		f.Content, rest = rest[:f.Size:f.Size], rest[f.Size:]
	}
	if len(rest) > 0 {
		return desk.Invalid("%d bytes of the upload belong to no file of the request", len(rest))
	}
	return nil
}

// check judges the request as far as that is possible without opening a file, and computes the files' hashes.
func (n *NewAcquisition) check(roi correlate.ROI) error {
	if n.Replica && n.Certificate == "" {
		return desk.Invalid("a replica needs its certificate (--certificate NUMBER)")
	}
	if err := n.count(roi); err != nil {
		return err
	}
	for _, f := range n.files() {
		if len(f.Content) > store.MaxBlob {
			return desk.Invalid("%s has %d bytes, a node keeps files of up to %d: crop the scan to the region, or resample it (proofmark x3p convert)", f.Name, len(f.Content), store.MaxBlob)
		}
	}
	seen := map[string]int{}
	for i := range n.Scans {
		f := &n.Scans[i]
		if f.missing() {
			continue
		}
		f.settle()
		if first, twice := seen[f.hash]; twice {
			return desk.Invalid("%s and %s are the same scan: each land has one of its own", landName(n.Scans, first), landName(n.Scans, i))
		}
		seen[f.hash] = i
	}
	if n.Mask == nil {
		return nil
	}
	if n.Mask.settle(); roi == correlate.LEA {
		return desk.Invalid("a mask is for regions of a cartridge case: of a land, cut the scan (proofmark x3p convert --crop)")
	}
	return nil
}

// count holds the number of scans to what the region takes.
func (n *NewAcquisition) count(roi correlate.ROI) error {
	there := 0
	for i := range n.Scans {
		if !n.Scans[i].missing() {
			there++
		}
	}
	lands := roi == correlate.LEA
	switch {
	case lands && len(n.Scans) == 1:
		return desk.Invalid("one land alone is never compared: name the scans of all lands in their order around the bullet, in one command (%d to %d; - for a land without a scan)",
			bullet.MinLands, bullet.MaxLands)
	case lands && (there < bullet.MinLands || len(n.Scans) > bullet.MaxLands):
		return desk.Invalid("%d scans of %d lands: at least %d scans are needed, and barrels of up to %d lands are known", there, len(n.Scans), bullet.MinLands, bullet.MaxLands)
	case !lands && (len(n.Scans) != 1 || there != 1):
		return desk.Invalid("the %s takes one scan, %d are named: several at once are the lands of a bullet (--roi lea)", roi, len(n.Scans))
	}
	return nil
}

func (f *File) settle() {
	f.Name = filepath.Base(f.Name)
	sum := sha256.Sum256(f.Content)
	f.hash, f.Size = hex.EncodeToString(sum[:]), int64(len(f.Content))
}

// landName is what people call one of several scans.
func landName(scans []File, i int) string {
	if scans[i].missing() {
		return fmt.Sprintf("land %d", i+1)
	}
	return fmt.Sprintf("land %d (%s)", i+1, scans[i].Name)
}

// identity tells acquisitions of one region apart: the same files in the same order under the same mask are the same one. Of a single scan
// without a mask it is the scan's hash.
func (n *NewAcquisition) identity() string {
	if len(n.Scans) == 1 && n.Mask == nil {
		return n.Scans[0].hash
	}
	parts := []string{"proofmark-acquisition"}
	for i := range n.Scans {
		parts = append(parts, "scan", n.Scans[i].hash)
	}
	if n.Mask != nil {
		parts = append(parts, "mask", n.Mask.hash)
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])
}

// hashes are the files of an acquisition as its audit entry names them.
func (n *NewAcquisition) hashes() (scans, mask string) {
	var list []string
	for i := range n.Scans {
		if h := n.Scans[i].hash; h != "" {
			list = append(list, h)
		} else {
			list = append(list, "-")
		}
	}
	if n.Mask != nil {
		mask = n.Mask.hash
	}
	return strings.Join(list, " "), mask
}
