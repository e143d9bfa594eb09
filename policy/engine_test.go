package policy

import "testing"

func TestDefaultLoads(t *testing.T) {
	e := Default()
	if len(e.Version()) != 12 {
		t.Fatalf("version %q", e.Version())
	}
	for _, p := range e.Policies() {
		t.Log(p)
	}
}
