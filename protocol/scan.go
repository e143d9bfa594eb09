package protocol

import (
	"fmt"
	"slices"
	"time"
)

// Limits of a release. A scan travels in chunks, whose hashes the owner signs with it: what arrives is checked before it is kept, chunk by chunk, and the
// whole once more at its end.
const (
	MaxScan          = 128 << 20 // bytes of one scan file
	MinScanChunk     = 4 << 10   // bytes of a chunk; the last one of a scan may be shorter
	MaxScanChunk     = 1 << 20
	MaxReleasedScans = 32   // files of one region: the lands of a bullet
	MaxScanChunks    = 2048 // of all files of one release
)

// MediaX3P is the media type of a surface scan (ISO 25178-72, a ZIP archive).
const MediaX3P = "model/x3p+zip"

// Why a scan is not released. ScanUnknown is the answer to everybody who may not know whether there is anything to release; it never carries a note. The
// others are told only to a country that was told of the exhibit before.
const (
	ScanUnknown       = "UNKNOWN_OR_NOT_AVAILABLE"
	ScanPolicy        = "POLICY"                       // the owner's sharing policy does not release it to this country
	ScanInvestigation = "COMPROMISES_AN_INVESTIGATION" //
	ScanLaw           = "CONFIDENTIALITY_LAW"          //
	ScanSecurity      = "NATIONAL_SECURITY"            //
	ScanPurpose       = "PURPOSE_INSUFFICIENT"         // purpose or reason do not carry the request
	ScanUnsuitable    = "SCAN_UNSUITABLE"              // the scan is not fit for what is wanted; the note says why
	ScanQuota         = "TOO_MANY_REQUESTS"            // of this country today, whatever they ask for
	ScanOther         = "OTHER"                        // the note says what
)

// ScanReasons lists why a release can be refused.
var ScanReasons = []string{ScanUnknown, ScanPolicy, ScanInvestigation, ScanLaw, ScanSecurity, ScanPurpose, ScanUnsuitable, ScanQuota, ScanOther}

// ScanRequestBody asks the owner of a signature for the scans behind it. The purpose stands in the document's header.
type ScanRequestBody struct {
	Number    string `json:"number"`    // the requester's, such as PT-S-2026-000001
	Signature string `json:"signature"` // id of the signature document
	Reason    string `json:"reason"`    // what the scan is needed for
}

// Check implements Body.
func (b *ScanRequestBody) Check() error {
	return first(needLine("number", b.Number, 64), field("signature", CheckID(b.Signature)), needText("reason", b.Reason, MaxText))
}

// ScanReleaseBody releases the scans behind a signature to the one country that the document is addressed to. It names the bytes by their hashes; the
// bytes themselves are fetched from the owner until the release expires.
type ScanReleaseBody struct {
	Request     string         `json:"request"`                // id of the request document
	Signature   string         `json:"signature"`              // id of the signature document
	ROI         string         `json:"roi"`                    // region that the scans show
	Scans       []ReleasedScan `json:"scans"`                  // one; of a bullet one for each land that was scanned
	Handling    []string       `json:"handling"`               // codes that the scans carry
	Expires     time.Time      `json:"expires"`                // until then the scans can be fetched
	RetainUntil *time.Time     `json:"retain_until,omitempty"` // the copy is erased then
}

// ReleasedScan is one file of a release.
type ReleasedScan struct {
	Land      int      `json:"land,omitempty"` // place of the land on the bullet, from 1; absent of a cartridge case
	SHA256    string   `json:"sha256"`         // of the file, lower-case hex
	Size      int64    `json:"size"`           // bytes
	MediaType string   `json:"media_type"`
	Chunk     int64    `json:"chunk"`  // bytes of a chunk
	Chunks    []string `json:"chunks"` // SHA-256 of each chunk in their order, lower-case hex
}

