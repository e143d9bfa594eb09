package custody

import (
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
	var chain []backup.Part
	lost := false
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
		}
		if k.Chain == head.Chain {
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
		return nil, refuse("%s has %d bytes; of the %d that are granted to %s, %d are used: ask the bureau for more", o.Name, o.Size, grant, owner, used)
	}
	if o.Size > spare {
		return nil, refuse("the holder's disk has no room for %s (%d bytes): tell its bureau", o.Name, o.Size)
	}
	if lost {
		return nil, nil
	}
	next := backup.Part{Name: o.Name, ID: head.ID, Chain: head.Chain, Number: head.Number, SHA256: o.SHA256, Size: o.Size, Made: head.Made, Head: head}
	if err := backup.CheckOrder(append(chain, next)); err != nil {
		return nil, refuse("%v", err)
	}
	return nil, nil
}
