package protocol

// A policy names the fields that it withholds in the same words for every type. Some types carry such a field in the open, because they would say nothing
// without it: a policy that withholds it cannot be obeyed by leaving it out.

// Inseparable lists the fields, in the words of policies, that stand open in the document, which can go to nobody without them.
func (d *Document) Inseparable() []string {
	if b, ok := d.decoded.(interface{ inseparable() []string }); ok {
		return b.inseparable()
	}
	return nil
}

// MayBeInseparable tells whether documents of a type can have such fields at all.
func MayBeInseparable(t Type) bool {
	spec, known := specs[t]
	if !known {
		return false
	}
	_, may := spec.body().(interface{ inseparable() []string })
	return may
}

// filled returns those names whose values are not empty; names and values take turns.
func filled(pairs ...string) (out []string) {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			out = append(out, pairs[i])
		}
	}
	return out
}

func (b *LeadBody) inseparable() []string {
	return filled("agency", b.Own.Agency, "case_reference", b.Own.CaseReference, "exhibit_number", b.Own.ExhibitNumber)
}

func (b *LeadAckBody) inseparable() []string {
	return filled("case_reference", b.CaseReference, "exhibit_number", b.ExhibitNumber, "note", b.Note)
}

func (b *TraceRequestBody) inseparable() []string {
	out := append(filled("agency", b.Agency, "place", b.RecoveryPlace), "firearm")
	if b.RecoveryDate != nil {
		out = append(out, "occurred")
	}
	return out
}

func (b *TraceStatusBody) inseparable() []string { return filled("note", b.Note) }

func (b *TraceAnswerBody) inseparable() []string {
	out := filled("note", b.Note)
	if b.Firearm != nil {
		out = append(out, "firearm")
	}
	return out
}
