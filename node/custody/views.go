package custody

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"proofmark/node/backup"
	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Holding says what is kept here for one country.
type Holding struct {
	Owner    protocol.Country `json:"owner"`
	Granted  int64            `json:"granted"` // bytes
	Bytes    int64            `json:"bytes"`   // of whole files
	Newest   *time.Time       `json:"newest,omitempty"`
	Complete bool             `json:"complete"` // a chain from its full backup on, every file there with its size
	Missing  []string         `json:"missing,omitempty"`
	Arriving int64            `json:"arriving,omitempty"` // bytes of a file that is not yet whole
	Files    []backup.Part    `json:"files"`              // in their order; their hashes are checked when they are exported
}

func manage(who desk.Actor) desk.Act {
	return desk.Act{Actor: who, Action: policy.NodeManage, Resource: policy.Resource{Type: policy.KindNode, ID: "custody"}}
}

// List says what is kept here, and for whom room is granted.
func (s *Service) List(ctx context.Context, who desk.Actor) ([]Holding, error) {
	entry := protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: "custody", Event: "copies kept here viewed"}}
	return desk.Read(ctx, s.o.Desk, manage(who), entry, func(tx *store.Tx) ([]Holding, error) {
		owners := map[protocol.Country]bool{}
		for c := range s.o.Grants {
			owners[c] = true
		}
		for _, c := range Copies.All(tx) {
			owners[c.Owner] = true
		}
		if err := tx.Err(); err != nil {
			return nil, err
		}
		out := []Holding{}
		for _, c := range slices.Sorted(maps.Keys(owners)) {
			h, err := s.holding(tx, c)
			if err != nil {
				return nil, err
			}
			out = append(out, h)
		}
		return out, nil
	})
}

func (s *Service) holding(tx *store.Tx, owner protocol.Country) (Holding, error) {
	h := Holding{Owner: owner, Granted: s.o.Grants[owner], Files: []backup.Part{}}
	kept, err := s.kept(tx, owner)
	if err != nil {
		return h, err
	}
	for _, k := range kept {
		p, err := k.part()
		if err != nil {
			return h, err
		}
		h.Files = append(h.Files, p)
		h.Newest = &k.Made
		if k.intact {
			h.Bytes += k.Size
		} else {
			h.Missing = append(h.Missing, k.Name)
		}
	}
	h.Complete = len(h.Missing) == 0 && backup.CheckOrder(h.Files) == nil
	entries, err := os.ReadDir(s.folder(owner))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return h, err
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && strings.HasPrefix(e.Name(), incoming) {
			h.Arriving += info.Size()
		}
	}
	return h, nil
}

// Export is what Begin tells of the copies of one country.
type Export struct {
	Owner protocol.Country `json:"owner"`
	Files []backup.Part    `json:"files"` // in their order
}

// Begin authorises and records that a country's copies are written out, and names them: Fetch gives each one.
func (s *Service) Begin(ctx context.Context, who desk.Actor, owner string) (*Export, error) {
	c, err := protocol.ParseCountry(owner)
	if err != nil {
		return nil, desk.Invalid("%v", err)
	}
	entry := protocol.AuditEntry{AuditHeader: protocol.AuditHeader{Action: protocol.ActDisclose, Counterpart: string(c), Ground: "custody"},
		AuditBody: protocol.AuditBody{Kind: "custody", Event: "sealed copies written out"}}
	return desk.Read(ctx, s.o.Desk, manage(who), entry, func(tx *store.Tx) (*Export, error) {
		h, err := s.holding(tx, c)
		switch {
		case err != nil:
			return nil, err
		case len(h.Files) == 0:
			return nil, desk.NotFound("nothing is kept here for %s: `proofmark custody list` shows for whom something is", c)
		case !h.Complete:
			return nil, desk.Conflict("what is kept for %s is not whole (missing: %s): its other holders may have all of it", c, strings.Join(h.Missing, ", "))
		}
		return &Export{Owner: c, Files: h.Files}, nil
	})
}

// Fetch writes one copy to w; it fails at the end where its hash is not the one that was confirmed.
func (s *Service) Fetch(ctx context.Context, who desk.Actor, owner, id string, w io.Writer) (*protocol.CustodyReceipt, error) {
	c, err := protocol.ParseCountry(owner)
	if err != nil {
		return nil, desk.Invalid("%v", err)
	}
	entry := protocol.AuditEntry{AuditHeader: protocol.AuditHeader{Action: protocol.ActDisclose, Counterpart: string(c), Ground: "custody"},
		AuditBody: protocol.AuditBody{Kind: "custody", Object: fmt.Sprintf("%.32s", id), Event: "sealed copy written out"}}
	kept, err := desk.Read(ctx, s.o.Desk, manage(who), entry, func(tx *store.Tx) (*Copy, error) { return Copies.Get(tx, recordID(c, id)) })
	if err != nil {
		return nil, err
	}
	f, err := os.Open(filepath.Join(s.folder(c), kept.Name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(w, sum), f); err != nil {
		return nil, fmt.Errorf("%s: %w", kept.Name, err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != kept.SHA256 {
		return nil, desk.Conflict("%s is not what was kept (SHA-256 %.8s…, confirmed as %.8s…): the disk has changed it; ask another holder", kept.Name, got, kept.SHA256)
	}
	return &kept.CustodyReceipt, nil
}

// AtHolder is what one holder has confirmed of the newest chain it was sent.
type AtHolder struct {
	Holder protocol.Country        `json:"holder"`
	Files  int                     `json:"files"`
	Bytes  int64                   `json:"bytes"`
	Newest protocol.CustodyReceipt `json:"newest"`
	Signed string                  `json:"receipt"` // of the newest, a compact JWS
	Behind int                     `json:"behind"`  // backups that were made later
}

// Status says what each holder has confirmed.
func (s *Service) Status(ctx context.Context, who desk.Actor) ([]AtHolder, error) {
	entry := protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: "custody", Event: "confirmed copies viewed"}}
	return desk.Read(ctx, s.o.Desk, manage(who), entry, func(tx *store.Tx) ([]AtHolder, error) {
		all := map[protocol.Country][]*Confirmed{}
		for _, c := range Confirmations.All(tx) {
			all[c.Holder] = append(all[c.Holder], c)
		}
		if err := tx.Err(); err != nil {
			return nil, err
		}
		out := []AtHolder{}
		for _, holder := range slices.Sorted(maps.Keys(all)) {
			list := all[holder]
			newest := slices.MaxFunc(list, func(a, b *Confirmed) int {
				if a.Chain == b.Chain {
					return a.Number - b.Number
				}
				return a.At.Compare(b.At)
			})
			row := AtHolder{Holder: holder, Newest: newest.CustodyReceipt, Signed: newest.Receipt}
			for _, c := range list {
				if c.Chain == newest.Chain {
					row.Files++
					row.Bytes += c.Size
				}
			}
			if made, err := backup.Backups.Get(tx, newest.ID); err == nil {
				for _, m := range backup.Backups.All(tx) {
					if m.UpTo > made.UpTo {
						row.Behind++
					}
				}
			} else if !errors.Is(err, store.ErrNotFound) {
				return nil, err
			}
			out = append(out, row)
		}
		return out, tx.Err()
	})
}
