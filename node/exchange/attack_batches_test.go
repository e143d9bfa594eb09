package exchange

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"proofmark/crypto"
	"proofmark/protocol"
)

// header is what a batch is signed under, with more fields where given.
func (f *forger) header(kid, more string) string {
	return fmt.Sprintf(`{"alg":"EdDSA","kid":%q,"typ":%q%s}`, kid, crypto.TypeBatch, more)
}

// resigned is a good batch whose manifest is signed anew, by whatever sign makes of its payload.
func (a *arena) resigned(sign func(payload string) string) string {
	p := a.fr.single(protocol.Urgent, a.fr.document("resigned", nil))
	payload := string(must(base64.RawURLEncoding.DecodeString(strings.Split(p.manifest, ".")[1])))
	return a.deliver(protocol.Urgent, parcel{sign(payload), p.payload})
}

// TestHostileBatches: FR signs batches as it must not.
func TestHostileBatches(t *testing.T) {
	t.Parallel()
	a := newArena(t, nil)
	es := &forger{keys: a.nodes["ES"].keys, country: "ES", to: "PT", now: a.now}
	kid := a.fr.keys.Signer().KeyID()
	const ch = protocol.Urgent
	b64 := base64.RawURLEncoding
	bomb := zeros(1 << 30)
	change := func(f func(m *protocol.Manifest)) func(a *arena) string {
		return func(a *arena) string {
			return a.deliver(ch, a.fr.batch(ch, f, a.fr.messages(ch, nil, a.fr.document("changed", nil))...))
		}
	}
	messages := func(change func(m *protocol.Message)) func(a *arena) string {
		return func(a *arena) string {
			return a.deliver(ch, a.fr.batch(ch, nil, a.fr.messages(ch, change, a.fr.document("one", nil), a.fr.document("two", nil))...))
		}
	}
	edited := func(edit func(message string) string) func(a *arena) string {
		return func(a *arena) string {
			m := edit(string(a.fr.messages(ch, nil, a.fr.document("edited", nil))[0]))
			return a.deliver(ch, a.fr.batch(ch, nil, []byte(m)))
		}
	}
	packed := func(payload []byte, size int) func(a *arena) string {
		return func(a *arena) string {
			m := protocol.Manifest{First: a.fr.heads[ch].Seq + 1, Count: 1, Size: size, Head: strings.Repeat("0", 64)}
			return a.deliver(ch, a.fr.sealed(ch, m, payload, nil))
		}
	}
	signed := func(sign func(payload string) string) func(a *arena) string {
		return func(a *arena) string { return a.resigned(sign) }
	}
	a.suffer([]attack{
		{name: "batch for another member", run: change(func(m *protocol.Manifest) { m.To = "ES" }), says: "for the way from FR to ES", ground: "forged"},
		{name: "batch in another's name", run: change(func(m *protocol.Manifest) { m.From = "ES" }), says: "for the way from ES to PT", ground: "forged"},
		{name: "another member's batch, passed on", run: func(a *arena) string { return a.deliver(ch, es.single(ch, es.document("passed on", nil))) },
			says: "not among the expected", ground: "forged"},
		{name: "bytes that were not signed", run: func(a *arena) string {
			p := a.fr.single(ch, a.fr.document("altered", nil))
			p.payload[len(p.payload)-1] ^= 1
			return a.deliver(ch, p)
		}, says: "not those that were signed", ground: "forged"},
		{name: "compressed bomb of 1 GiB", run: packed(bomb, protocol.MaxBatch), says: "decompress", ground: "malformed"},
		{name: "bomb that announces ten bytes", run: packed(bomb, 10), says: "decompress", ground: "malformed"},
		{name: "compressed frame that claims 1 TiB", run: packed(binary.LittleEndian.AppendUint64([]byte{0x28, 0xb5, 0x2f, 0xfd, 0xe0}, 1<<40), protocol.MaxBatch), says: "decompress", ground: "malformed"},
		{name: "compressed garbage", run: packed([]byte("\x28\xb5\x2f\xfdgarbage"), 100), says: "decompress", ground: "malformed"},
		{name: "another size than announced", run: change(func(m *protocol.Manifest) { m.Size += 7 }), says: "announced", ground: "malformed"},
		{name: "more messages than announced", run: func(a *arena) string {
			return a.deliver(ch, a.fr.batch(ch, func(m *protocol.Manifest) { m.Count = 1 }, a.fr.messages(ch, nil, a.fr.document("one", nil), a.fr.document("two", nil))...))
		}, says: "more messages", ground: "malformed"},
		{name: "fewer messages than announced", run: change(func(m *protocol.Manifest) { m.Count = 2 }), says: "2 announced", ground: "malformed"},
		{name: "empty batch", run: func(a *arena) string {
			return a.deliver(ch, a.fr.batch(ch, func(m *protocol.Manifest) { m.Head = strings.Repeat("0", 64) }))
		},
			says: "outside the limits", ground: "malformed"},
		{name: "number beyond all", run: change(func(m *protocol.Manifest) { m.First = math.MaxUint64 }), says: "outside the limits", ground: "malformed"},
		{name: "head that is not the last message", run: change(func(m *protocol.Manifest) { m.Head = strings.Repeat("0", 64) }), says: "not the head", ground: "forged"},
		{name: "batch from the future", run: change(func(m *protocol.Manifest) { m.Sent = m.Sent.Add(time.Hour) }), says: "clocks", ground: "clock"},
		{name: "messages that do not follow", run: messages(func(m *protocol.Message) {
			if m.Prev != "" {
				m.Prev = strings.Repeat("0", 64)
			}
		}), says: "does not follow", ground: "forged"},
		{name: "one message twice", run: func(a *arena) string {
			m := a.fr.messages(ch, nil, a.fr.document("twice", nil))[0]
			return a.deliver(ch, a.fr.batch(ch, nil, m, m))
		}, says: "it belongs to", ground: "forged"},
		{name: "messages of the other channel", run: messages(func(m *protocol.Message) { m.Channel = protocol.Bulk }), says: "it belongs to", ground: "forged"},
		{name: "messages for another member", run: messages(func(m *protocol.Message) { m.To = "ES" }), says: "it belongs to", ground: "forged"},
		{name: "message with a field twice", run: edited(func(m string) string { return strings.Replace(m, "{", `{"seq":1,`, 1) }), says: "stands twice", ground: "malformed"},
		{name: "message with an unknown field", run: edited(func(m string) string { return strings.Replace(m, "{", `{"urgent":true,`, 1) }), says: "unknown field", ground: "malformed"},
		{name: "message nested deep", run: edited(func(m string) string {
			return strings.Replace(m, "{", `{"x":`+strings.Repeat("[", 500)+strings.Repeat("]", 500)+",", 1)
		}), says: "nested deeper", ground: "malformed"},
		{name: "message of 600 KB", run: func(a *arena) string {
			return a.deliver(ch, a.fr.single(ch, strings.Repeat("x", 600<<10)))
		}, says: "larger than allowed", ground: "malformed"},
		{name: "forty handling codes", run: messages(func(m *protocol.Message) { m.Terms.Handling = strings.Split(strings.Repeat("H0 ", 39)+"H1", " ") }), says: "handling codes", ground: "malformed"},
		{name: "handling code that clears the screen", run: messages(func(m *protocol.Message) { m.Terms.Handling = []string{"H0\x1b[2J"} }), says: "handling", ground: "malformed"},
		{name: "manifest with a field twice", run: signed(func(p string) string {
			return a.fr.raw(a.fr.header(kid, ""), strings.Replace(p, "{", `{"first":1,`, 1))
		}), says: "stands twice", ground: "malformed"},
		{name: "unsigned: alg none", run: signed(func(p string) string {
			return b64.EncodeToString([]byte(fmt.Sprintf(`{"alg":"none","kid":%q,"typ":%q}`, kid, crypto.TypeBatch))) + "." + b64.EncodeToString([]byte(p)) + "."
		}), says: "verification failed", ground: "forged"},
		{name: "HS256 with the public key as the secret", run: signed(func(p string) string {
			input := b64.EncodeToString([]byte(fmt.Sprintf(`{"alg":"HS256","kid":%q,"typ":%q}`, kid, crypto.TypeBatch))) + "." + b64.EncodeToString([]byte(p))
			mac := hmac.New(sha256.New, a.fr.keys.SigningJWK())
			mac.Write([]byte(input))
			return input + "." + b64.EncodeToString(mac.Sum(nil))
		}), says: "verification failed", ground: "forged"},
		{name: "critical header that nobody knows", run: signed(func(p string) string { return a.fr.raw(a.fr.header(kid, `,"crit":["b64"],"b64":false`), p) }), says: "verification failed", ground: "forged"},
		{name: "header with a field twice", run: signed(func(p string) string { return a.fr.raw(a.fr.header(kid, `,"alg":"EdDSA"`), p) }), says: "verification failed", ground: "forged"},
		{name: "unprotected header", run: signed(func(p string) string {
			parts := strings.Split(a.fr.raw(a.fr.header(kid, ""), p), ".")
			return string(must(json.Marshal(map[string]any{"protected": parts[0], "payload": parts[1], "signature": parts[2], "header": map[string]string{"kid": kid}})))
		}), says: "verification failed", ground: "forged"},
		{name: "key that comes along", run: signed(func(p string) string { return a.fr.raw(a.fr.header(kid, `,"jwk":`+string(a.fr.keys.SigningJWK())), p) }), says: "verification failed", ground: "forged"},
		{name: "key name of another member", run: signed(func(p string) string { return a.fr.raw(a.fr.header(es.keys.Signer().KeyID(), ""), p) }), says: "verification failed", ground: "forged"},
		{name: "signature made for a receipt", run: signed(func(p string) string { return must(a.fr.keys.Signer().Sign(crypto.TypeReceipt, []byte(p))) }), says: "signed for another use", ground: "forged"},
		{name: "gap", run: func(a *arena) string {
			h := a.fr.heads[ch]
			h.Seq, h.Head = h.Seq+6, strings.Repeat("0", 64)
			a.fr.heads[ch] = h
			return a.deliver(ch, a.fr.single(ch, a.fr.document("gap", nil)))
		}, says: "does not continue"},
		{name: "old batch again and again", run: func(a *arena) (said string) {
			p := a.fr.single(ch, a.fr.document("replayed", nil))
			for range 5 {
				said = a.deliver(ch, p)
			}
			return said
		}, says: `{"receipt":"`, takes: 1},
		{name: "old document under new numbers", run: func(a *arena) string {
			d := a.fr.document("renumbered", nil)
			return a.deliver(ch, a.fr.batch(ch, nil, a.fr.messages(ch, nil, d, d, d)...))
		}, says: `{"receipt":"`, takes: 1},
		{name: "message rewritten after it was taken", run: func(a *arena) string {
			_ = a.deliver(ch, a.fr.single(ch, a.fr.document("said", nil)))
			return a.deliver(ch, a.fr.single(ch, a.fr.document("said otherwise", nil)))
		}, says: "rewritten", ground: "fork", takes: 1},
		{name: "another history", run: func(a *arena) string {
			h := a.fr.heads[ch]
			h.Head = strings.Repeat("0", 64)
			a.fr.heads[ch] = h
			return a.deliver(ch, a.fr.single(ch, a.fr.document("another history", nil)))
		}, says: "rewritten", ground: "fork"},
		{name: "beginning anew", run: func(a *arena) string {
			var docs []string
			for i := range a.fr.heads[ch].Seq {
				docs = append(docs, a.fr.document(fmt.Sprint("beginning anew ", i), nil))
			}
			delete(a.fr.heads, ch)
			return a.deliver(ch, a.fr.batch(ch, nil, a.fr.messages(ch, nil, docs...)...))
		}, says: "rewritten", ground: "fork"},
	})
}

