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
	Files    []backup.Part    `json:"files"`              // of the newest chain, in their order; their hashes are checked when they are exported
	Before   []Before         `json:"before,omitempty"`   // chains that another one followed
}

// Before is a chain that another one followed.
type Before struct {
	Chain  string    `json:"chain"`
	Files  int       `json:"files"`
	Bytes  int64     `json:"bytes"`
	Newest time.Time `json:"newest"`
	Until  time.Time `json:"until"` // it is removed then
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
		if k.intact {
			h.Bytes += k.Size
		}
		if !k.Until.IsZero() {
			h.before(k)
			continue
		}
		p, err := k.part()
		if err != nil {
			return h, err
		}
		h.Files = append(h.Files, p)
		h.Newest = &k.Made
		if !k.intact {
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

// before adds a copy to the row of its chain; they come chain by chain.
func (h *Holding) before(k held) {
	n := len(h.Before)
	if n == 0 || h.Before[n-1].Chain != k.Chain {
		h.Before = append(h.Before, Before{Chain: k.Chain, Until: k.Until})
		n++
	}
	b := &h.Before[n-1]
	b.Files++
	b.Bytes += k.Size
	b.Newest = k.Made
}

// chain is what is kept of one chain for an owner, by the beginning of its id; of the newest where that is empty.
func (s *Service) chain(tx *store.Tx, owner protocol.Country, id string) (parts []backup.Part, missing []string, err error) {
	kept, err := s.kept(tx, owner)
	if err != nil {
		return nil, nil, err
	}
	for _, k := range kept {
		if id == "" && !k.Until.IsZero() || !strings.HasPrefix(k.Chain, id) {
			continue
		}
		p, err := k.part()
		if err != nil {
			return nil, nil, err
		}
		parts = append(parts, p)
		if !k.intact {
			missing = append(missing, k.Name)
		}
	}
	return parts, missing, nil
}

// Export is what Begin tells of the copies of one country.
type Export struct {
	Owner protocol.Country `json:"owner"`
	Files []backup.Part    `json:"files"` // in their order
}

// Begin authorises and records that a country's copies are written out, and names them: Fetch gives each one. chain is the beginning of the id of a chain
// that another one followed; empty: the newest.
func (s *Service) Begin(ctx context.Context, who desk.Actor, owner, chain string) (*Export, error) {
	c, err := protocol.ParseCountry(owner)
	if err != nil {
		return nil, desk.Invalid("%v", err)
	}
	entry := protocol.AuditEntry{AuditHeader: protocol.AuditHeader{Action: protocol.ActDisclose, Counterpart: string(c), Ground: "custody"},
		AuditBody: protocol.AuditBody{Kind: "custody", Event: "sealed copies written out"}}
	return desk.Read(ctx, s.o.Desk, manage(who), entry, func(tx *store.Tx) (*Export, error) {
		files, missing, err := s.chain(tx, c, chain)
		switch {
		case err != nil:
			return nil, err
		case len(files) == 0 && chain != "":
			return nil, desk.NotFound("no chain %.32s is kept here for %s: `proofmark custody list` names those that are", chain, c)
		case len(files) == 0:
			return nil, desk.NotFound("nothing is kept here for %s: `proofmark custody list` shows for whom something is", c)
		case len(missing) > 0:
			return nil, desk.Conflict("what is kept for %s is not whole (missing: %s): its other holders may have all of it", c, strings.Join(missing, ", "))
		}
		if err := backup.CheckOrder(files); err != nil {
			return nil, desk.Conflict("what is kept for %s is not whole (%v): its other holders may have all of it", c, err)
		}
		return &Export{Owner: c, Files: files}, nil
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
