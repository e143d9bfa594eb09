package control

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"proofmark/node/desk"
)

// What a download answers at its end may be of any length: a year's counts are more than a trailer of HTTP can hold.
func TestDownload(t *testing.T) {
	content, words := bytes.Repeat([]byte("0123456789"), 300_000), strings.Repeat("a count ", 10_000)
	type wants struct{ Write, Say, Fail int } // bytes of content, of the reply, and whether it fails behind the content: 1 in words, 2 in the middle of it
	s := serveSocket(t, func(srv *Server) {
		mux := http.NewServeMux()
		handleDownload(srv, mux, "copy", func(_ context.Context, _ call, r wants, w io.Writer) (string, error) {
			if _, err := io.Copy(w, bytes.NewReader(content[:r.Write])); err != nil {
				return "", err
			}
			switch r.Fail {
			case 1:
				return "", desk.Invalid("no room")
			case 2:
				panic("in the middle")
			}
			return words[:r.Say], nil
		})
		srv.http.Handler = mux
	})
	client := Dial(s.dir)
	defer client.Close()
	client.Token = s.enrol("elena", "examiner")
	for name, c := range map[string]wants{
		"nothing":              {},
		"a long reply":         {Write: 12, Say: len(words)},
		"many pieces":          {Write: len(content), Say: 3},
		"refused before":       {Fail: 1},
		"refused behind":       {Write: len(content), Fail: 1},
		"broken off in a part": {Write: 1000, Fail: 2},
	} {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			said, err := Download[string](t.Context(), client, "copy", c, &got)
			switch {
			case c.Fail == 0 && (err != nil || said != words[:c.Say] || !bytes.Equal(got.Bytes(), content[:c.Write])):
				t.Fatalf("%d bytes of %d, a reply of %d of %d: %v", got.Len(), c.Write, len(said), c.Say, err)
			case c.Fail == 1 && (err == nil || !strings.Contains(err.Error(), "no room")):
				t.Fatalf("it did not say why it failed: %v", err)
			case c.Fail == 2 && (err == nil || !strings.Contains(err.Error(), "broke off")):
				t.Fatalf("what is not whole was taken for it: %v", err)
			}
		})
	}
}

func TestDownloadCutOff(t *testing.T) {
	whole := "\x00\x00\x00\x03abc\x00\x00\x00\x02de\x00\x00\x00\x00"
	for cut := range len(whole) {
		got, err := io.ReadAll(&downloading{r: strings.NewReader(whole[:cut])})
		if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.HasPrefix("abcde", string(got)) {
			t.Errorf("cut after %d: %q, %v", cut, got, err)
		}
	}
	if got, err := io.ReadAll(&downloading{r: strings.NewReader(whole + "{}")}); err != nil || string(got) != "abcde" {
		t.Errorf("whole: %q, %v", got, err)
	}
	if _, err := io.ReadAll(&downloading{r: strings.NewReader("HTTP/1.1 200")}); err == nil || !strings.Contains(err.Error(), "piece") {
		t.Errorf("no length: %v", err)
	}
}
