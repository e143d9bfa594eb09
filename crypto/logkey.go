package crypto

import (
	stdcrypto "crypto"
	"crypto/ed25519"
	"fmt"
	"io"
)

// logKey signs with the audit log's key and shows nothing of it.
type logKey struct{ private ed25519.PrivateKey }

// LogKey signs raw bytes with the audit log's key: cosignatures of other logs' checkpoints, whose form says that they are none of this log's own.
func (k *Keys) LogKey() stdcrypto.Signer { return logKey{k.log} }

func (l logKey) Public() stdcrypto.PublicKey { return l.private.Public() }

func (l logKey) Sign(random io.Reader, message []byte, o stdcrypto.SignerOpts) ([]byte, error) {
	return l.private.Sign(random, message, o)
}

// Format keeps the private key out of logs, whatever the verb.
func (l logKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[private key]") }
