package desk

import (
	"errors"
	"strings"
	"testing"

	"proofmark/store"
)

type slip struct {
	Number string
	Own    bool
}

var slips = store.NewCollection("test-slip", store.Index[slip]{Name: "number", Keys: func(s *slip) []string { return []string{s.Number} }})

func TestFindByWhatPeopleType(t *testing.T) {
	r := newRig(t)
	const (
		first  = "01890a5d-ac96-774b-bcce-b302099a5054"
		second = "01890a5d-ac96-774b-bcce-b302099a5055"
		third  = "01990a5d-ac96-774b-bcce-b302099a5055"
		lone   = "01a90a5d-ac96-774b-bcce-b302099a5055"
	)
	if err := r.Store.Update(t.Context(), func(tx *store.Tx) error {
		return errors.Join(slips.Put(tx, first, &slip{"PT-1", true}), slips.Put(tx, second, &slip{"PT-1", false}), slips.Put(tx, third, &slip{"PT-1", false}),
			slips.Put(tx, lone, &slip{"ES-1", false}), slips.Put(tx, strings.Replace(lone, "01a9", "01b9", 1), &slip{"FR-1", false}), slips.Put(tx, strings.Replace(lone, "01a9", "01c9", 1), &slip{"FR-1", false}))
	}); err != nil {
		t.Fatal(err)
	}
	for _, q := range []struct {
		ref    string
		number string // that is found
		own    bool
		err    error
		says   string
	}{
		{"PT-1", "PT-1", true, nil, ""}, {second, "PT-1", false, nil, ""}, {"ES-1", "ES-1", false, nil, ""}, {"01a90a5d", "ES-1", false, nil, ""}, {lone[:20], "ES-1", false, nil, ""},
		{"FR-1", "", false, ErrConflict, `more than one slip is called "FR-1"`},
		{"01890a5d", "", false, ErrConflict, "name the one you mean by its id, which `proofmark --json slip list` shows"},
		{"01a90a5", "", false, ErrNotFound, "there is no slip"}, {"", "", false, ErrNotFound, "`proofmark slip list` shows them"}, {"es-1", "", false, ErrNotFound, ""},
		{"01a90a5d-ac96-774b-bcce-b302099a5059", "", false, ErrNotFound, "there is no slip"}, {"\x1b[2J" + strings.Repeat("x", 1000), "", false, ErrNotFound, `"\x1b[2J`},
	} {
		err := r.Store.View(func(tx *store.Tx) error {
			got, err := Find(tx, slips, q.ref, "slip", "slip list", func(s *slip) bool { return s.Own })
			if err == nil && (got.Number != q.number || got.Own != q.own) {
				t.Errorf("%q: %+v", q.ref, got)
			}
			return err
		})
		if (err == nil) != (q.err == nil) || q.err != nil && (!errors.Is(err, q.err) || !strings.Contains(err.Error(), q.says) || len(err.Error()) > 300) {
			t.Errorf("%q: %v, want %v %q", q.ref, err, q.err, q.says)
		}
	}
}
