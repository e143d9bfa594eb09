package protocol

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Limits of what two nodes tell each other about where they stand.
const (
	MaxStanding     = 48 << 10
	maxShown        = 8
	maxShownSize    = 2 * MaxManifest
	maxCheckpoint   = 2048
	StandingNonce   = 32 // hex digits
	MaxRestoredPage = 256
)

// Standing is what a node says of itself to one other, signed: how far its log and the channels between the two are. With it stands what the other one
// has signed before: a node whose database was put back to an older state meets its own newer signatures.
type Standing struct {
	From       Country           `json:"from"`
	To         Country           `json:"to"`
	Nonce      string            `json:"nonce"` // the asker's; the answer repeats it
	At         time.Time         `json:"at"`
	Checkpoint string            `json:"checkpoint"` // of the speaker's audit log, a signed note
	Channels   []ChannelStanding `json:"channels"`
	Shown      []string          `json:"shown"`          // batches' manifests and receipts that the other one signed, compact JWS
	Seen       string            `json:"seen,omitempty"` // the last checkpoint of the other one's log that the speaker knows
	Restored   *Restored         `json:"restored,omitempty"`
}

// ChannelStanding is how far a channel is in both directions; hashes of the last messages in hex, empty at 0.
type ChannelStanding struct {
	Channel      Channel `json:"channel"`
	Sent         uint64  `json:"sent"`
	SentHead     string  `json:"sent_head"`
	Received     uint64  `json:"received"`
	ReceivedHead string  `json:"received_head"`
}

// Restored declares that the speaker's database was restored from a backup, and that it needs what came after.
type Restored struct {
	ID         string    `json:"id"`         // of the restore, 32 hex digits
	At         time.Time `json:"at"`         // of the restore
	Made       time.Time `json:"made"`       // of the backup
	Checkpoint string    `json:"checkpoint"` // where the restored log ends, a signed note
}

// DecodeStanding parses and checks the payload of a standing's signature.
func DecodeStanding(b []byte) (*Standing, error) {
	if err := CheckJSON(b, MaxStanding, 5); err != nil {
		return nil, fmt.Errorf("standing: %w: %w", ErrBadMessage, err)
	}
	var s Standing
	if err := strict(b, &s); err != nil {
		return nil, fmt.Errorf("standing: %w: %w", ErrBadMessage, err)
	}
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("standing: %w: %w", ErrBadMessage, err)
	}
	return &s, nil
}

func (s *Standing) check() error {
	if err := checkEnds(s.From, s.To, Bulk); err != nil {
		return err
	}
	if !isHex(s.Nonce, StandingNonce) {
		return errors.New("nonce: want 32 hex digits")
	}
	if len(s.Checkpoint) > maxCheckpoint || s.Checkpoint == "" || len(s.Seen) > maxCheckpoint || len(s.Shown) > maxShown || len(s.Channels) != len(Channels) {
		return errors.New("checkpoint, seen, shown or channels: missing, or too many or too long")
	}
	for _, j := range s.Shown {
		if len(j) > maxShownSize {
			return fmt.Errorf("shown: %d bytes, the limit is %d", len(j), maxShownSize)
		}
	}
	for i, c := range s.Channels {
		if c.Channel != Channels[i] {
			return fmt.Errorf("channels: %.10q where %s is wanted", c.Channel, Channels[i])
		}
		if err := first(checkHead("sent", c.Sent, c.SentHead), checkHead("received", c.Received, c.ReceivedHead)); err != nil {
			return err
		}
	}
	if r := s.Restored; r != nil && (!isHex(r.ID, 32) || r.Made.IsZero() || r.Checkpoint == "" || len(r.Checkpoint) > maxCheckpoint) {
		return errors.New("restored: id, made or checkpoint is missing or malformed")
	}
	return nil
}

func checkHead(name string, seq uint64, head string) error {
	if (seq == 0) != (head == zeroMessageHash) {
		return fmt.Errorf("%s: number and head do not agree", name)
	}
	if seq == 0 {
		return nil
	}
	return checkHash(name, head)
}

func isHex(s string, n int) bool {
	return len(s) == n && strings.Trim(s, "0123456789abcdef") == ""
}

// RestoreAsk asks the peer of a restored node for one page of what the two had exchanged after the backup.
type RestoreAsk struct {
	Restore string  `json:"restore"`           // id
	Channel Channel `json:"channel,omitempty"` // messages that the peer had sent on it after number After; none: documents that the peer holds
	After   uint64  `json:"after,omitempty"`
	Last    string  `json:"last,omitempty"` // id of the last document of the page before
}

// RestorePage is the answer.
type RestorePage struct {
	Messages  []RestoredMessage  `json:"messages,omitempty"`
	Documents []RestoredDocument `json:"documents,omitempty"`
	Last      string             `json:"last,omitempty"`
	End       bool               `json:"end"` // there is no more
}

// RestoredMessage is a message that was sent and acknowledged before, byte for byte; without bytes where the document was erased since: its hash keeps its
// place in the chain.
type RestoredMessage struct {
	Seq   uint64 `json:"seq"`
	Hash  string `json:"hash"`
	Bytes []byte `json:"bytes,omitempty"`
}

// RestoredDocument is a document that the restored country had issued and its peer holds.
type RestoredDocument struct {
	JWS         string       `json:"jws"`
	Disclosures []Disclosure `json:"disclosures"`
	Terms       Terms        `json:"terms"`
}

// MaxRestorePage bounds an encoded RestorePage, in bytes: one message of the largest size in base64, or as many as fit.
const MaxRestorePage = 2 << 20

// DecodeRestoreAsk parses and checks an ask.
func DecodeRestoreAsk(b []byte) (*RestoreAsk, error) {
	if err := CheckJSON(b, 1<<10, 2); err != nil {
		return nil, fmt.Errorf("restore: %w: %w", ErrBadMessage, err)
	}
	var a RestoreAsk
	if err := strict(b, &a); err != nil {
		return nil, fmt.Errorf("restore: %w: %w", ErrBadMessage, err)
	}
	if err := oneOf("channel", a.Channel, Channels, true); err != nil || !isHex(a.Restore, 32) || len(a.Last) > 128 {
		return nil, fmt.Errorf("restore: %w: channel, restore or last is malformed", ErrBadMessage)
	}
	return &a, nil
}

// DecodeRestorePage parses and checks a page's form; signatures and hashes are the caller's to check.
func DecodeRestorePage(b []byte) (*RestorePage, error) {
	if err := CheckJSON(b, MaxRestorePage, 6); err != nil {
		return nil, fmt.Errorf("restore page: %w: %w", ErrBadMessage, err)
	}
	var p RestorePage
	if err := json.Unmarshal(b, &p); err != nil {
		return nil, fmt.Errorf("restore page: %w: %w", ErrBadMessage, err)
	}
	if len(p.Messages) > MaxRestoredPage || len(p.Documents) > MaxRestoredPage {
		return nil, fmt.Errorf("restore page: %w: more than %d messages or documents", ErrBadMessage, MaxRestoredPage)
	}
	for _, m := range p.Messages {
		if err := checkHash("hash", m.Hash); err != nil || m.Seq == 0 {
			return nil, fmt.Errorf("restore page: %w: message %d: %w", ErrBadMessage, m.Seq, err)
		}
	}
	return &p, nil
}
