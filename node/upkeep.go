package node

import (
	"context"
	"errors"
	"time"

	"proofmark/node/budget"
)

// upkeep offers publications to members after a new roster, policy or operation, and sweeps what is kept for a limited time.
type upkeep struct {
	n                *Node
	owed             bool // what was to be offered could not be, as below the reserve of free disk: once more in a minute
	hours, reclaimed int64
}

func (u *upkeep) run(ctx context.Context) error {
	hourly, minutely := time.NewTicker(time.Hour), time.NewTicker(time.Minute)
	defer hourly.Stop()
	defer minutely.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-u.n.offer:
			u.report(ctx, "operations", u.n.operations.Tick(ctx))
			u.offer(ctx)
		case <-minutely.C:
			u.minute(ctx)
		case <-hourly.C:
			u.hour(ctx)
		}
	}
}

func (u *upkeep) offer(ctx context.Context) {
	err := u.n.dispatch.OfferAll(ctx)
	u.owed = err != nil
	u.report(ctx, "offer publications to members", err)
}

func (u *upkeep) minute(ctx context.Context) {
	n := u.n
	u.report(ctx, "roster", n.membership.Tick())
	u.report(ctx, "operations", n.operations.Tick(ctx))
	u.report(ctx, "sweep sessions", n.people.Sweep(ctx))
	u.report(ctx, "record refusals and end releases", errors.Join(n.dispatch.FlushRefusals(ctx, false), n.release.FlushRefusals(ctx, false), n.release.Expire(ctx), n.store.Update(ctx, budget.Flush)))
	u.report(ctx, "erase what expired", n.dispatch.Expire(ctx))
	if u.owed {
		u.offer(ctx)
	}
}

func (u *upkeep) hour(ctx context.Context) {
	err := u.n.store.Sweep(ctx)
	if u.hours++; u.hours%24 == 1 || u.n.dispatch.Erased() > u.reclaimed { // erased bytes leave the files within the hour
		u.reclaimed = u.n.dispatch.Erased()
		err = errors.Join(err, u.n.store.Reclaim(ctx))
	}
	u.report(ctx, "sweep", err)
}

// report logs what went wrong, but for what the node's own end broke off.
func (u *upkeep) report(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		u.n.log.Error(what, "error", err)
	}
}
