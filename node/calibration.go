package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"proofmark/correlate/calibrate"
	"proofmark/node/ballistics"
	"proofmark/node/desk"
	"proofmark/protocol"
	"proofmark/store"
)

// maxCalibrations bounds the files that a node reads at start.
const maxCalibrations = 64

// rawCalibrations is where the store keeps which calibrations the last start had.
const rawCalibrations = "node/calibrations"

// loadCalibrations reads the bureau's own models, the .json files in its folder of calibrations; the program's own follows them. A node without the
// folder has that alone. A file that is no model, and two that speak for the same exhibits, are errors: no likelihood ratio is told by mistake.
func loadCalibrations(folder fs.FS) (ballistics.Calibrations, error) {
	entries, err := fs.ReadDir(folder, ".")
	if errors.Is(err, fs.ErrNotExist) {
		return ballistics.DefaultCalibrations(), nil
	}
	if err != nil {
		return nil, err
	}
	var own []ballistics.Calibration
	for _, e := range entries {
		if e.IsDir() || strings.HasPrefix(e.Name(), ".") || path.Ext(e.Name()) != ".json" {
			continue
		}
		if len(own) == maxCalibrations {
			return nil, fmt.Errorf("more than %d calibrations: take out what is not used", maxCalibrations)
		}
		b, err := readLimited(folder, e.Name(), calibrate.MaxModelSize)
		if err != nil {
			return nil, err
		}
		c, err := ballistics.ReadCalibration(e.Name(), b)
		if err != nil {
			return nil, fmt.Errorf("%w; make it with proofmark calibrate, or take it out of the folder", err)
		}
		own = append(own, c)
	}
	return ballistics.NewCalibrations(own)
}

// readLimited reads a file of which no more than one byte beyond the limit is taken, so that its reader refuses it.
func readLimited(folder fs.FS, name string, limit int64) ([]byte, error) {
	f, err := folder.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return b, nil
}

// calibrate brings the calibrations into force, and leaves an audit entry where they are not those of the last start: every candidate found from now on
// is judged by them.
func (n *Node) calibrate(ctx context.Context) error {
	folder := filepath.Join(n.dir, modelDir)
	models, err := loadCalibrations(os.DirFS(folder))
	if err != nil {
		return fmt.Errorf("calibrations in %s: %w", folder, err)
	}
	n.ballistics.UseCalibrations(models)
	sum := sha256.New()
	details := map[string]string{}
	for i, c := range models {
		fmt.Fprintf(sum, "%s %s\n", c.Hash, c.File)
		details[fmt.Sprintf("model %d", i+1)] = c.Name() + ", SHA-256 " + c.Hash
	}
	version := hex.EncodeToString(sum.Sum(nil))
	var known string
	err = n.store.View(func(tx *store.Tx) error {
		b, err := tx.Get(rawCalibrations)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		known = string(b)
		return err
	})
	if err != nil {
		return fmt.Errorf("calibrations of the last start: %w", err)
	}
	if known == version {
		return nil
	}
	err = n.store.Update(ctx, func(tx *store.Tx) error {
		tx.Audit(protocol.AuditEntry{
			AuditHeader: protocol.AuditHeader{Action: protocol.ActAlter, Decision: "permit"},
			AuditBody:   protocol.AuditBody{Actor: desk.Node.Name, Kind: "calibration", Object: version, Event: "calibrations changed at start", Details: details},
		})
		return tx.Put(rawCalibrations, []byte(version))
	})
	if err != nil {
		return fmt.Errorf("record that the calibrations changed: %w", err)
	}
	for _, c := range models {
		n.log.Info("calibration in force", "model", c.Name(), "sha256", c.Hash)
	}
	return nil
}
