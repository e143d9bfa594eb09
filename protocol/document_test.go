package protocol

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestComposeAndOpenEveryType(t *testing.T) {
	if got, want := len(bodies()), len(Types()); got != want {
		t.Fatalf("%d bodies, %d types", got, want)
	}
	for typ, body := range bodies() {
		signed, all, err := Compose(headerOf(typ), body, noise(3))
		if err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		if len(all) != len(Redactable(typ)) {
			t.Errorf("%s: %d disclosures, %d fields can be withheld", typ, len(all), len(Redactable(typ)))
		}
		d, err := Open(signed, all)
		if err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		back := specs[typ].body()
		if err := json.Unmarshal(d.Body, back); err != nil || !reflect.DeepEqual(back, body) {
			t.Errorf("%s: %v\n%+v\n%+v", typ, err, back, body)
		}
		if d.Header != headerOf(typ) || d.Withheld != 0 {
			t.Errorf("%s: %+v", typ, d)
		}
		if d, err = Open(signed, nil); err != nil || d.Withheld != len(Redactable(typ)) {
			t.Errorf("%s without disclosures: %+v, %v", typ, d, err)
		}
	}
}

// What is disclosed comes back, what is withheld leaves no trace in the signed bytes, and the number of digests tells nothing.
func TestSelectiveDisclosure(t *testing.T) {
	types := slices.DeleteFunc(Types(), func(t Type) bool { return len(Redactable(t)) == 0 })
	rapid.Check(t, func(t *rapid.T) {
		typ := rapid.SampledFrom(types).Draw(t, "type")
		names := Redactable(typ)
		var whole map[string]json.RawMessage
		if err := json.Unmarshal(must(json.Marshal(bodies()[typ])), &whole); err != nil {
			t.Fatal(err)
		}
		canary := map[string]string{}
		for _, name := range names {
			if !needed(typ, name) && rapid.Bool().Draw(t, "absent "+name) {
				delete(whole, name)
				continue
			}
			word := fmt.Sprintf("Canary-%s-%s", name, rapid.StringMatching(`[a-zé<&">]{3,20}`).Draw(t, name))
			switch name {
			case "occurred", "recovery_date": // holds no text
			case "items", "linked_cases":
				canary[name] = word
				whole[name] = must(json.Marshal([]string{word}))
			case "reviewers":
				canary[name] = word
				whole[name] = must(json.Marshal([]string{word, "other"}))
			case "chain":
				canary[name] = word
				whole[name] = must(json.Marshal([]CustodyStep{{Role: "retailer", Country: "ES", Name: word}}))
			case "firearm":
				canary[name] = word
				whole[name] = must(json.Marshal(FirearmDescription{Make: word}))
			case "likelihood_ratio":
				canary[name] = word
				whole[name] = must(json.Marshal(LikelihoodRatio{Reason: word}))
			default:
				canary[name] = word
				whole[name] = must(json.Marshal(word))
			}
		}
		body := specs[typ].body()
		if err := json.Unmarshal(must(json.Marshal(whole)), body); err != nil {
			t.Fatal(err)
		}
		signed, all, err := Compose(headerOf(typ), body, noise(byte(rapid.IntRange(0, 255).Draw(t, "seed"))))
		if err != nil {
			t.Fatal(err)
		}
		for name := range canary {
			if bytes.Contains(signed, []byte("Canary-"+name)) || bytes.Contains(signed, []byte(`"`+name+`"`)) {
				t.Fatalf("%s stands in the signed bytes:\n%s", name, signed)
			}
		}
		var p struct {
			Body struct {
				SD []string `json:"_sd"`
			} `json:"body"`
		}
		if err := json.Unmarshal(signed, &p); err != nil || len(p.Body.SD) != len(names) || !slices.IsSorted(p.Body.SD) {
			t.Fatalf("%d digests of %d, sorted %t, %v", len(p.Body.SD), len(names), slices.IsSorted(p.Body.SD), err)
		}
		withhold := rapid.SliceOfDistinct(rapid.SampledFrom(names), rapid.ID[string]).Draw(t, "withheld")
		kept, withheld, err := Choose(all, withhold)
		if err != nil || len(kept)+len(withheld) != len(all) {
			t.Fatal(len(kept), withheld, err)
		}
		d, err := Open(signed, kept)
		if err != nil {
			t.Fatal(err)
		}
		if d.Withheld != len(names)-len(kept) {
			t.Fatalf("withheld %d of %d, %d disclosed", d.Withheld, len(names), len(kept))
		}
		var got map[string]json.RawMessage
		if err := json.Unmarshal(d.Body, &got); err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			_, there := got[name]
			if want := whole[name] != nil && !slices.Contains(withhold, name); there != want {
				t.Fatalf("%s: there %t, want %t", name, there, want)
			}
		}
		for name, word := range canary {
			if !slices.Contains(withhold, name) && !bytes.Contains(got[name], bytes.Trim(must(encode(word)), `"`)) {
				t.Fatalf("%s did not come back: %s", name, got[name])
			}
		}
		for _, dis := range kept {
			if name, err := dis.Name(); err != nil || slices.Contains(withhold, name) {
				t.Fatalf("a disclosure of %s was kept, %v", name, err)
			}
		}
	})
}

