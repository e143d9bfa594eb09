package control

import (
	"context"
	"net/http"

	"proofmark/node/tracing"
)

// ImportRequest names the file of an upload of firearm records.
type ImportRequest struct {
	Name string `json:"name"`
}

// TraceNote is an act on a trace with a note.
type TraceNote struct {
	Ref  string `json:"ref"`
	Note string `json:"note,omitempty"`
}

// TraceAnswer answers a trace.
type TraceAnswer struct {
	Ref string `json:"ref"`
	tracing.Answer
}

func (s *Server) routeTracing(mux *http.ServeMux) {
	t := s.services.Tracing
	handle(s, mux, "firearm.add", func(ctx context.Context, c call, r tracing.NewFirearm) (*tracing.Firearm, error) {
		return t.AddFirearm(ctx, c.actor, c.key, r)
	})
	handle(s, mux, "firearm.import", func(ctx context.Context, c call, r ImportRequest) (*tracing.ImportReport, error) {
		return t.ImportFirearms(ctx, c.actor, c.key, r.Name, c.body)
	})
	handle(s, mux, "firearm.search", func(ctx context.Context, c call, r tracing.SearchQuery) ([]tracing.SearchHit, error) {
		return list(t.SearchFirearms(ctx, c.actor, r))
	})
	handle(s, mux, "firearm.list", func(ctx context.Context, c call, r tracing.FirearmFilter) ([]*tracing.Firearm, error) {
		return list(t.ListFirearms(ctx, c.actor, r))
	})
	handle(s, mux, "firearm.show", func(ctx context.Context, c call, r Ref) (*tracing.Firearm, error) {
		return t.Firearm(ctx, c.actor, r.Ref)
	})
	handle(s, mux, "trace.new", func(ctx context.Context, c call, r tracing.NewTrace) (*tracing.Trace, error) {
		return t.NewTrace(ctx, c.actor, c.key, r)
	})
	handle(s, mux, "trace.list", func(ctx context.Context, c call, r tracing.TraceFilter) ([]*tracing.Trace, error) {
		return list(t.ListTraces(ctx, c.actor, r))
	})
	handle(s, mux, "trace.show", func(ctx context.Context, c call, r Ref) (*tracing.Trace, error) { return t.Trace(ctx, c.actor, r.Ref) })
	handle(s, mux, "trace.ack", func(ctx context.Context, c call, r TraceNote) (*tracing.Trace, error) {
		return t.Acknowledge(ctx, c.actor, c.key, r.Ref, r.Note)
	})
	handle(s, mux, "trace.answer", func(ctx context.Context, c call, r TraceAnswer) (*tracing.Trace, error) {
		return t.Answer(ctx, c.actor, c.key, r.Ref, r.Answer)
	})
	handle(s, mux, "trace.close", func(ctx context.Context, c call, r TraceNote) (*tracing.Trace, error) {
		return t.Close(ctx, c.actor, c.key, r.Ref, r.Note)
	})
}

// list makes sure that an empty list is an empty list on the wire.
func list[T any](v []T, err error) ([]T, error) {
	if v == nil {
		v = []T{}
	}
	return v, err
}
