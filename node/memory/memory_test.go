package memory

import "testing"

func TestPercent(t *testing.T) {
	const mb = 1 << 20
	for _, c := range []struct {
		name         string
		live, tables uint64
		want         int
	}{
		{"nothing collected yet", 0, 0, 100},
		{"small", mb, 0, 100},
		{"as large as the room", mostRoom, 0, 100},
		{"twice the room", 2 * mostRoom, 0, 50},
		{"five times", 5 * mostRoom, 0, 20},
		{"without end", 1 << 40, 0, leastPercent},
		{"a young node: 42 MB of tables, 6 beside them", 48 * mb, 42 * mb, 50},
		{"with a small index", 84 * mb, 42 * mb, 50},
		{"with a large one", 242 * mb, 42 * mb, 39},
		{"before the first collection", 0, 42 * mb, 57},
	} {
		if got := Percent(c.live, c.tables); got != c.want {
			t.Errorf("%s: %d percent, want %d", c.name, got, c.want)
		}
	}
}
