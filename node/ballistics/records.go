package ballistics

import (
	"fmt"
	"math"
	"time"

	"proofmark/correlate"
	"proofmark/correlate/bullet"
	"proofmark/correlate/fuse"
	"proofmark/correlate/shear"
	"proofmark/node/index"
	"proofmark/protocol"
	"proofmark/store"
)

// Case is a criminal investigation: agency and case number, unique in this node.
type Case struct {
	ID        string    `json:"id"`
	Reference string    `json:"reference"` // case number of the agency
	Agency    string    `json:"agency"`
	Title     string    `json:"title,omitempty"`
	Created   time.Time `json:"created"`
	By        string    `json:"by"`
}

// Incident is what happened: a time interval, a place, an offence. It carries the facts that sharing policies ask for.
type Incident struct {
	ID          string            `json:"id"`
	Case        string            `json:"case"` // case reference
	Occurred    protocol.Interval `json:"occurred"`
	Place       string            `json:"place"`
	Precision   string            `json:"precision,omitempty"` // of the place: address, town, region
	Offence     string            `json:"offence"`
	Severity    string            `json:"severity,omitempty"`
	BorderKM    *int64            `json:"border_km,omitempty"` // distance to the nearest border
	Terrorism   bool              `json:"terrorism,omitempty"`
	Customs     bool              `json:"customs,omitempty"`     // recovered by customs or border police
	Trafficking bool              `json:"trafficking,omitempty"` // from suspected traffickers
	GroupSize   int64             `json:"group_size,omitempty"`  // firearms recovered together
	Links       []string          `json:"links,omitempty"`       // outside events: gunshot alert, plate reader
	Created     time.Time         `json:"created"`
	By          string            `json:"by"`
}

// Exhibit is a cartridge case or a bullet: evidence of an incident, or test-fired from a recovered firearm.
type Exhibit struct {
	ID        string            `json:"id"`
	Number    string            `json:"number"` // exhibit number, unique in this node
	Case      string            `json:"case"`   // case reference
	Kind      string            `json:"kind"`
	Origin    string            `json:"origin"`
	Incident  string            `json:"incident,omitempty"` // id, for evidence
	Firearm   string            `json:"firearm,omitempty"`  // national reference, for a test fire
	Calibre   string            `json:"calibre"`
	FiringPin string            `json:"firing_pin"`
	Pattern   string            `json:"breech_face_pattern"`
	Handling  protocol.Handling `json:"handling,omitempty"` // what the exhibit carries by itself; another country's where it came from there

	// Operations that it is tagged with, by number: what policy makes of that, policy says.
	Operations []string `json:"operations,omitempty"`

	Received time.Time `json:"received"` // stamp: receipt in the laboratory
	Entered  time.Time `json:"entered"`  // stamp: entry into this node
	By       string    `json:"by"`

	protocol.Said
}

// Marks implements protocol.Marked.
func (e *Exhibit) Marks() (protocol.Handling, []string) { return e.Handling, []string{e.ID} }

// Acquisition is the scans of one region of an exhibit, and the signature that was made of them.
type Acquisition struct {
	ID          string        `json:"id"`
	Exhibit     string        `json:"exhibit"` // exhibit id
	Number      string        `json:"number"`  // exhibit number
	ROI         correlate.ROI `json:"roi"`
	Scans       []Scan        `json:"scans"`          // one; of land engraved areas in the order of the lands
	Mask        *Scan         `json:"mask,omitempty"` // drawn by a person; its file and its hash
	Identity    string        `json:"identity"`       // the same for the same files, see NewAcquisition.identity
	Instrument  string        `json:"instrument,omitempty"`
	Operator    string        `json:"operator"`
	Quality     Quality       `json:"quality"`
	Replica     bool          `json:"replica,omitempty"`
	Certificate string        `json:"certificate,omitempty"`
	Signature   string        `json:"signature"` // id of the signature document
	Algorithm   string        `json:"algorithm"`
	Bytes       int           `json:"signature_bytes"`
	Purpose     string        `json:"purpose"`
	At          time.Time     `json:"at"`
}