// TestHostileDocuments: the batches are in order, what is in them is not; the channel goes on.
func TestHostileDocuments(t *testing.T) {
	t.Parallel()
	a := newArena(t, nil)
	const ch = protocol.Urgent
	es := &forger{keys: a.nodes["ES"].keys, country: "ES", to: "PT", now: a.now}
	sends := func(document func(a *arena) string) func(a *arena) string {
		return func(a *arena) string { return a.deliver(ch, a.fr.single(ch, document(a))) }
	}
	sets := func(key string, value any) func(a *arena) string {
		return sends(func(a *arena) string { return a.fr.document(key, func(doc map[string]any) { doc[key] = value }) })
	}
	const taken = `{"receipt":"`
	a.suffer([]attack{
		{name: "a third country's document, passed on", run: sends(func(*arena) string { return es.document("passed on", nil) }), says: taken, ground: "forged", keeps: 1},
		{name: "document in a third country's name", run: sends(func(a *arena) string {
			return a.fr.document("in another's name", func(doc map[string]any) {
				id := doc["id"].(string)
				doc["issuer"], doc["id"] = "ES", id[:len(id)-4]+fmt.Sprintf("%02x%02x", 'E', 'S')
			})
		}), says: taken, ground: "forged", keeps: 1},
		{name: "document signed by nobody", run: sends(func(*arena) string { return "e30.e30.AAAA" }), says: taken, ground: "forged", keeps: 1},
		{name: "id of another country", run: sends(func(a *arena) string {
			return a.fr.document("id", func(doc map[string]any) {
				id := doc["id"].(string)
				doc["id"] = id[:len(id)-4] + fmt.Sprintf("%02x%02x", 'E', 'S')
			})
		}), says: taken, ground: "invalid", keeps: 1},
		{name: "lookalike id: in capitals", run: sends(func(a *arena) string {
			return a.fr.document("capitals", func(doc map[string]any) { doc["id"] = strings.ToUpper(doc["id"].(string)) })
		}), says: taken, ground: "invalid", keeps: 1},
		{name: "lookalike country: in Cyrillic", run: sets("issuer", "РТ"), says: taken, ground: "invalid", keeps: 1},
		{name: "lookalike type: with a dash of another kind", run: sets("type", "lead‐ack"), says: taken, ground: "invalid", keeps: 1},
		{name: "id that is taken", run: func(a *arena) string {
			first, id := "", ""
			first = a.fr.document("taken", func(doc map[string]any) { id = doc["id"].(string) })
			second := a.fr.document("another content", func(doc map[string]any) { doc["id"] = id })
			return a.deliver(ch, a.fr.batch(ch, nil, a.fr.messages(ch, nil, first, second)...))
		}, says: taken, ground: "invalid", keeps: 1, takes: 1},
		{name: "document from the future", run: sends(func(a *arena) string {
			return a.fr.document("future", func(doc map[string]any) { doc["issued"] = a.now().Add(time.Hour) })
		}), says: taken, takes: 1},
		{name: "document without a date", run: sets("issued", time.Time{}), says: taken, ground: "invalid", keeps: 1},
		{name: "document that expired on its way", run: func(a *arena) string {
			return a.deliver(ch, a.fr.batch(ch, nil, a.fr.messages(ch, func(m *protocol.Message) { m.Terms.RetainUntil = a.now().Add(-time.Hour) }, a.fr.document("expired", nil))...))
		}, says: taken, ground: "invalid", keeps: 1},
		{name: "document nested deep", run: sends(func(a *arena) string {
			var deep any = 1
			for range 100 {
				deep = []any{deep}
			}
			return a.fr.document("deep", func(doc map[string]any) { doc["body"] = deep })
		}), says: taken, ground: "invalid", keeps: 1},
		{name: "document with a field twice", run: sends(func(a *arena) string {
			parts := strings.Split(a.fr.document("twice", nil), ".")
			payload := string(must(base64.RawURLEncoding.DecodeString(parts[1])))
			return must(a.fr.keys.Signer().Sign(crypto.TypeDocument, []byte(strings.Replace(payload, "{", `{"issuer":"ES",`, 1))))
		}), says: taken, ground: "invalid", keeps: 1},
		{name: "document of 300 KB", run: sends(func(a *arena) string {
			return a.fr.document("large", func(doc map[string]any) { doc["body"] = strings.Repeat("x", 300<<10) })
		}), says: taken, ground: "invalid", keeps: 1},
		{name: "document signed as a batch", run: sends(func(a *arena) string {
			return must(a.fr.keys.Signer().Sign(crypto.TypeBatch, []byte("{}")))
		}), says: taken, ground: "forged", keeps: 1},
		{name: "disclosure of another document", run: func(a *arena) string {
			return a.deliver(ch, a.fr.batch(ch, nil, a.fr.messages(ch, func(m *protocol.Message) {
				m.Disclosures = []protocol.Disclosure{protocol.Disclosure(base64.RawURLEncoding.EncodeToString([]byte(`["salt","place","Lisbon"]`)))}
			}, a.fr.document("disclosed", nil))...))
		}, says: taken, ground: "invalid", keeps: 1},
		{name: "terms for all time", run: func(a *arena) string {
			return a.deliver(ch, a.fr.batch(ch, nil, a.fr.messages(ch, func(m *protocol.Message) { m.Terms.RetainUntil = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC) }, a.fr.document("for ever", nil))...))
		}, says: taken, takes: 1},
		{name: "three hundred documents to refuse", run: func(a *arena) (said string) {
			for range 3 {
				var docs []string
				for i := range 100 {
					docs = append(docs, a.fr.document(fmt.Sprint("flood ", i), func(doc map[string]any) { doc["body"] = map[string]any{"lead": "x"} }))
				}
				msgs := a.fr.messages(ch, nil, docs...)
				said = a.deliver(ch, a.fr.batch(ch, nil, msgs...))
				a.fr.heads[ch] = headAfter(a.fr.heads[ch].Seq+100, msgs[99])
			}
			return said
		}, says: taken, ground: "invalid", keeps: 300},
	})
	for _, r := range a.pt.refusedOf() {
		if r.Issuer != "FR" || r.ID == r.Document {
			t.Errorf("kept as %+v", r)
		}
	}
}

// zeros compresses so many zero bytes.
func zeros(n int) []byte {
	var out bytes.Buffer
	w := must(zstd.NewWriter(&out, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<20)))
	block := make([]byte, 1<<20)
	for range n / len(block) {
		_ = must(w.Write(block))
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}
