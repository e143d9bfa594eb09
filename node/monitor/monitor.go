// Package monitor tells machines how the node is: alive, ready, and in figures for Prometheus. It owns the page, who may read it, and the figures' names;
// it refuses to know any content.
package monitor

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// MinToken is the least length of the token that figures are asked with, in bytes.
const MinToken = 24

// Server answers on one address: /healthz says that the process lives, /readyz whether the node works and why not, /metrics the figures. The last two want
// the token (Authorization: Bearer), which a monitoring system keeps in a file.
type Server struct {
	listener net.Listener
	http     *http.Server
	token    [sha256.Size]byte
	ready    func() []string
}

// Listen opens the page on an address such as 127.0.0.1:9464.
func Listen(address, token string, s Sources, log *slog.Logger) (*Server, error) {
	if len(token) < MinToken {
		return nil, fmt.Errorf("the monitor's token has %d bytes, at least %d are needed", len(token), MinToken)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("monitor: %w: choose another address for monitor.listen", err)
	}
	registry := prometheus.NewRegistry()
	for _, c := range []prometheus.Collector{collector{s}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})} {
		if err := registry.Register(c); err != nil {
			return nil, errors.Join(fmt.Errorf("monitor: %w", err), l.Close())
		}
	}
	figures := prometheus.Gatherers{registry}
	if s.Network != nil {
		figures = append(figures, s.Network)
	}
	srv := &Server{listener: l, token: sha256.Sum256([]byte(token)), ready: s.Ready}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "alive") })
	mux.Handle("GET /readyz", srv.guarded(http.HandlerFunc(srv.readiness)))
	mux.Handle("GET /metrics", srv.guarded(promhttp.HandlerFor(figures, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})))
	srv.http = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	return srv, nil
}

// Address is where the page listens.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Close stops listening; a Server that served is closed already, and closing it again does nothing.
func (s *Server) Close() { _ = errors.Join(s.http.Close(), s.listener.Close()) }

// Serve answers until ctx ends.
func (s *Server) Serve(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- s.http.Serve(s.listener) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return s.http.Close()
	}
}

// guarded lets in who has the token. Hashes are compared, in constant time, so that neither length nor content shows.
func (s *Server) guarded(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		sum := sha256.Sum256([]byte(token))
		if subtle.ConstantTimeCompare(sum[:], s.token[:]) != 1 || !ok {
			w.Header().Set("WWW-Authenticate", `Bearer realm="proofmark monitor"`)
			http.Error(w, "the monitor's token is needed", http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func (s *Server) readiness(w http.ResponseWriter, _ *http.Request) {
	reasons := s.ready()
	if len(reasons) == 0 {
		fmt.Fprintln(w, "ready")
		return
	}
	w.WriteHeader(http.StatusServiceUnavailable)
	for _, r := range reasons {
		fmt.Fprintln(w, r)
	}
}
