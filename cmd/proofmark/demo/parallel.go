package demo

import (
	"errors"
	"sync"
)

// each does something for every one of a list at the same time, and returns all that went wrong.
func each[T any](list []T, do func(T) error) error {
	errs := make([]error, len(list))
	var wg sync.WaitGroup
	for i, v := range list {
		wg.Go(func() { errs[i] = do(v) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
