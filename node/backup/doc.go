// Package backup owns a country's backups: their files, encrypted for the recovery key alone, the chain that increments form, the check of both, and the
// acts of making one. It refuses to know what the records mean and how a data folder is put in place.
package backup
