package roster

import (
	"errors"
	"fmt"
	"time"

	"proofmark/crypto"
)

// Limits on an announcement of addresses.
const (
	MaxAddressRecord = 8 << 10              // bytes, signed
	MaxAway          = 400 * 24 * time.Hour // how long one may hold; the roster has to catch up
	addressSkew      = 10 * time.Minute     // how far ahead of ours a member's clock may be
)

// AddressRecord is where a member says that it is now, between two entries of the roster. It changes addresses alone: keys and peer IDs are
// changed by an entry, which the key holders see.
type AddressRecord struct {
	Country   string    `json:"country"`
	Addresses []string  `json:"addresses"` // multiaddrs, as in Member
	Issued    time.Time `json:"issued"`    // orders a member's records, and them and its entry
	Until     time.Time `json:"until"`     // exclusive
}

// SignAddresses makes an announcement: a compact JWS. Times are rounded down to seconds in UTC.
func SignAddresses(a AddressRecord, s *crypto.Signer) (string, error) {
	a.Issued, a.Until = wholeSecond(a.Issued), wholeSecond(a.Until)
	if err := a.check(); err != nil {
		return "", fmt.Errorf("sign addresses: %w", err)
	}
	payload, err := encodeCanonical(a)
	if err != nil {
		return "", fmt.Errorf("sign addresses: %w", err)
	}
	record, err := s.Sign(crypto.TypeAddresses, payload)
	if err != nil {
		return "", fmt.Errorf("sign addresses: %w", err)
	}
	if len(record) > MaxAddressRecord {
		return "", fmt.Errorf("sign addresses: %d bytes, the limit is %d: announce fewer", len(record), MaxAddressRecord)
	}
	return record, nil
}

func (a AddressRecord) check() error {
	if err := checkTimes(a.Issued, a.Until); err != nil {
		return err
	}
	if a.Until.Sub(a.Issued) > MaxAway {
		return fmt.Errorf("it holds for %d days, the limit is %d", a.Until.Sub(a.Issued)/(24*time.Hour), MaxAway/(24*time.Hour))
	}
	if len(a.Addresses) < 1 || len(a.Addresses) > MaxAddresses {
		return fmt.Errorf("%d addresses, want 1 to %d", len(a.Addresses), MaxAddresses)
	}
	return checkUnique(a.Addresses)
}

// Addresses verifies an announcement against the roster: it is signed with a key that an active member uses now, about itself, newer than
// the member's entry (ErrStale otherwise), and leads to the entry's peer IDs alone.
func (r *Roster) Addresses(record string, now time.Time) (AddressRecord, error) {
	var a AddressRecord
	payload, _, err := crypto.Unverified(record, crypto.TypeAddresses, MaxAddressRecord)
	if err == nil {
		err = decodeCanonical(payload, MaxAddressRecord, &a)
	}
	if err == nil {
		err = a.check()
	}
	if err != nil {
		return AddressRecord{}, fmt.Errorf("announced addresses: %w", err)
	}
	fail := func(err error) (AddressRecord, error) {
		return AddressRecord{}, fmt.Errorf("announced addresses of %.8q: %w", a.Country, err)
	}
	m, ok := r.ByCountry(a.Country)
	if !ok || !m.Active(now) {
		return fail(errors.New("not an active member"))
	}
	keys, err := m.KeySetAt(now)
	if err != nil {
		return fail(err)
	}
	if _, _, err := crypto.Verify(record, crypto.TypeAddresses, keys, MaxAddressRecord); err != nil {
		return fail(err)
	}
	for _, s := range a.Addresses {
		if err := m.checkAddress(s); err != nil {
			return fail(err)
		}
	}
	switch {
	case a.Issued.After(now.Add(addressSkew)):
		return fail(fmt.Errorf("issued at %s, which is in the future", a.Issued.Format(time.RFC3339)))
	case !now.Before(a.Until):
		return fail(fmt.Errorf("they held until %s: %w", a.Until.Format(time.RFC3339), ErrStale))
	case !a.Issued.After(m.ValidFrom):
		return fail(ErrStale)
	}
	return a, nil
}
