package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	natsStream  = "deliveries"
	natsSubject = "deliveries.ES"
	natsDone    = "done"
)

// natsSender is a JetStream server with a file stream that syncs every write, and its publisher, in the sender's process. The consumer in the
// other process acknowledges each message and waits until the server has confirmed that; then it tells the publisher.
type natsSender struct {
	server  *server.Server
	conn    *nats.Conn
	js      jetstream.JetStream
	payload []byte

	mu      sync.Mutex
	waiting map[uint64]chan struct{} // by number in the stream
	early   map[uint64]bool          // done before the publisher had its own answer
}

func sendNATS(r run) (system, *receiver, error) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, SyncAlways: true,
		StoreDir: filepath.Join(r.Dir, "nats"), NoSigs: true, NoLog: true})
	if err != nil {
		return nil, nil, err
	}
	s.Start()
	if !s.ReadyForConnections(time.Minute) {
		return nil, nil, fmt.Errorf("the NATS server does not answer")
	}
	n := &natsSender{server: s, payload: samplePayload(), waiting: map[uint64]chan struct{}{}, early: map[uint64]bool{}}
	if n.conn, err = nats.Connect(s.ClientURL()); err != nil {
		return nil, nil, err
	}
	if n.js, err = jetstream.New(n.conn); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err = n.js.CreateStream(ctx, jetstream.StreamConfig{Name: natsStream, Subjects: []string{natsSubject}, Storage: jetstream.FileStorage,
		Retention: jetstream.WorkQueuePolicy}); err != nil {
		return nil, nil, err
	}
	if _, err = n.conn.Subscribe(natsDone, func(m *nats.Msg) {
		if seq, err := strconv.ParseUint(string(m.Data), 10, 64); err == nil {
			n.done(seq)
		}
	}); err != nil {
		return nil, nil, err
	}
	p, _, err := startReceiver(r, s.ClientURL())
	return n, p, err
}

func (n *natsSender) done(seq uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if c := n.waiting[seq]; c != nil {
		close(c)
		delete(n.waiting, seq)
	} else {
		n.early[seq] = true
	}
}

func (n *natsSender) deliver(ctx context.Context) error {
	ack, err := n.js.Publish(ctx, natsSubject, n.payload)
	if err != nil {
		return err
	}
	n.mu.Lock()
	if n.early[ack.Sequence] {
		delete(n.early, ack.Sequence)
		n.mu.Unlock()
		return nil
	}
	c := make(chan struct{})
	n.waiting[ack.Sequence] = c
	n.mu.Unlock()
	select {
	case <-c:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (n *natsSender) close() error {
	n.conn.Close()
	n.server.Shutdown()
	n.server.WaitForShutdown()
	return nil
}

func receiveNATS(r run, url string) (ready string, stop func() error, err error) {
	conn, err := nats.Connect(url)
	if err != nil {
		return "", nil, err
	}
	js, err := jetstream.New(conn)
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := js.CreateConsumer(ctx, natsStream, jetstream.ConsumerConfig{Durable: "ES", AckPolicy: jetstream.AckExplicitPolicy, AckWait: time.Minute,
		MaxAckPending: 2 * r.Outstanding})
	if err != nil {
		return "", nil, err
	}
	work, err := c.Consume(func(m jetstream.Msg) {
		go func() { // each waits for its own confirmation: nothing is serialised that need not be
			if err := m.DoubleAck(context.Background()); err != nil {
				return
			}
			if meta, err := m.Metadata(); err == nil {
				_ = conn.Publish(natsDone, strconv.AppendUint(nil, meta.Sequence.Stream, 10))
			}
		}()
	}, jetstream.PullMaxMessages(max(2, r.Outstanding)))
	if err != nil {
		return "", nil, err
	}
	return "ready", func() error {
		work.Stop()
		conn.Close()
		return nil
	}, nil
}
