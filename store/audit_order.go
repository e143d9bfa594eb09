package store

import (
	"context"
	"runtime"
	"sync"
)

// inOrder has work done on the parts 0 to n-1 side by side, on all processors but one, and hands over the results one after the other in the order of the
// parts. Only few more parts than processors are under way or wait to be handed over, so that memory stays bounded. It ends with ctx, or with take's first
// error, and not before all work that was begun.
func inOrder[T any](ctx context.Context, n int64, work func(part int64) T, take func(T) error) error {
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	side := max(1, runtime.GOMAXPROCS(0)-1)
	slots, results := make(chan struct{}, side), make(chan chan T, side)
	running.Go(func() {
		defer close(results)
		for part := range n {
			result := make(chan T, 1)
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			running.Go(func() {
				defer func() { <-slots }()
				result <- work(part)
			})
			select {
			case results <- result:
			case <-ctx.Done():
				return
			}
		}
	})
	for result := range results {
		if err := take(<-result); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return ctx.Err()
}