// Scan is one file of an acquisition; the file itself is a blob of the store.
type Scan struct {
	File       string          `json:"file,omitempty"` // empty: a land of which there is no scan
	Hash       string          `json:"scan,omitempty"` // SHA-256 of the file, hex
	Bytes      int             `json:"scan_bytes"`
	Resolution float64         `json:"resolution_um,omitempty"` // lateral spacing, micrometres
	Warnings   []string        `json:"warnings,omitempty"`
	Land       *bullet.Quality `json:"land,omitempty"` // of a land engraved area
}

// Quality says how much a comparison with an acquisition can be worth, and why.
type Quality struct {
	Score   float64            `json:"score"` // 0 to 1; of a bullet the mean over its barrel's lands, of which those below the gate count 0
	Reasons []string           `json:"reasons,omitempty"`
	Areal   *correlate.Quality `json:"areal,omitempty"` // what was measured of a region compared as a picture
	Shear   *shear.Quality     `json:"shear,omitempty"` // of aperture shear
}

// ScanBytes is the size of all scan files.
func (a *Acquisition) ScanBytes() int {
	n := 0
	for i := range a.Scans {
		n += a.Scans[i].Bytes
	}
	return n
}

// Signature is a ballistic signature that this node holds: its own or a foreign one.
type Signature struct {
	ID        string            `json:"id"` // of the signature document
	Country   protocol.Country  `json:"country"`
	Own       bool              `json:"own"`
	Exhibit   string            `json:"exhibit"` // exhibit id at its owner
	ROI       correlate.ROI     `json:"roi"`
	Kind      string            `json:"kind"`
	Origin    string            `json:"origin"`
	Class     correlate.Class   `json:"class"`
	Algorithm string            `json:"algorithm"`
	Quality   float64           `json:"quality"`
	Bytes     []byte            `json:"bytes"`
	Handling  protocol.Handling `json:"handling,omitempty"`
	Received  time.Time         `json:"received"`
	Expires   time.Time         `json:"expires,omitzero"`   // of a foreign signature: erased then
	Withdrawn time.Time         `json:"withdrawn,omitzero"` // by its owner

	// NotCompared says why a foreign signature is kept and takes part in no comparison; empty of one that does.
	NotCompared string `json:"not_compared,omitempty"`

	// What its owner disclosed, or this node's own facts.
	Number   string             `json:"number,omitempty"`
	Case     string             `json:"case,omitempty"`
	Agency   string             `json:"agency,omitempty"`
	Offence  string             `json:"offence,omitempty"`
	Place    string             `json:"place,omitempty"`
	Occurred *protocol.Interval `json:"occurred,omitempty"`
	Make     string             `json:"make,omitempty"`     // of the firearm, of a test fire
	Withheld []string           `json:"withheld,omitempty"` // fields of the document that its owner's policy withholds
}

// handling is what is demanded of a signature: by its own country where no owner is named.
func (s *Signature) handling() protocol.Handling { return s.Handling.OwnedBy(s.Country) }

// Candidate is a pair of signatures that correlation ranked: an entry of the ranked list of each of the two. It has one identity on both sides
// of a border.
type Candidate struct {
	Pair string        `json:"pair"`
	A    string        `json:"a"` // signature ids in ascending order
	B    string        `json:"b"`
	ROI  correlate.ROI `json:"roi"`
	index.Finding
	// LikelihoodRatio is what this node's calibrations made of the comparison when the pair was found.
	LikelihoodRatio *protocol.LikelihoodRatio `json:"likelihood_ratio,omitempty"`

	Handling protocol.Handling `json:"handling,omitempty"` // the union of both sides'
	Found    time.Time         `json:"found"`
	Viewed   time.Time         `json:"viewed,omitzero"`
	Reviews  []Review          `json:"reviews,omitempty"`
	Outcome  protocol.Verdict  `json:"outcome,omitempty"` // once the reviews decide
	Country  protocol.Country  `json:"country"`           // of the other side; this node's own where both sides are its own

	// SourceWithdrawn: a pair across a border of which one side was withdrawn before the reviews decided. No lead can come of it, and it awaits nobody.
	SourceWithdrawn time.Time `json:"source_withdrawn,omitzero"`
}

