package protocol

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestIDsSortByTime(t *testing.T) {
	random := noise(5)
	var ids []string
	seen := map[string]bool{}
	for i := range 2000 {
		id, err := NewID(testTime.Add(time.Duration(i)*time.Millisecond), random)
		if err != nil || CheckID(id) != nil || seen[id] {
			t.Fatal(id, err, CheckID(id))
		}
		seen[id] = true
		ids = append(ids, id)
	}
	if !slices.IsSorted(ids) {
		t.Error("later ids do not sort behind earlier ones")
	}
	if must(NewID(time.UnixMilli(0x0123456789ab), noise(1)))[:13] != "01234567-89ab" {
		t.Error("the time does not stand in front (RFC 9562)")
	}
	if _, err := NewID(testTime, bytes.NewReader(make([]byte, 9))); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("an id without randomness: %v", err)
	}
}

func TestCheckID(t *testing.T) {
	for _, bad := range []string{"", "x", strings.ToUpper(idA), "{" + idA + "}", "urn:uuid:" + idA, strings.ReplaceAll(idA, "-", ""), idA + " ",
		"7c1b0f8e-0d5c-4a53-9f0d-0a35cbd6ad5f", "00000000-0000-0000-0000-000000000000", strings.Repeat("0", 1<<16)} {
		if err := CheckID(bad); err == nil || len(err.Error()) > 200 {
			t.Errorf("%.50q: %v", bad, err)
		}
	}
}
