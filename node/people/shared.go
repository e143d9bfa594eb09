package people

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"proofmark/node/desk"
	"proofmark/store"
)

// What needs two people counts accounts. One person with two of them would be two, and mostly gives both the same secret: so no secret opens two accounts.
// Each has a salt of its own, so that only trying tells whether two are the same: one hash for each account that there is, disabled ones too. A fingerprint
// under one common salt would be faster, and would let whoever steals the database try a word on all accounts at once.

// ErrShared says that a secret opens another account already. It does not say whose.
var ErrShared = desk.Invalid("this secret opens another account of this node: choose one that you use nowhere else. " +
	"Nobody is two people with two accounts; the log has that it was tried, for the auditor.")

// sharedMost is how often a code may be used to try secrets that others have: whoever guesses learns no more than by as many log-ins.
const sharedMost = 5

// comparison holds a new secret against those of all other accounts.
type comparison struct {
	seen map[string]bool // hashes that it was compared with
	with []string        // accounts that it opens
}

// compare tries the secret on every other account on which it was not tried yet, always on all of them.
func (s *Service) compare(ctx context.Context, c *comparison, name string, secret []byte) error {
	var rest map[string]string
	err := s.desk.Store.View(func(tx *store.Tx) (err error) {
		rest, err = c.rest(tx, name)
		return err
	})
	if err != nil {
		return fmt.Errorf("look up other accounts: %w", err)
	}
	if c.seen == nil {
		c.seen = map[string]bool{}
	}
	for other, encoded := range rest {
		same, err := s.check(ctx, encoded, secret)
		if err != nil {
			return err
		}
		c.seen[encoded] = true
		if same {
			c.with = append(c.with, other)
		}
	}
	slices.Sort(c.with)
	return nil
}

// rest are the secrets of other accounts that were set since the comparison, by name.
func (c *comparison) rest(tx *store.Tx, name string) (map[string]string, error) {
	rest := map[string]string{}
	for other, a := range accounts.All(tx) {
		if other != name && a.Secret != "" && !c.seen[a.Secret] {
			rest[other] = a.Secret
		}
	}
	return rest, tx.Err()
}

// settle says inside the transaction that sets a secret whether it may be set: with again the comparison has to go on, because others set theirs meanwhile;
// with refused another account has it, and the log has which.
func (c *comparison) settle(tx *store.Tx, a *Account, event string) (again, refused bool, err error) {
	rest, err := c.rest(tx, a.Name)
	if err != nil || len(rest) > 0 {
		return true, false, err
	}
	if len(c.with) == 0 {
		return false, false, nil
	}
	e := denial(a.Name, event, "secret-of-another-account")
	e.Details = map[string]string{"accounts": strings.Join(c.with, " ")}
	tx.Audit(e)
	return false, true, nil
}

// onePerson refuses a second account under one person's name.
func onePerson(tx *store.Tx, fullName string) error {
	if fullName == "" {
		return nil
	}
	for name, a := range accounts.All(tx) {
		if plain(a.FullName) == plain(fullName) {
			return desk.Conflict("%s is the account of %s: a person has one account, because what needs two people counts accounts. Give it a further role "+
				"(user roles %s), enable it (user enable %s), or tell two people of one name apart in --full-name", name, a.FullName, name, name)
		}
	}
	return tx.Err()
}

// plain is a person's name without what may be written one way or another.
func plain(fullName string) string {
	return strings.Join(strings.Fields(cases.Fold().String(norm.NFKC.String(fullName))), " ")
}
