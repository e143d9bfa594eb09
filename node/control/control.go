// Package control owns the node's command interface: HTTP with JSON on a Unix socket in the data folder, served by the daemon and called by the
// command line. It authenticates the person behind each command and hands the command to its workflow; it decides nothing itself.
package control

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/mod/sumdb/note"

	"proofmark/node/accounting"
	"proofmark/node/agenda"
	"proofmark/node/backup"
	"proofmark/node/ballistics"
	"proofmark/node/bundle"
	"proofmark/node/custody"
	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/node/exchange"
	"proofmark/node/identity"
	"proofmark/node/membership"
	"proofmark/node/operations"
	"proofmark/node/people"
	"proofmark/node/permission"
	"proofmark/node/release"
	"proofmark/node/retention"
	"proofmark/node/sharing"
	"proofmark/node/tracing"
	"proofmark/node/witness"
	"proofmark/protocol"
	"proofmark/store"
)

// Services is what the commands give access to.
type Services struct {
	Country     protocol.Country
	Name        string
	Now         func() time.Time
	Log         *slog.Logger
	Desk        *desk.Desk
	Store       *store.Store
	People      *people.Service
	Membership  *membership.Service
	Operations  *operations.Service
	Identity    *identity.Service
	Ballistics  *ballistics.Service
	Tracing     *tracing.Service
	Release     *release.Service
	Dispatch    *dispatch.Dispatch
	Exchange    *exchange.Exchange
	Sharing     *sharing.Service
	Bundles     *bundle.Service
	Backup      *backup.Service
	Custody     *custody.Service
	Witness     *witness.Service
	Accounting  *accounting.Service
	Permissions *permission.Service
	Retention   *retention.Service
	Agenda      func() (agenda.Agenda, error) // what waits for people
	LogVerifier func() (note.Verifier, error)
}

// Limits of one command.
const (
	maxOpen    = 64 << 10  // bytes of JSON of a command that needs no session
	MaxRequest = 48 << 20  // bytes of JSON: a chain of rosters is the largest
	MaxUpload  = 256 << 20 // bytes of a table, or of all scans of one acquisition
)

// Headers of a command beside its JSON body.
const (
	headerKey     = "Idempotency-Key"
	headerWhy     = "Proofmark-Justification" // why the person acts, in the person's words; base64
	headerRequest = "Proofmark-Request"       // JSON of an upload, whose body is the files one after another; base64
)

// ErrNoDaemon means that nobody answers on the socket.
var ErrNoDaemon = errors.New("the node is not running")

// ErrNoSession means that the command needs somebody logged in.
var ErrNoSession = errors.New("nobody is logged in")

// reply is the body of every answer; exactly one of Result and Error is set on the last line. Long commands send lines of Done and Total before.
type reply[T any] struct {
	Done   int64     `json:"done,omitempty"`
	Total  int64     `json:"total,omitempty"`
	Result *T        `json:"result,omitempty"`
	Error  *errorMsg `json:"error,omitempty"`

	Held []*dispatch.Waiting `json:"held,omitempty"` // what the command issued that waits for two people
}

type errorMsg struct {
	Class string `json:"class"`
	Text  string `json:"text"`
}

// classes map the errors that a caller decides on to a word on the wire and an HTTP status.
var classes = []struct {
	err    error
	word   string
	status int
}{
	{ErrNoSession, "no-session", http.StatusUnauthorized},
	{people.ErrSession, "no-session", http.StatusUnauthorized},
	{desk.ErrForbidden, "forbidden", http.StatusForbidden},
	{desk.ErrInvalid, "invalid", http.StatusBadRequest},
	{desk.ErrNotFound, "not-found", http.StatusNotFound},
	{desk.ErrConflict, "conflict", http.StatusConflict},
	{store.ErrDiskReserve, "disk-reserve", http.StatusInsufficientStorage},
}

func classify(err error) (word string, status int) {
	for _, c := range classes {
		if errors.Is(err, c.err) {
			return c.word, c.status
		}
	}
	return "internal", http.StatusInternalServerError
}

// remote is an error as the daemon reported it; it keeps its class, so that callers can decide on it.
type remote struct {
	class error
	text  string
}

func (r *remote) Error() string { return r.text }
func (r *remote) Unwrap() error { return r.class }

func fromWire(m errorMsg) error {
	for _, c := range classes {
		if c.word == m.Class {
			return &remote{c.err, m.Text}
		}
	}
	return errors.New(m.Text)
}
