package main

import (
	"context"
	"net"
	"net/http"
	"time"
)

// connectionAge is how long a connection serves before the caller is asked, in
// the orderly way of HTTP/2, to open another: its calls in flight end well.
//
// An API server would keep one for weeks. The buffers of TLS and HTTP/2 keep
// what came last until something longer comes, and that may be a Secret; and all
// its calls would go to one replica, also after another one has come back.
const connectionAge = 30 * time.Second

type bornKey struct{}

// remembersBirth is the ConnContext of a server.
func remembersBirth(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, bornKey{}, time.Now())
}

// aging ends connections that are older than age.
func aging(age time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if born, ok := r.Context().Value(bornKey{}).(time.Time); ok && time.Since(born) > age {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}