func TestTheLongestTextsFit(t *testing.T) {
	for _, char := range []string{"x", `"`, `\`, "\n", "<", "&", "é", "\u2028", "\U0001F52B"} {
		text := "x" + strings.Repeat(char, (MaxText-1)/len(char))
		for typ := range bodies() {
			var fields map[string]any
			if err := json.Unmarshal(must(json.Marshal(bodies()[typ])), &fields); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"narrative", "note", "reason", "circumstances", "legal_justification", "intended_use", "priority_reason", "point_of_diversion"} {
				if _, ok := fields[name]; ok && (name != "reason" || typ != TypeWithdrawal) { // of a withdrawal it is one of a closed list
					fields[name] = text
				}
			}
			body := specs[typ].body()
			if err := json.Unmarshal(must(json.Marshal(fields)), body); err != nil {
				t.Fatal(err)
			}
			signed, all, err := Compose(headerOf(typ), body, noise(1))
			if err != nil {
				t.Fatalf("%s full of %q: %v", typ, char, err)
			}
			if _, err := Open(signed, all); err != nil {
				t.Fatalf("%s full of %q: %v", typ, char, err)
			}
		}
	}
}

func TestComposeRefuses(t *testing.T) {
	whole := bodies()
	for name, c := range map[string]struct {
		header func(h *Header)
		body   Body
		says   string
	}{
		"unknown type":    {func(h *Header) { h.Type = "letter" }, whole[TypeHit], "unknown document type"},
		"foreign body":    {func(h *Header) {}, whole[TypeLead], "its body is a"},
		"no id":           {func(h *Header) { h.ID = "" }, whole[TypeHit], "UUIDv7"},
		"no country":      {func(h *Header) { h.Issuer = "pt" }, whole[TypeHit], "issuer"},
		"no time":         {func(h *Header) { h.Issued = time.Time{} }, whole[TypeHit], "issued"},
		"purpose of more": {func(h *Header) { h.Purpose = "a\nb" }, whole[TypeHit], "purpose"},
		"bad body":        {func(h *Header) {}, changed(t, TypeHit, "verifier", "edgar"), "another person"},
	} {
		h := headerOf(TypeHit)
		c.header(&h)
		_, _, err := Compose(h, c.body, noise(1))
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	if _, _, err := Compose(headerOf(TypeSignature), whole[TypeSignature], bytes.NewReader(make([]byte, 20))); err == nil {
		t.Error("composed without randomness")
	}
	// Sixty-four steps of custody and sixteen texts are within the limits of their fields, and together still of one message.
	b := whole[TypeTraceAnswer].(*TraceAnswerBody)
	for len(b.Chain) < 64 {
		b.Chain = append(b.Chain, CustodyStep{Role: "retailer", Country: "ES", Name: strings.Repeat(`"`, 256)})
	}
	if signed, _, err := Compose(headerOf(TypeTraceAnswer), b, noise(1)); err != nil || len(signed) > MaxDocument {
		t.Error(len(signed), err)
	}
}

// needed tells whether an issuer must fill a field that a policy may withhold.
func needed(typ Type, field string) bool { return CheckOwn(without(typ, field)) != nil }

