package server

import (
	"bytes"
	"context"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"time"
)

const (
	headerTimeout = 10 * time.Second
	readTimeout   = 90 * time.Second  // more than the longest wait: the server watches the connection while it waits
	writeTimeout  = 150 * time.Second // a wait and then the answer
	idleTimeout   = 120 * time.Second
	maxHeader     = 16 << 10 // bytes

	// A client that does not take so many bytes of an answer in that time is cut.
	writePart     = 64 << 10
	writePatience = 30 * time.Second

	// Of HTTP/2, on one connection.
	maxStreams      = 64
	streamBuffer    = 64 << 10 // bytes
	connBuffer      = 256 << 10
	pingAfter       = 30 * time.Second
	pingAnswered    = 15 * time.Second
	writeByteWithin = writePatience

	// A stop lets requests end by themselves, then ends their waits (they answer "stored, not yet
	// witnessed"), then cuts them.
	stopGently = 2 * time.Second
	stopHard   = 10 * time.Second
)

// Serve answers requests that arrive at the listener with handler until ctx ends, then stops: it accepts no more,
// ends the waits of those that are under way, and returns nil when they are answered. It closes the listener.
// Any other error is why it could not go on. HTTP/2 is spoken if the listener is one of crypto/tls that offers "h2".
func Serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	return serve(ctx, listener, handler, stopGently, stopHard)
}

func serve(ctx context.Context, listener net.Listener, handler http.Handler, gently, hard time.Duration) error {
	base, endWaits := context.WithCancel(context.WithoutCancel(ctx))
	defer endWaits()
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          maxStreams,
			MaxReceiveBufferPerStream:     streamBuffer,
			MaxReceiveBufferPerConnection: connBuffer,
			SendPingTimeout:               pingAfter,
			PingTimeout:                   pingAnswered,
			WriteByteTimeout:              writeByteWithin,
		},
		ErrorLog:    log.New(acceptErrors{}, "", 0),
		BaseContext: func(net.Listener) context.Context { return base },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if c, ok := c.(*boundConn); ok {
				return context.WithValue(ctx, connKey{}, c)
			}
			return ctx // of TLS: what is written is not what is sent
		},
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}

	timer := time.AfterFunc(gently, endWaits)
	defer timer.Stop()
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), hard)
	defer cancel()
	if err := server.Shutdown(limit); err != nil {
		server.Close() // what is left has had its time
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// acceptErrors passes on the one message of net/http's server that an operator needs, which is
// about this machine. The others are about what clients do.
type acceptErrors struct{}

func (acceptErrors) Write(line []byte) (int, error) {
	if bytes.HasPrefix(line, []byte("http: Accept error")) {
		slog.Warn("cannot accept connections; trying again")
	}
	return len(line), nil
}
