package custody

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"proofmark/crypto"
	"proofmark/node/backup"
	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Request asks for copies of a folder's newest chain to stand at members.
type Request struct {
	Folder  string   `json:"folder"`  // of backups, as an absolute path; the node itself reads it
	Holders []string `json:"holders"` // country codes
}

// Sent says what stands at one holder after a request.
type Sent struct {
	Holder protocol.Country         `json:"holder"`
	Files  int                      `json:"files"`            // of the chain
	Kept   int                      `json:"kept"`             // of these the holder has confirmed
	Bytes  int64                    `json:"bytes"`            // that were sent now
	Newest *protocol.CustodyReceipt `json:"newest,omitempty"` // confirmed
	Fault  string                   `json:"fault,omitempty"`  // why not all of them stand there
}

// maxHolders bounds one request.
const maxHolders = 32

// Send offers the newest chain of a folder to holders, one file after another, to all holders at once, and sends what each lacks. A holder that fails is
// named in its row and stops no other. progress (may be nil) is told bytes that stand at holders, and how many there are to be.
func (s *Service) Send(ctx context.Context, who desk.Actor, r Request, progress func(done, total int64)) ([]Sent, error) {
	holders, err := s.holders(r.Holders)
	if err != nil {
		return nil, err
	}
	if !filepath.IsAbs(r.Folder) {
		return nil, desk.Invalid("folder: %.200q is not an absolute path", r.Folder)
	}
	act := desk.Act{Actor: who, Action: policy.NodeManage, Resource: policy.Resource{Type: policy.KindNode, ID: "backup"}}
	entry := protocol.AuditEntry{AuditHeader: protocol.AuditHeader{Action: protocol.ActAdminister, Ground: "policy"},
		AuditBody: protocol.AuditBody{Kind: "custody", Event: "sealed copies are sent", Details: map[string]string{"holders": strings.Join(r.Holders, " "), "folder": r.Folder}}}
	chain, err := desk.Read(ctx, s.o.Desk, act, entry, func(tx *store.Tx) ([]backup.Part, error) { return s.own(tx, r.Folder) })
	if err != nil {
		return nil, err
	}
	var size int64
	for _, p := range chain {
		size += p.Size
	}
	var mu sync.Mutex
	at := make([]int64, len(holders))
	out := make([]Sent, len(holders))
	var wg sync.WaitGroup
	for i, h := range holders {
		tell := func(n int64) {
			mu.Lock()
			defer mu.Unlock()
			at[i] = n
			var done int64
			for _, n := range at {
				done += n
			}
			if progress != nil {
				progress(done, size*int64(len(holders)))
			}
		}
		wg.Go(func() { out[i] = s.sendChain(ctx, h, chain, tell) })
	}
	wg.Wait()
	return out, nil
}

// Ready tells whether copies could be sent to these holders: their codes are held against the roster. It is asked before a backup is made for them.
func (s *Service) Ready(ctx context.Context, who desk.Actor, holders []string) ([]protocol.Country, error) {
	list, err := s.holders(holders)
	if err != nil {
		return nil, err
	}
	entry := protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: "custody", Event: "holders looked up", Details: map[string]string{"holders": strings.Join(holders, " ")}}}
	return desk.Read(ctx, s.o.Desk, manage(who), entry, func(*store.Tx) ([]protocol.Country, error) {
		for _, c := range list {
			if _, err := s.keysOf(c); err != nil {
				return nil, desk.Conflict("%v", err)
			}
		}
		return list, nil
	})
}

// holders reads country codes, and holds them against the roster.
func (s *Service) holders(codes []string) ([]protocol.Country, error) {
	if len(codes) == 0 || len(codes) > maxHolders {
		return nil, desk.Invalid("name 1 to %d members that are to keep copies", maxHolders)
	}
	force := s.o.Roster()
	var out []protocol.Country
	seen := map[protocol.Country]bool{}
	for _, code := range codes {
		c, err := protocol.ParseCountry(code)
		switch {
		case err != nil:
			return nil, desk.Invalid("%v", err)
		case c == s.o.Desk.Country:
			return nil, desk.Invalid("%s is this node: a copy of its own does not outlive it", c)
		case seen[c]:
			return nil, desk.Invalid("%s stands twice", c)
		}
		if force != nil {
			if _, ok := force.ByCountry(string(c)); !ok {
				return nil, desk.Invalid("%s is not a member: `proofmark roster show` names those that are", c)
			}
		}
		seen[c] = true
		out = append(out, c)
	}
	return out, nil
}