// without is a whole body of a type without one of its fields.
func without(typ Type, field string) Body {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(must(json.Marshal(bodies()[typ])), &fields); err != nil {
		panic(err)
	}
	delete(fields, field)
	body := specs[typ].body()
	if err := json.Unmarshal(must(json.Marshal(fields)), body); err != nil {
		panic(err)
	}
	return body
}

// edit is a composed document with its payload changed, as a hostile issuer could sign it.
func edit(t testing.TB, typ Type, f func(doc, body map[string]any)) []byte {
	t.Helper()
	signed, _ := must2(Compose(headerOf(typ), bodies()[typ], noise(3)))
	var doc map[string]any
	if err := json.Unmarshal(signed, &doc); err != nil {
		t.Fatal(err)
	}
	f(doc, doc["body"].(map[string]any))
	return must(json.Marshal(doc))
}

func must2[A, B any](a A, b B, err error) (A, B) {
	if err != nil {
		panic(err)
	}
	return a, b
}

func TestOpenRefusesHostilePayloads(t *testing.T) {
	signed, all := must2(Compose(headerOf(TypeSignature), bodies()[TypeSignature], noise(3)))
	_, others := must2(Compose(headerOf(TypeSignature), bodies()[TypeSignature], noise(4)))
	place := all[slices.IndexFunc(all, func(d Disclosure) bool { return must(d.Name()) == "place" })]
	forged := func(salt, name string, value any) Disclosure {
		return Disclosure(b64(must(json.Marshal([]any{salt, name, value}))))
	}
	const salt = "AAAAAAAAAAAAAAAAAAAAAA"
	withSD := func(typ Type, more ...Disclosure) []byte { // the issuer signed for these disclosures
		return edit(t, typ, func(_, body map[string]any) {
			sd, _ := body["_sd"].([]any)
			for _, d := range more {
				sd = append(sd, d.Digest())
			}
			body["_sd"] = sd
		})
	}
	open := func(key string, v any) []byte {
		return edit(t, TypeSignature, func(_, body map[string]any) { body[key] = v })
	}
	head := func(key string, v any) []byte {
		return edit(t, TypeSignature, func(doc, _ map[string]any) { doc[key] = v })
	}
	deep := forged(salt, "narrative", json.RawMessage(strings.Repeat("[", 20)+strings.Repeat("]", 20)))
	for name, c := range map[string]struct {
		signed      []byte
		disclosures []Disclosure
		class       error
		says        string
	}{
		"empty":                         {nil, nil, ErrBadDocument, "ends early"},
		"not an object":                 {[]byte(`[]`), nil, ErrBadDocument, ""},
		"null":                          {[]byte(`null`), nil, ErrBadDocument, ""},
		"cut short":                     {signed[:len(signed)-1], nil, ErrBadDocument, ""},
		"more behind":                   {append(bytes.Clone(signed), "{}"...), nil, ErrBadDocument, "more than one"},
		"too large":                     {append(bytes.Clone(signed), bytes.Repeat([]byte(" "), MaxDocument)...), nil, ErrBadDocument, "limit"},
		"too deep":                      {open("roi", json.RawMessage(strings.Repeat("[", 20)+strings.Repeat("]", 20))), nil, ErrBadDocument, "deeper"},
		"not UTF-8":                     {bytes.Replace(signed, []byte("9x19"), []byte("9\xff19"), 1), nil, ErrBadDocument, "UTF-8"},
		"field twice":                   {bytes.Replace(signed, []byte(`"roi":`), []byte(`"roi":"a","roi":`), 1), nil, ErrBadDocument, "twice"},
		"field twice, escaped":          {bytes.Replace(signed, []byte(`"roi":`), []byte(`"\u0072oi":"a","roi":`), 1), nil, ErrBadDocument, "twice"},
		"header field in other letters": {bytes.Replace(signed, []byte(`"issuer":`), []byte(`"Issuer":"ES","issuer":`), 1), nil, ErrBadDocument, "unknown field"},
		"body field in other letters":   {open("ROI", "x"), nil, ErrBadDocument, "unknown field"},
		"unknown header field":          {head("extra", 1), nil, ErrBadDocument, "unknown field"},
		"unknown body field":            {open("extra", 1), nil, ErrBadDocument, "unknown field"},
		"field standing open":           {open("place", "Lisboa"), nil, ErrBadDocument, "place stands open"},
		"open in other letters":         {open("Place", "Lisboa"), nil, ErrBadDocument, "unknown field"},
		"body is a list":                {head("body", []int{}), nil, ErrBadDocument, "not a JSON object"},
		"body is null":                  {head("body", nil), nil, ErrBadDocument, "not a JSON object"},
		"_sd is a text":                 {open("_sd", "x"), nil, ErrBadDocument, "_sd"},
		"digest twice":                  {withSD(TypeSignature, place), nil, ErrBadDocument, "twice"},
		"other digest algorithm":        {head("_sd_alg", "md5"), nil, ErrBadDocument, "sha-256"},
		"id of version 4":               {head("id", "7c1b0f8e-0d5c-4a53-9f0d-0a35cbd6ad5f"), nil, ErrBadDocument, "UUIDv7"},
		"id in capitals":                {head("id", strings.ToUpper(idA)), nil, ErrBadDocument, "UUIDv7"},
		"unknown country":               {head("issuer", "XX"), nil, ErrBadDocument, "issuer"},
		"no time":                       {head("issued", "0001-01-01T00:00:00Z"), nil, ErrBadDocument, "issued"},
		"schema 0":                      {head("schema", 0), nil, ErrBadDocument, "schema"},
		"type with a line end":          {head("type", "lead\nlead"), nil, ErrBadDocument, "type"},
		"type with a slash":             {head("type", "a/b"), nil, ErrBadDocument, "type"},
		"no type":                       {head("type", ""), nil, ErrBadDocument, "type"},
		"unknown type":                  {head("type", "weather-report"), nil, ErrUnknownType, "weather-report"},
		"newer schema":                  {head("schema", 2), nil, ErrNewerSchema, "signature 2"},
		"body breaks its rules":         {open("quality", 7), nil, ErrBadDocument, "quality"},

		"wrong salt":               {signed, []Disclosure{forged(salt, "place", "Lisboa")}, ErrBadDisclosure, "place"},
		"of another document":      {signed, others[:1], ErrBadDisclosure, ""},
		"the same twice":           {signed, []Disclosure{place, place}, ErrBadDisclosure, "disclosure 2"},
		"one field, two digests":   {withSD(TypeSignature, forged(salt, "place", "Porto")), []Disclosure{place, forged(salt, "place", "Porto")}, ErrBadDisclosure, "there twice"},
		"cannot be withheld":       {withSD(TypeSignature, forged(salt, "calibre", "x")), []Disclosure{forged(salt, "calibre", "x")}, ErrBadDisclosure, "cannot be withheld"},
		"type withholds nothing":   {withSD(TypeScanRequest, forged(salt, "reason", "x")), []Disclosure{forged(salt, "reason", "x")}, ErrBadDisclosure, "cannot be withheld"},
		"disclosed _sd":            {withSD(TypeSignature, forged(salt, "_sd", []string{})), []Disclosure{forged(salt, "_sd", []string{})}, ErrBadDisclosure, "cannot be withheld"},
		"short salt":               {withSD(TypeSignature, forged("AAAA", "place", "x")), []Disclosure{forged("AAAA", "place", "x")}, ErrBadDisclosure, "128 bits"},
		"not base64":               {signed, []Disclosure{"§"}, ErrBadDisclosure, ""},
		"padded base64":            {signed, []Disclosure{place + "="}, ErrBadDisclosure, ""},
		"line end in base64":       {signed, []Disclosure{place[:4] + "\n" + place[4:]}, ErrBadDisclosure, ""},
		"too large a disclosure":   {signed, []Disclosure{Disclosure(strings.Repeat("A", MaxDisclosure+1))}, ErrBadDisclosure, "limit"},
		"not an array":             {signed, []Disclosure{Disclosure(b64([]byte(`{"place":"x"}`)))}, ErrBadDisclosure, "array"},
		"an array of two":          {signed, []Disclosure{Disclosure(b64([]byte(`["place","x"]`)))}, ErrBadDisclosure, "array"},
		"name is a number":         {signed, []Disclosure{Disclosure(b64([]byte(`["` + salt + `",1,"x"]`)))}, ErrBadDisclosure, "name"},
		"too deep a value":         {withSD(TypeSignature, deep), []Disclosure{deep}, ErrBadDisclosure, "deeper"},
		"value of another form":    {withSD(TypeSignature, forged(salt, "place", 5)), []Disclosure{forged(salt, "place", 5)}, ErrBadDocument, "place"},
		"value breaks its rules":   {withSD(TypeSignature, forged(salt, "place", "a\nb")), []Disclosure{forged(salt, "place", "a\nb")}, ErrBadDocument, "place"},
		"nested in other letters":  {withSD(TypeSignature, forged(salt, "firearm", map[string]any{"Make": "x"})), []Disclosure{forged(salt, "firearm", map[string]any{"Make": "x"})}, ErrBadDocument, "unknown field"},
		"nested in unknown fields": {withSD(TypeSignature, forged(salt, "firearm", map[string]any{"owner": "x"})), []Disclosure{forged(salt, "firearm", map[string]any{"owner": "x"})}, ErrBadDocument, "unknown field"},
	} {
		d, err := Open(c.signed, c.disclosures)
		if !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %v that says %q", name, err, c.class, c.says)
		}
		if readable := errors.Is(err, ErrUnknownType) || errors.Is(err, ErrNewerSchema); readable != (d != nil) || readable && (d.ID != idA || d.Issuer != "PT" || d.Body != nil) {
			t.Errorf("%s: returned %+v", name, d)
		}
	}
}

