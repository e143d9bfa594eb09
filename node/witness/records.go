package witness

import (
	"errors"
	"fmt"
	"time"

	rules "proofmark/crypto/witness"
	"proofmark/protocol"
	"proofmark/store"
)

// Held is what this node, as a witness, holds of another member's log.
type Held struct {
	Country protocol.Country `json:"country"`
	LogKey  string           `json:"log_key"` // sumdb/note form; a log with another key is another log
	Note    string           `json:"note"`    // the checkpoint cosigned last, with its log's signature
	Size    int64            `json:"size"`    // its entries
	Since   time.Time        `json:"since"`   // first cosigned
	At      time.Time        `json:"at"`      // last cosigned; where it was the same checkpoint again, this may be half a day behind
	Highest int64            `json:"highest"` // entries of the largest checkpoint that was ever cosigned under this key

	// Owed are other checkpoints of this log that the log has to continue before it is cosigned again: this node has lost its memory, and members have
	// shown them.
	Owed []string `json:"owed,omitempty"`

	Excused   []string  `json:"excused,omitempty"`    // ids of the restores that the log has declared here, the last one last
	ExcusedAt time.Time `json:"excused_at,omitzero"`  // when the last was, by the log's clock
	Restores  []Restore `json:"restores,omitempty"`   // that began a new epoch, the newest last
	OldKeys   []OldKey  `json:"old_keys,omitempty"`   // logs that the member had before under other keys
	Refusals  uint64    `json:"refusals,omitempty"`   // offers that contradicted what is held
	RefusedAt time.Time `json:"refused_at,omitzero"`  // the last of them, noted once a minute
	Refused   string    `json:"refused_as,omitempty"` // rollback, fork or unproven
	Offered   string    `json:"offered,omitempty"`    // checkpoint that was refused last
}

// Restore is a declared restore: the two checkpoints that contradict each other, and the log's signed word that this is why.
type Restore struct {
	ID    string    `json:"id"`
	First string    `json:"first"` // checkpoint held before
	Then  string    `json:"then"`  // checkpoint of the restored log
	Head  string    `json:"head"`  // what the log signed about the two
	At    time.Time `json:"at"`
}

// OldKey is the end of a log whose member now signs with another log key.
type OldKey struct {
	LogKey string    `json:"log_key"`
	Note   string    `json:"note"`
	Until  time.Time `json:"until"`
}

// Record is evidence that is kept here.
type Record struct {
	ID       string           `json:"id"`
	Country  protocol.Country `json:"country"` // whose log it is
	LogKey   string           `json:"log_key"`
	Verdict  string           `json:"verdict"` // rollback, fork or unproven
	First    int64            `json:"first"`   // entries of the first checkpoint
	Then     int64            `json:"then"`    // and of the other
	From     protocol.Country `json:"from"`    // who told it; this node's own country where it was found here
	At       time.Time        `json:"at"`
	Evidence rules.Evidence   `json:"evidence"`

	Explained    string                    `json:"explained,omitempty"` // id of the restore that was declared after it
	Told         map[protocol.Country]bool `json:"told,omitempty"`      // members that know it
	Acknowledged *Acknowledged             `json:"acknowledged,omitempty"`
}

// Acknowledged says who has taken note of an alarm, and what that person has to say about it.
type Acknowledged struct {
	By  string    `json:"by"`
	At  time.Time `json:"at"`
	Why string    `json:"why"`
}

// alarming tells whether evidence calls for people: nothing explains it, and nobody has taken note of it.
func (r *Record) alarming() bool { return r.Explained == "" && r.Acknowledged == nil }

// Given is the last cosignature of one witness on a checkpoint of this node.
type Given struct {
	Witness protocol.Country `json:"witness"`
	Size    int64            `json:"size"`           // entries of the checkpoint; 0: none yet
	Note    string           `json:"note,omitempty"` // the checkpoint, with this log's signature alone
	Line    string           `json:"line,omitempty"` // the cosignature
	At      time.Time        `json:"at"`             // by the witness's clock
	Fault   string           `json:"fault,omitempty"`
	Failed  time.Time        `json:"failed,omitzero"`
}

// Memory is what this node knows of having lost a part of its memory as a witness, which it then asks the members for.
type Memory struct {
	Why     string                         `json:"why"`
	Restore string                         `json:"restore,omitempty"` // id of this node's own restore that it was lost by
	Since   time.Time                      `json:"since"`
	Heard   map[protocol.Country]time.Time `json:"heard,omitempty"` // members that have said what they hold
	Dim     map[protocol.Country]time.Time `json:"dim,omitempty"`   // those that have said so while they were asking themselves
	Over    time.Time                      `json:"over,omitzero"`   // nobody is asked any more
}

// Cosigned is a checkpoint of this node with its cosignatures.
type Cosigned struct {
	Size int64     `json:"size"`
	Note string    `json:"note"` // with this log's signature alone
	By   []Witness `json:"by"`
}

// Witness is a cosignature.
type Witness struct {
	Country string    `json:"country"`
	At      time.Time `json:"at"` // by the witness's clock
	Line    string    `json:"line"`
}

// What the store holds: of other logs and evidence against any, by country and by id; of this node's, by witness and by size, and the restores that it has
// declared, by id: a witness that was away for two of them is told of the one that it has missed first.
var (
	Holdings    = store.NewCollection[Held]("witness-held")
	Evidences   = store.NewCollection("witness-evidence", store.Index[Record]{Name: "country", Keys: func(r *Record) []string { return []string{string(r.Country)} }})
	Givens      = store.NewCollection[Given]("witness-given")
	Checkpoints = store.NewCollection[Cosigned]("witness-checkpoint")
	Declared    = store.NewCollection[protocol.Restored]("witness-declared")
	Memories    = store.NewCollection[Memory]("witness-memory") // one, the last
)

// Bounds of what is kept for one log.
const (
	maxEvidence    = 8 // pieces of evidence; the first ones stay
	maxRestores    = 8 // the newest ones stay
	maxExcused     = 512
	maxCheckpoints = 16
)

var errNoRoster = errors.New("no roster is in force")

func checkpointID(size int64) string { return fmt.Sprintf("%019d", size) }

// optional reads a record that may be missing.
func optional[T any](tx *store.Tx, c *store.Collection[T], id string) (*T, error) {
	v, err := c.Get(tx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return v, err
}