// Check implements Body.
func (b *ScanReleaseBody) Check() error {
	if len(b.Scans) == 0 || len(b.Scans) > MaxReleasedScans {
		return fmt.Errorf("scans: %d, want 1 to %d", len(b.Scans), MaxReleasedScans)
	}
	total := 0
	for i, s := range b.Scans {
		if err := field(fmt.Sprintf("scans[%d]", i), s.check()); err != nil {
			return err
		}
		if total += len(s.Chunks); total > MaxScanChunks {
			return fmt.Errorf("scans: more than %d chunks", MaxScanChunks)
		}
		if slices.ContainsFunc(b.Scans[:i], func(o ReleasedScan) bool { return o.SHA256 == s.SHA256 || o.Land == s.Land }) {
			return fmt.Errorf("scans[%d]: the same scan or land stands twice", i)
		}
	}
	if b.Expires.IsZero() {
		return fmt.Errorf("expires: missing")
	}
	if b.RetainUntil != nil && b.RetainUntil.IsZero() {
		return fmt.Errorf("retain_until: the zero time")
	}
	if len(b.Handling) > maxHandling {
		return fmt.Errorf("handling: %d codes, the limit is %d", len(b.Handling), maxHandling)
	}
	for _, h := range b.Handling {
		if err := needLine("handling", h, maxHandlingCode); err != nil {
			return err
		}
	}
	return first(field("request", CheckID(b.Request)), field("signature", CheckID(b.Signature)), needLine("roi", b.ROI, 64))
}

func (s ReleasedScan) check() error {
	switch {
	case s.Size < 1 || s.Size > MaxScan:
		return fmt.Errorf("size: %d, want 1 to %d bytes", s.Size, int64(MaxScan))
	case s.Chunk < MinScanChunk || s.Chunk > MaxScanChunk:
		return fmt.Errorf("chunk: %d, want %d to %d bytes", s.Chunk, MinScanChunk, MaxScanChunk)
	case s.Land < 0 || s.Land > MaxReleasedScans:
		return fmt.Errorf("land: %d, want 1 to %d", s.Land, MaxReleasedScans)
	case int64(len(s.Chunks)) != (s.Size+s.Chunk-1)/s.Chunk:
		return fmt.Errorf("chunks: %d hashes, %d bytes have %d chunks", len(s.Chunks), s.Size, (s.Size+s.Chunk-1)/s.Chunk)
	}
	for _, h := range s.Chunks {
		if err := checkHash("chunks", h); err != nil {
			return err
		}
	}
	return first(checkHash("sha256", s.SHA256), oneOf("media_type", s.MediaType, []string{MediaX3P}, false))
}

// ScanRefusalBody answers a request that is not granted. Where the requester may not know of the exhibit it says what it says of one that does not exist,
// to the byte.
type ScanRefusalBody struct {
	Request   string `json:"request"`        // id of the request document
	Signature string `json:"signature"`      // as it was asked for
	Code      string `json:"code"`           // one of ScanReasons
	Note      string `json:"note,omitempty"` // redactable
}

// Check implements Body.
func (b *ScanRefusalBody) Check() error {
	if b.Code == ScanUnknown && b.Note != "" {
		return fmt.Errorf("note: %s carries none", ScanUnknown)
	}
	return first(field("request", CheckID(b.Request)), field("signature", CheckID(b.Signature)), oneOf("code", b.Code, ScanReasons, false),
		checkText("note", b.Note, MaxText))
}

func (b *ScanRefusalBody) complete() error {
	if (b.Code == ScanOther || b.Code == ScanUnsuitable) && b.Note == "" {
		return fmt.Errorf("note: %s says in it what", b.Code)
	}
	return nil
}

// IssuerOf is the country whose document an id is: its last two bytes. An id that is none, or of no country, is an error.
func IssuerOf(id string) (Country, error) {
	if err := CheckID(id); err != nil {
		return "", err
	}
	var code [2]byte
	if _, err := fmt.Sscanf(id[len(id)-4:], "%2x%2x", &code[0], &code[1]); err != nil {
		return "", fmt.Errorf("id %s: %w", id, err)
	}
	c, err := ParseCountry(string(code[:]))
	if err != nil {
		return "", fmt.Errorf("id %s is no document's: %w", id, err)
	}
	return c, nil
}
