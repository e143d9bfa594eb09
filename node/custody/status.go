package custody

import (
	"context"
	"errors"
	"maps"
	"slices"

	"proofmark/node/backup"
	"proofmark/node/desk"
	"proofmark/protocol"
	"proofmark/store"
)

// AtHolder is what one holder has confirmed of the newest chain it was sent.
type AtHolder struct {
	Holder protocol.Country        `json:"holder"`
	Files  int                     `json:"files"`
	Bytes  int64                   `json:"bytes"`
	Newest protocol.CustodyReceipt `json:"newest"`
	Signed string                  `json:"receipt"` // of the newest, a compact JWS
	Behind int                     `json:"behind"`  // backups that were made later
	Check  *Check                  `json:"check,omitempty"`
	Alarm  string                  `json:"alarm,omitempty"` // what is wrong with what it keeps
}

// Status says what each holder has confirmed.
func (s *Service) Status(ctx context.Context, who desk.Actor) ([]AtHolder, error) {
	entry := protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: "custody", Event: "confirmed copies viewed"}}
	return desk.Read(ctx, s.o.Desk, manage(who), entry, func(tx *store.Tx) ([]AtHolder, error) {
		all, err := newestChains(tx)
		if err != nil {
			return nil, err
		}
		out := []AtHolder{}
		for _, holder := range slices.Sorted(maps.Keys(all)) {
			list := all[holder]
			newest := list[len(list)-1]
			row := AtHolder{Holder: holder, Newest: newest.CustodyReceipt, Signed: newest.Receipt, Files: len(list)}
			for _, c := range list {
				row.Bytes += c.Size
			}
			if row.Check, err = checkOf(tx, holder); err != nil {
				return nil, err
			}
			row.Alarm = alarm(tx.Now(), list, row.Check)
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

// newestChains are the confirmed copies of the chain that each holder confirmed last, in their order.
func newestChains(tx *store.Tx) (map[protocol.Country][]*Confirmed, error) {
	out := map[protocol.Country][]*Confirmed{}
	for _, c := range Confirmations.All(tx) {
		out[c.Holder] = append(out[c.Holder], c)
	}
	for holder, list := range out {
		newest := slices.MaxFunc(list, func(a, b *Confirmed) int {
			if a.Chain == b.Chain {
				return a.Number - b.Number
			}
			return a.At.Compare(b.At)
		})
		list = slices.DeleteFunc(list, func(c *Confirmed) bool { return c.Chain != newest.Chain })
		slices.SortFunc(list, func(a, b *Confirmed) int { return a.Number - b.Number })
		out[holder] = list
	}
	return out, tx.Err()
}