// Review is one person's finding on a candidate.
type Review struct {
	Round   string           `json:"round"` // primary, secondary, third
	Verdict protocol.Verdict `json:"verdict"`
	By      string           `json:"by"`
	At      time.Time        `json:"at"`
	Note    string           `json:"note,omitempty"`
}

// Lead is what became of a pair after two people of one side found it worth telling: one record for both directions, so that crossing leads
// merge.
type Lead struct {
	Pair         string            `json:"pair"`
	Counterpart  protocol.Country  `json:"counterpart"`
	State        LeadState         `json:"state"`
	Own          protocol.LeadSide `json:"own"` // this country's side, whole: the other one may not know all of it
	Sent         *Notice           `json:"sent,omitempty"`
	Received     *Notice           `json:"received,omitempty"`
	Feedback     []Feedback        `json:"feedback,omitempty"`
	Confirmation *Confirmation     `json:"confirmation,omitempty"` // a first finding at the microscope that awaits its verification
	Examinations []Confirmation    `json:"examinations,omitempty"` // findings that were verified or contradicted, in pairs
	Earlier      []Notice          `json:"earlier,omitempty"`      // leads of the other side that were retracted and sent anew
	Hit          *Hit              `json:"hit,omitempty"`
	Handling     protocol.Handling `json:"handling,omitempty"`
	Timeline     []Stamp           `json:"timeline"`

	// SourceWithdrawn: the other country withdrew the signature, the notification or the report of the hit that this record rests on.
	SourceWithdrawn time.Time `json:"source_withdrawn,omitzero"`

	protocol.Said
}

// Marks implements protocol.Marked.
func (l *Lead) Marks() (protocol.Handling, []string) {
	about := leadDocuments(l)
	if l.Hit != nil {
		about = append(about, l.Hit.Document)
	}
	return l.Handling, append(about, leadSignatures(l)...)
}

// LeadState is where a lead stands.
type LeadState string

// The states of a lead.
const (
	LeadReleased     LeadState = "released"     // sent, not yet acknowledged
	LeadReceived     LeadState = "received"     // arrived, not yet acknowledged by a person here
	LeadAcknowledged LeadState = "acknowledged" // a person on the receiving side took it up
	LeadRetracted    LeadState = "retracted"
	LeadHit          LeadState = "hit" // confirmed on the physical evidence
)

// Notice is a lead notification that was sent or received.
type Notice struct {
	Document     string            `json:"document"`
	Body         protocol.LeadBody `json:"body"`
	At           time.Time         `json:"at"`
	By           string            `json:"by,omitempty"` // who released it here
	Acknowledged time.Time         `json:"acknowledged,omitzero"`
	AckBy        string            `json:"acknowledged_by,omitempty"`
	AckNote      string            `json:"ack_note,omitempty"`
	AckDocument  string            `json:"ack_document,omitempty"`
	OtherCase    string            `json:"other_case,omitempty"`    // disclosed with the acknowledgement
	OtherExhibit string            `json:"other_exhibit,omitempty"` // with it
	// Withheld are fields that the other country's policy withholds: of a notification received; of one sent, what is not known of the other side, and of
	// the acknowledgement.
	Withheld  []string  `json:"withheld,omitempty"`
	Retracted time.Time `json:"retracted,omitzero"`
	Reason    string    `json:"retraction_reason,omitempty"`
	Withdrawn time.Time `json:"withdrawn,omitzero"` // the document, by its sender
}

// Feedback tells what came of a lead.
type Feedback struct {
	From     protocol.Country `json:"from"`
	Code     string           `json:"code"`
	Note     string           `json:"note,omitempty"`
	At       time.Time        `json:"at"`
	By       string           `json:"by,omitempty"`
	Document string           `json:"document"`
	Withheld []string         `json:"withheld,omitempty"` // by the policy of its country
}

// Confirmation is an examiner's finding at the microscope, before it is verified.
type Confirmation struct {
	Conclusion string    `json:"conclusion"`
	Items      []string  `json:"items"`
	Where      string    `json:"where"`
	By         string    `json:"by"`
	At         time.Time `json:"at"`
}

// Hit is a verified confirmation, from whichever side it came.
type Hit struct {
	Document string           `json:"document"`
	From     protocol.Country `json:"from"`
	protocol.HitBody
	At       time.Time `json:"at"`
	Withheld []string  `json:"withheld,omitempty"` // by the policy of its country
}

