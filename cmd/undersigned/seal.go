package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"

	"github.com/tccm/undersigned/ledger"
)

// sealOnSignal has the lists of all statements sealed whenever somebody on this machine asks for it, until ctx ends.
func sealOnSignal(ctx context.Context, l *ledger.Ledger, log *slog.Logger) {
	if sealSignal == nil {
		return
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, sealSignal)
	defer signal.Stop(asked)
	for {
		select {
		case <-ctx.Done():
			return
		case <-asked:
			if err := l.Seal(ctx); err != nil {
				log.Warn("the lists cannot be sealed now", "error", err)
				continue
			}
			log.Info("the lists of all statements are sealed")
		}
	}
}
