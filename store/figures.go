package store

// Figures say how much the store has done since it was opened and how large it is.
type Figures struct {
	Commits  int64 // transactions made durable
	Acts     int64 // acts in them
	Tables   int64 // bytes of the sorted tables, as of the last minute
	ValueLog int64 // bytes of the value log, as of the last minute
}

// Figures reads them; it waits for nobody.
func (s *Store) Figures() (Figures, error) {
	if err := s.enter(); err != nil {
		return Figures{}, err
	}
	defer s.users.Done()
	f := Figures{Commits: s.commits.Load(), Acts: s.acts.Load()}
	f.Tables, f.ValueLog = s.db.Size()
	return f, nil
}
