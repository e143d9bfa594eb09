package demo

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"proofmark/crypto/roster"
	"proofmark/node"
	"proofmark/node/control"
	"proofmark/node/desk"
	"proofmark/node/durable"
	"proofmark/node/exchange"
	"proofmark/node/membership"
)

const (
	federationName = "Demonstration federation"
	threshold      = 2 // of three key holders
)

var holderNames = []string{"Ana Holder", "Bruno Holder", "Chloe Holder"}

// found makes three nodes with their people and brings one roster into force on all of them.
func (f *federation) found(ctx context.Context, fail context.CancelCauseFunc) error {
	f.say("Making folders, keys and first administrators. Secrets are stretched with argon2id, which is slow on purpose.")
	if err := f.all(func(b *bureau) error { return b.found(ctx, f.o.Now, f.o.Cost) }); err != nil {
		return err
	}
	if err := f.all(func(b *bureau) error { return b.run(f.o.Program, fail) }); err != nil {
		return err
	}
	f.say("Three daemons start as processes of their own; a supervisor starts each again should it die.")
	if err := f.all(func(b *bureau) error { return b.openDoors(ctx) }); err != nil {
		return err
	}
	f.shown("%d people have set their own secrets with one-time codes: an administrator, a technician, two examiners, an investigator, an NCB operator and an auditor in each bureau.",
		len(casts)*len(casts[0].people))
	anchor, err := f.ceremony()
	if err != nil {
		return err
	}
	if err := f.refuseWrongAnchor(ctx, anchor); err != nil {
		return err
	}
	if err := f.install(ctx); err != nil {
		return err
	}
	return f.meet(ctx)
}

func (f *federation) rosterFile() string { return filepath.Join(f.root, "federation", "roster.jws") }
func (f *federation) anchorFile() string { return filepath.Join(f.root, "federation", "anchor.txt") }

// ceremony has three key holders make their keys and two of them sign the roster; the anchor goes into a file. It returns the anchor.
func (f *federation) ceremony() (string, error) {
	holders := make([]*roster.HolderKey, len(holderNames))
	public := make([]roster.Holder, len(holderNames))
	err := each([]int{0, 1, 2}, func(i int) (err error) {
		holders[i], err = f.newHolder(i)
		if err == nil {
			public[i] = holders[i].Holder()
		}
		return err
	})
	if err != nil {
		return "", err
	}
	now := f.o.Now()
	draft, err := roster.Create(federationName, public, threshold, now, now.AddDate(1, 0, 0))
	if err != nil {
		return "", err
	}
	for _, c := range countries {
		entry, err := os.ReadFile(node.MemberPath(f.bureaus[c].dir))
		if err != nil {
			return "", fmt.Errorf("member entry of %s: %w", c, err)
		}
		if err := draft.Add(strings.TrimSpace(string(entry)), now); err != nil {
			return "", err
		}
	}
	for i := range threshold {
		if err := draft.Sign(holders[i]); err != nil {
			return "", err
		}
		if i == 0 {
			if _, err := draft.VerifyFirst(draft.Hash()); err == nil {
				return "", fmt.Errorf("a roster with one signature was accepted, %d are needed", threshold)
			}
			f.shown("With the signature of %s alone the roster is worth nothing: %d of %d key holders are needed.", holders[0].Name(), threshold, len(holders))
		}
	}
	if _, err := draft.VerifyFirst(draft.Hash()); err != nil {
		return "", err
	}
	b, err := draft.Marshal()
	if err != nil {
		return "", err
	}
	if err := durable.Replace(f.rosterFile(), b, 0o600); err != nil {
		return "", err
	}
	f.shown("%s and %s signed the roster of PT, ES and FR. Its anchor goes to every bureau by file, to be compared over the phone: %s",
		holders[0].Name(), holders[1].Name(), draft.Fingerprint())
	return draft.Hash(), durable.Replace(f.anchorFile(), []byte(draft.Hash()+"\n"), 0o600)
}

// newHolder makes one key holder's sealed file and opens it as that person would.
func (f *federation) newHolder(i int) (*roster.HolderKey, error) {
	file := filepath.Join(f.root, "federation", fmt.Sprintf("holder-%d", i+1))
	passphrase, err := newSecret(file + ".passphrase")
	if err != nil {
		return nil, err
	}
	private, public, err := roster.NewHolder(holderNames[i], passphrase, rand.Reader)
	if err != nil {
		return nil, err
	}
	if err := durable.Replace(file, private, 0o600); err != nil {
		return nil, err
	}
	if err := durable.Replace(file+".pub", public, 0o600); err != nil {
		return nil, err
	}
	return roster.OpenHolder(private, passphrase)
}

// refuseWrongAnchor shows that a roster does not come into force against another anchor.
func (f *federation) refuseWrongAnchor(ctx context.Context, anchor string) error {
	wrong := anchor[:len(anchor)-1] + "0"
	if wrong == anchor {
		wrong = anchor[:len(anchor)-1] + "1"
	}
	document, err := os.ReadFile(f.rosterFile())
	if err != nil {
		return err
	}
	b := f.bureaus[pt]
	_, err = call[*membership.Installed](ctx, b.admin, "roster.install", control.InstallRequest{Documents: [][]byte{document}, Anchor: wrong})
	words, err := refused(err, "a roster with a wrong anchor", desk.ErrInvalid, desk.ErrConflict)
	if err != nil {
		return err
	}
	s, err := b.status(ctx)
	if err != nil {
		return err
	}
	if err := f.verify(s.Roster == "", "A WRONG anchor, with one digit changed, is refused in PT, and no roster is in force there:"); err != nil {
		return err
	}
	f.quote(words + "”")
	return nil
}

// install brings the roster into force on all three nodes, with the anchor from the file.
func (f *federation) install(ctx context.Context) error {
	document, err := os.ReadFile(f.rosterFile())
	if err != nil {
		return err
	}
	anchor, err := os.ReadFile(f.anchorFile())
	if err != nil {
		return err
	}
	req := control.InstallRequest{Documents: [][]byte{document}, Anchor: strings.TrimSpace(string(anchor))}
	return f.all(func(b *bureau) error {
		in, err := call[*membership.Installed](ctx, b.admin, "roster.install", req)
		if err != nil {
			return err
		}
		return check(in.Members == len(countries), "%s installed a roster of %d members, want %d", b.country, in.Members, len(countries))
	})
}

// meet waits until every node is connected with every other.
func (f *federation) meet(ctx context.Context) error {
	transports := map[string]bool{}
	for _, c := range countries {
		b := f.bureaus[c]
		err := await(ctx, fmt.Sprintf("%s is connected with the other members (see %s)", c, b.logFile()), 3*time.Minute, func() (bool, error) {
			list, err := call[[]exchange.PeerStatus](ctx, b.admin, "peers", control.None{})
			if err != nil {
				return false, err
			}
			connected := 0
			for _, p := range list {
				if p.Connected {
					connected++
					transports[p.Transport] = true
				}
			}
			return connected == len(countries)-1, nil
		})
		if err != nil {
			return err
		}
	}
	var names []string
	for t := range transports {
		names = append(names, strings.ToUpper(t))
	}
	f.shown("With the right anchor the roster is in force in %s, %s and %s; each node is connected with both others (%s).", pt, es, fr, strings.Join(names, ", "))
	return nil
}

// check is verify for what goes without telling.
func check(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}
