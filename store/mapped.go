package store

// What of the tables is mapped into memory counts as the process's until it is let go, and whoever reads a whole log reads all of them.
const (
	mappedMost = 256 << 20 // bytes, beyond which a walk through the log lets go of them
	mappedLook = 1 << 16   // entries after which it looks
)

// ease gives back the memory of tables that were read, where it has become much. They are in the kernel's cache no longer either; who needs them has them
// read again.
func (s *Store) ease() {
	if MappedBytes() <= mappedMost {
		return
	}
	if err := LetGoOfTables(s.opt.Dir); err != nil {
		s.log.Debug("store: tables stay in memory", "error", err)
	}
}
