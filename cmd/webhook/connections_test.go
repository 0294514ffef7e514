package main

import (
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"testing"
	"time"
)

// A connection that is too old is replaced, and no call fails for it.
func TestConnectionsAge(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		age      time.Duration
		replaced bool
	}{
		{"young", time.Hour, false},
		{"old", 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewUnstartedServer(aging(tt.age, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
			server.Config.ConnContext = remembersBirth
			server.EnableHTTP2 = true
			server.StartTLS()
			t.Cleanup(server.Close)
			connections := map[string]bool{}
			trace := &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) { connections[c.Conn.LocalAddr().String()] = true }}
			for range 20 {
				req, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), http.MethodGet, server.URL, nil)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := server.Client().Do(req)
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
				if resp.ProtoMajor != 2 {
					t.Fatalf("got %s, want HTTP/2", resp.Proto)
				}
			}
			if got := len(connections) > 1; got != tt.replaced {
				t.Errorf("got %d connections, want more than one: %t", len(connections), tt.replaced)
			}
		})
	}
}
