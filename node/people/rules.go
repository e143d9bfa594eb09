package people

import (
	"bytes"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"proofmark/node/desk"
	"proofmark/policy"
)

const (
	minName     = 2
	maxName     = 64
	maxFullName = 120  // characters
	minSecret   = 12   // characters
	maxSecret   = 1024 // bytes
	leastOwn    = 8    // characters of a secret beside the account's name
	leastVaried = 5    // different characters of a secret
)

// CheckName tells whether an account can have a name: 2 to 64 of a–z, 0–9, dot, hyphen and underscore, a letter or digit first.
func CheckName(name string) error {
	if len(name) < minName || len(name) > maxName {
		return desk.Invalid("an account name has %d to %d characters, not %d", minName, maxName, utf8.RuneCountInString(name))
	}
	for i, r := range name {
		letter := r >= 'a' && r <= 'z' || r >= '0' && r <= '9'
		if !letter && (i == 0 || !strings.ContainsRune(".-_", r)) {
			return desk.Invalid("an account name consists of lower-case letters a–z, digits, dots, hyphens and underscores, and begins with a letter or digit: %q at place %d does not fit", r, i+1)
		}
	}
	if name == desk.Node.Name {
		return desk.Invalid("the name %q stands for the node itself in the audit log: choose another", name)
	}
	return nil
}

func checkFullName(name string) error {
	if !utf8.ValidString(name) || utf8.RuneCountInString(name) > maxFullName || strings.TrimSpace(name) != name {
		return desk.Invalid("a full name has at most %d characters, without spaces around them", maxFullName)
	}
	for _, r := range name {
		if !unicode.IsPrint(r) {
			return desk.Invalid("the full name holds the unprintable character %U", r)
		}
	}
	return nil
}

// CheckRoles tells whether one account can have the roles together.
//
// Duties are apart. Whoever makes accounts could make himself the second pair of eyes: an administrator is therefore neither
// technician nor examiner nor investigator. Nobody oversees his own work: an auditor has no other role.
func CheckRoles(roles []string) error {
	_, err := sortRoles(roles)
	return err
}

// sortRoles checks roles and puts them in the order of policy.Roles, each once.
func sortRoles(roles []string) ([]string, error) {
	if len(roles) == 0 {
		return nil, desk.Invalid("an account needs a role, one or more of %s; to take everything away from somebody, disable the account", strings.Join(policy.Roles(), ", "))
	}
	for _, role := range roles {
		if !slices.Contains(policy.Roles(), role) {
			return nil, desk.Invalid("there is no role %.40q; the roles are %s", role, strings.Join(policy.Roles(), ", "))
		}
	}
	var sorted []string
	for _, role := range policy.Roles() {
		if slices.Contains(roles, role) {
			sorted = append(sorted, role)
		}
	}
	if slices.Contains(sorted, policy.Auditor) && len(sorted) > 1 {
		return nil, desk.Invalid("an auditor has no other role, because nobody oversees his own work: use two people")
	}
	for _, role := range []string{policy.Technician, policy.Examiner, policy.Investigator} {
		if slices.Contains(sorted, policy.Administrator) && slices.Contains(sorted, role) {
			return nil, desk.Invalid("an administrator cannot be %s too: who makes accounts could make himself the second reviewer. Use two people", role)
		}
	}
	return sorted, nil
}

// common are secrets that are long enough and among the first to be tried.
var common = []string{
	"123456789012", "1234567890123", "123456789123", "123456123456", "098765432109", "0123456789012",
	"password1234", "password12345", "password123456", "passwordpassword", "passw0rd1234", "administrator", "administrator1",
	"qwertyuiop12", "qwertyuiop123", "qwertyuiopasdf", "qwerty123456", "1q2w3e4r5t6y", "1qaz2wsx3edc", "q1w2e3r4t5y6", "zaq12wsxcde3",
	"letmeinletmein", "welcome12345", "changemechangeme", "iloveyou1234", "abcdefghijkl", "abc123abc123", "correcthorsebatterystaple",
	"proofmarkproofmark", "proofmark1234",
}

// CheckSecret tells whether a secret may be set for an account: at least 12 characters and at most 1,024 bytes, neither the account's
// name with a little around it nor one of the first that anybody tries. What it is made of is its owner's business.
func CheckSecret(name string, secret []byte) error {
	switch {
	case len(secret) > maxSecret:
		return desk.Invalid("the secret has %d bytes, the limit is %d", len(secret), maxSecret)
	case !utf8.Valid(secret):
		return desk.Invalid("the secret is not valid UTF-8 text")
	}
	secret = canonical(secret)
	if n := utf8.RuneCount(secret); n < minSecret {
		return desk.Invalid("the secret has %d characters, at least %d are needed: a sentence is easy to remember", n, minSecret)
	}
	if bytes.ContainsFunc(secret, unicode.IsControl) {
		return desk.Invalid("the secret holds a control character, such as a line end: leave it out")
	}
	lower := strings.ToLower(string(secret))
	if slices.Contains(common, lower) || varied(lower) < leastVaried {
		return desk.Invalid("the secret is among the first that anybody tries: choose another, such as a sentence")
	}
	if rest := strings.ReplaceAll(lower, strings.ToLower(name), ""); rest != lower && utf8.RuneCountInString(rest) < leastOwn {
		return desk.Invalid("the secret is little more than the account's name: choose another, such as a sentence")
	}
	return nil
}

// canonical gives one form to what different keyboards write differently, such as é (RFC 8265, OpaqueString: NFC). What is too long to
// be a secret is given up as empty, which no account has.
func canonical(secret []byte) []byte {
	if len(secret) > maxSecret {
		return nil
	}
	return norm.NFC.Bytes(secret)
}

func varied(s string) int {
	seen := map[rune]bool{}
	for _, r := range s {
		seen[r] = true
	}
	return len(seen)
}