func TestNewerSchemasAndUnknownTypesMayHaveAnyBody(t *testing.T) {
	for _, raw := range [][]byte{
		edit(t, TypeSignature, func(doc, body map[string]any) { doc["schema"], body["hologram"] = 9, true }),
		edit(t, TypeSignature, func(doc, body map[string]any) { doc["type"], doc["body"] = "weather", []int{1} }),
	} {
		if d, err := Open(raw, []Disclosure{"anything"}); d == nil || d.ID != idA || err == nil {
			t.Errorf("%v, %v", d, err)
		}
	}
}

func TestBodyOfWantsTheBodyOfTheType(t *testing.T) {
	signed, all := must2(Compose(headerOf(TypeLeadAck), bodies()[TypeLeadAck], noise(3)))
	d := must(Open(signed, all))
	if b, err := BodyOf[LeadAckBody](d); err != nil || b.Note != "taken over" {
		t.Error(b, err)
	}
	if _, err := BodyOf[HitBody](d); err == nil {
		t.Error("an acknowledgement was read as a hit")
	}
	if ChannelOf(TypeLead) != Urgent || ChannelOf(TypeSignature) != Bulk || ChannelOf("weather") != Bulk {
		t.Error("channels")
	}
}

// What Compose and newDisclosure join by hand is what encode would write, byte for byte: documents are hashed and signed as they stand.
func TestComposedAsEncoded(t *testing.T) {
	for typ, body := range bodies() {
		signed, disclosures := must2(Compose(headerOf(typ), body, noise(6)))
		var p payload
		if err := json.Unmarshal(signed, &p); err != nil {
			t.Fatal(err)
		}
		if want := must(encode(p)); string(signed) != string(want) {
			t.Errorf("%s: composed as\n%s\nencoded as\n%s", typ, signed, want)
		}
		for _, d := range disclosures {
			raw := must(base64.RawURLEncoding.DecodeString(string(d)))
			var parts []json.RawMessage
			if err := json.Unmarshal(raw, &parts); err != nil {
				t.Fatal(err)
			}
			if want := must(encode(parts)); string(raw) != string(want) {
				t.Errorf("%s: disclosure\n%s\nencoded as\n%s", typ, raw, want)
			}
		}
	}
	for typ := range specs {
		for _, name := range Redactable(typ) {
			if !plainName(name) {
				t.Errorf("%s: %s does not stand between quotes as it is", typ, name)
			}
		}
	}
}

func TestPick(t *testing.T) {
	signed, all := must2(Compose(headerOf(TypeSignature), bodies()[TypeSignature], noise(8)))
	d := must(Open(signed, all))
	got := d.Pick("place", "firing_pin", "nothing", "calibre")
	if string(got[0]) != `"Lisboa"` || string(got[1]) != `"circular"` || got[2] != nil || string(got[3]) != `"9x19"` {
		t.Errorf("%s", got)
	}
}
