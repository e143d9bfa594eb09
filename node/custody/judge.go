package custody

import (
	"fmt"
	"time"

	"proofmark/node/backup"
	"proofmark/protocol"
)

// judge decides on an offer: the copy that is kept already, nil where its bytes are wanted, or a Refusal. head is the offer's, verified; kept is all that
// is kept for the owner; room is what its grant allows and spare what the disk has, in bytes.
func judge(owner protocol.Country, o Offer, head *backup.Head, kept []held, grant, spare int64) (*Copy, error) {
	if grant <= 0 {
		return nil, refuse("this node keeps no copies for %s: its bureau grants room under [custody.for] in proofmark.toml", owner)
	}
	if head.Country != owner {
		return nil, refuse("%s is a backup of %s: copies are kept for their owner alone", o.Name, head.Country)
	}
	var used int64
	var until time.Time // the first time at which room is free again
	var chain []backup.Part
	lost, followed := false, false
	for i := range kept {
		k := &kept[i]
		switch {
		case k.ID == head.ID && (k.SHA256 != o.SHA256 || k.Size != o.Size || k.Head != o.Head):
			return nil, refuse("backup %.8s is kept here with another content: make a new chain with `proofmark backup --full`", head.ID)
		case k.ID == head.ID && k.intact:
			return &k.Copy, nil
		case k.ID == head.ID:
			lost = true // its file is gone: it is taken again
		case k.Name == o.Name:
			return nil, refuse("another backup is kept here under the name %s", o.Name)
		}
		if k.intact {
			used += k.Size
			if !k.Until.IsZero() && (until.IsZero() || k.Until.Before(until)) {
				until = k.Until
			}
		}
		if k.Chain == head.Chain {
			followed = followed || !k.Until.IsZero()
			p, err := k.part()
			if err != nil {
				return nil, err
			}
			chain = append(chain, p)
		} else if k.Number == 0 && head.Number == 0 && head.Made.Before(k.Made) {
			return nil, refuse("%s is older than the chain that is kept here", o.Name)
		}
	}
	if o.Size > grant-used {
		free := ""
		if !until.IsZero() {
			free = fmt.Sprintf(", or wait until %s, when a chain that another one followed is removed", until.UTC().Format(time.DateOnly))
		}
		return nil, refuse("%s has %d bytes; of the %d that are granted to %s, %d are used: ask the bureau for more%s", o.Name, o.Size, grant, owner, used, free)
	}
	if o.Size > spare {
		return nil, refuse("the holder's disk has no room for %s (%d bytes): tell its bureau", o.Name, o.Size)
	}
	if lost {
		return nil, nil
	}
	if followed {
		return nil, refuse("%s belongs to a chain that another one followed here: it is not added to; go on with the newer chain, or begin one with `proofmark backup --full`", o.Name)
	}
	next := backup.Part{Name: o.Name, ID: head.ID, Chain: head.Chain, Number: head.Number, SHA256: o.SHA256, Size: o.Size, Made: head.Made, Head: head}
	if err := backup.CheckOrder(append(chain, next)); err != nil {
		return nil, refuse("%v", err)
	}
	return nil, nil
}