// Stamp is one event in the life of a lead: the field is measured by the time between them.
type Stamp struct {
	Event   string           `json:"event"`
	At      time.Time        `json:"at"`
	By      string           `json:"by,omitempty"`
	Country protocol.Country `json:"country,omitempty"`
}

// job is a signature that waits to be correlated; it is written with the signature and removed with its candidates.
type job struct {
	Signature string    `json:"signature"`
	Queued    time.Time `json:"queued"`
}

var (
	cases = store.NewCollection("case",
		store.Index[Case]{Name: "reference", Keys: func(c *Case) []string { return []string{c.Reference} }})
	incidents = store.NewCollection("incident",
		store.Index[Incident]{Name: "case", Keys: func(i *Incident) []string { return []string{i.Case} }})
	exhibits = store.NewCollection("exhibit",
		store.Index[Exhibit]{Name: "number", Keys: func(e *Exhibit) []string { return []string{e.Number} }},
		store.Index[Exhibit]{Name: "case", Keys: func(e *Exhibit) []string { return []string{e.Case} }},
		store.Index[Exhibit]{Name: "firearm", Keys: func(e *Exhibit) []string {
			if e.Firearm == "" {
				return nil
			}
			return []string{e.Firearm}
		}})
	acquisitions = store.NewCollection("acquisition",
		store.Index[Acquisition]{Name: "scan", Keys: func(a *Acquisition) []string { return []string{scanKey(a.Exhibit, a.ROI, a.Identity)} }},
		store.Index[Acquisition]{Name: "exhibit", Keys: func(a *Acquisition) []string { return []string{a.Exhibit} }})
	signatures = store.NewCollection("signature",
		store.Index[Signature]{Name: "exhibit", Keys: func(s *Signature) []string { return []string{s.Exhibit} }},
		store.Index[Signature]{Name: "not-compared", Keys: func(s *Signature) []string {
			if s.NotCompared == "" {
				return nil
			}
			return []string{s.Algorithm}
		}},
		store.Index[Signature]{Name: heldIndex, Keys: func(s *Signature) []string {
			if s.restricted() {
				return []string{erasedDigest}
			}
			e := entryOf(s)
			return []string{e.Digest()}
		}})
	candidates = store.NewCollection("candidate",
		store.Index[Candidate]{Name: "ranked", Keys: func(c *Candidate) []string {
			return []string{rankedKey(c.A, c.Score, c.Pair), rankedKey(c.B, c.Score, c.Pair)}
		}},
		store.Index[Candidate]{Name: "worklist", Keys: func(c *Candidate) []string {
			// Scores of different regions are on scales of their own: what orders them is how improbable they are by chance.
			weight := falling(fuse.Weigh(c.Algorithm, c.Score))
			list := "open"
			if c.Outcome != "" || !c.SourceWithdrawn.IsZero() {
				list = "decided"
			}
			return []string{rankedKey(fmt.Sprintf("%s/%016x", list, weight), c.Score, c.Pair)}
		}})
	leads = store.NewCollection("lead",
		store.Index[Lead]{Name: "signature", Keys: leadSignatures},
		store.Index[Lead]{Name: "document", Keys: leadDocuments})
	jobs = store.NewCollection[job]("correlation")
)

// heldIndex finds signatures by the digest of what the index in memory keeps of them: so that it can be compared with the database without reading
// every record. Each signature has one value; an erased one, kept only because people reviewed a candidate of it, has erasedDigest.
const (
	heldIndex    = "held"
	erasedDigest = "-"
)

func scanKey(exhibit string, roi correlate.ROI, identity string) string {
	return exhibit + "/" + string(roi) + "/" + identity
}

// rankedKey sorts by falling score, then by pair: the order of every ranked list.
func rankedKey(list string, score float64, pair string) string {
	return fmt.Sprintf("%s/%016x/%s", list, falling(score), pair)
}

// falling turns a number into one whose order is the other way round: the bits of a float sort like a sign and a magnitude.
func falling(score float64) uint64 {
	bits := math.Float64bits(score + 0) // −0 is 0
	if bits>>63 == 0 {
		return ^(bits | 1<<63)
	}
	return bits
}
