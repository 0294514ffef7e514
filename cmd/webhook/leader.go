package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/mojasec/mojasec/pkg/serving"
)

// leaseName is the Lease that the leader holds.
const leaseName = "mojasec-webhook"

// newElector returns a task that does work while this replica is the leader.
//
// It is not that of a manager, which ends the process when the lease is lost:
// an API server that is slow for some seconds would take down the webhook of a
// cluster that has enough trouble. Here losing the lease ends the work only.
func newElector(cfg *rest.Config, lease time.Duration, log *slog.Logger, work ...task) (task, error) {
	client, err := coordinationclient.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("make a client for leases: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("make the identity of a leader: %w", err)
	}
	var term sync.Mutex // one term ends before the next begins
	config := leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: serving.Namespace, Name: leaseName},
			Client:     client,
			LockConfig: resourcelock.ResourceLockConfig{Identity: host + "_" + string(uuid.NewUUID())},
		},
		Name:          leaseName,
		LeaseDuration: lease, RenewDeadline: lease * 2 / 3, RetryPeriod: lease * 2 / 15,
		ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(ctx context.Context) {
				term.Lock()
				defer term.Unlock()
				log.Info("leading")
				if err := together(ctx, work...); err != nil && ctx.Err() == nil {
					log.Error("the work of the leader ended", "error", err)
				}
			},
			OnStoppedLeading: func() { log.Info("not leading any more") },
		},
	}
	if _, err := leaderelection.NewLeaderElector(config); err != nil {
		return nil, fmt.Errorf("leader election with --lease-duration %s: %w", lease, err)
	}
	return func(ctx context.Context) error {
		for ctx.Err() == nil {
			elector, err := leaderelection.NewLeaderElector(config)
			if err != nil {
				return err
			}
			elector.Run(ctx)
		}
		term.Lock() // until the work has ended
		defer term.Unlock()
		return nil
	}, nil
}

// together runs tasks until all have ended. The first that fails ends the
// others.
func together(ctx context.Context, tasks ...task) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, t := range tasks {
		group.Go(func() error { return t(ctx) })
	}
	return group.Wait()
}