// own reads a folder's newest chain, which must be one that this node has made: it sends nothing else, whoever asks.
func (s *Service) own(tx *store.Tx, folder string) ([]backup.Part, error) {
	index, err := backup.ReadIndex(folder)
	if err != nil {
		return nil, desk.Conflict("the node reads the backups itself: %v", err)
	}
	chain := index.Latest()
	for i := range chain {
		p := &chain[i]
		made, err := backup.Backups.Get(tx, p.ID)
		if errors.Is(err, store.ErrNotFound) || err == nil && (made.SHA256 != p.SHA256 || made.Size != p.Size) {
			return nil, desk.Conflict("%s was not made by this node as it is now: `proofmark backup --full` begins a chain that it can send", p.Name)
		}
		if err != nil {
			return nil, err
		}
		if p.Head, err = readHead(p.Path); err != nil {
			return nil, desk.Conflict("%v: check the folder, or begin a new chain with `proofmark backup --full`", err)
		}
	}
	if err := backup.CheckOrder(chain); err != nil {
		return nil, desk.Conflict("%s: %v", folder, err)
	}
	return chain, nil
}

func readHead(path string) (*backup.Head, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	h, err := backup.ReadHead(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return h, nil
}

// sendChain brings a chain to one holder.
func (s *Service) sendChain(ctx context.Context, to protocol.Country, chain []backup.Part, tell func(int64)) Sent {
	out := Sent{Holder: to, Files: len(chain)}
	var before int64
	for _, p := range chain {
		sent, r, err := s.sendFile(ctx, to, p, func(n int64) { tell(before + n) })
		out.Bytes += sent
		if err != nil {
			out.Fault = fmt.Sprintf("%s: %v", p.Name, err)
			return out
		}
		out.Kept++
		out.Newest = r
		before += p.Size
		tell(before)
	}
	return out
}

func (s *Service) sendFile(ctx context.Context, to protocol.Country, p backup.Part, tell func(int64)) (sent int64, r *protocol.CustodyReceipt, err error) {
	f, err := os.Open(p.Path)
	if err != nil {
		return 0, nil, err
	}
	defer f.Close()
	o := Offer{Name: p.Name, Size: p.Size, SHA256: p.SHA256, Head: p.Head.JWS()}
	receipt, sent, err := s.o.Send(ctx, to, o, f, tell)
	if err != nil {
		return sent, nil, err
	}
	if r, err = s.verify(to, p, receipt); err != nil {
		return sent, nil, err
	}
	return sent, r, s.confirm(ctx, r, receipt, func() (string, error) { return rootOf(ctx, f, p) })
}

// rootOf is the root of a file's hash tree; the file must be the one that was confirmed.
func rootOf(ctx context.Context, f io.ReaderAt, p backup.Part) (string, error) {
	h := sha256.New()
	root, _, _, err := tree(io.TeeReader(until{ctx, io.NewSectionReader(f, 0, p.Size)}, h), p.Size, -1)
	if err == nil && hex.EncodeToString(h.Sum(nil)) != p.SHA256 {
		err = errors.New("it has changed since it was made")
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", p.Path, err)
	}
	return hex.EncodeToString(root[:]), nil
}

// ErrReceipt: what a holder signed is not about the file that it was sent.
var ErrReceipt = errors.New("the holder's receipt is not one for this file")

// verify holds a receipt against the file that it is to be for.
func (s *Service) verify(holder protocol.Country, p backup.Part, receipt string) (*protocol.CustodyReceipt, error) {
	keys, err := s.keysOf(holder)
	if err != nil {
		return nil, err
	}
	payload, _, err := crypto.Verify(receipt, crypto.TypeCustody, keys, 2*protocol.MaxCustody)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	r, err := protocol.DecodeCustodyReceipt(payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	if want := (protocol.CustodyReceipt{Holder: holder, Owner: s.o.Desk.Country, Name: p.Name, ID: p.ID, Chain: p.Chain, Number: p.Number, Size: p.Size, SHA256: p.SHA256, At: r.At,
		Previous: r.Previous, PreviousUntil: r.PreviousUntil}); *r != want {
		return nil, fmt.Errorf("%w: it is signed for %s, %d bytes, SHA-256 %.8s…", ErrReceipt, r.Name, r.Size, r.SHA256)
	}
	return r, nil
}

// confirm keeps a receipt, and what proofs will be held against: the file may be gone by then.
func (s *Service) confirm(ctx context.Context, r *protocol.CustodyReceipt, receipt string, root func() (string, error)) error {
	id := recordID(r.Holder, r.ID)
	c := &Confirmed{CustodyReceipt: *r, Receipt: receipt}
	err := s.o.Desk.Store.View(func(tx *store.Tx) error {
		old, err := Confirmations.Get(tx, id)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err == nil && old.SHA256 == r.SHA256 {
			c.Root = old.Root
		}
		return err
	})
	if err == nil && c.Root == "" {
		c.Root, err = root()
	}
	if err != nil {
		return err
	}
	return s.o.Desk.Store.Update(ctx, func(tx *store.Tx) error {
		old, err := Confirmations.Get(tx, id)
		if err == nil && *old == *c {
			return nil
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err != nil || old.Receipt != receipt {
			tx.Audit(copyEntry(protocol.ActDisclose, r.Holder, r, "sealed copy confirmed by its holder"))
		}
		return Confirmations.Put(tx, id, c)
	})
}
