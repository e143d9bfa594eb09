package dispatch

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"

	"proofmark/crypto"
)

// recordFields are a Record's fields without its form.
type recordFields Record

// AppendBinary implements encoding.BinaryAppender, for the store: the fields as JSON, after their length, without the JWS, and then that, packed. The JWS is nearly
// all of a record, and base64 within JSON takes a third more bytes to encrypt, to write and to merge than what it stands for.
func (r *Record) AppendBinary(b []byte) ([]byte, error) {
	fields := recordFields(*r)
	fields.JWS = ""
	text, err := json.Marshal(&fields)
	if err != nil {
		return nil, err
	}
	b = slices.Grow(b, len(text)+len(r.JWS)+2*binary.MaxVarintLen32)
	b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
	return crypto.AppendPacked(b, r.JWS), nil
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (r *Record) UnmarshalBinary(b []byte) error {
	size, head := binary.Uvarint(b)
	if head <= 0 || size > uint64(len(b)-head) {
		return errors.New("a document's record is cut short")
	}
	fields, packed := b[head:head+int(size)], b[head+int(size):]
	if err := json.Unmarshal(fields, (*recordFields)(r)); err != nil {
		return err
	}
	var err error
	r.JWS, err = crypto.Unpack(packed)
	return err
}
