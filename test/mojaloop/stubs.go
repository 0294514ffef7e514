package mojaloop

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
)

// Backend is a bank that an adapter asks: it agrees to every quote and every
// transfer.
type Backend struct{ server *httptest.Server }

// StartBackend starts a bank.
func StartBackend() *Backend {
	return &Backend{server: httptest.NewServer(http.HandlerFunc(agree))}
}

// Address returns host:port, as an adapter's BACKEND_ENDPOINT takes it.
func (b *Backend) Address() string { return strings.TrimPrefix(b.server.URL, "http://") }

// Close stops the bank.
func (b *Backend) Close() { b.server.Close() }

// agree answers a request of an adapter.
func agree(w http.ResponseWriter, r *http.Request) {
	var ask struct{ QuoteID, TransactionID, TransferID, Amount, Currency string }
	if r.Method == http.MethodPost {
		if err := json.NewDecoder(r.Body).Decode(&ask); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	var answer any
	switch resource, id, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/"); resource {
	case "quoterequests":
		answer = map[string]any{
			"quoteId": ask.QuoteID, "transactionId": ask.TransactionID,
			"transferAmount": ask.Amount, "transferAmountCurrency": ask.Currency,
			"payeeReceiveAmount": ask.Amount, "payeeReceiveAmountCurrency": ask.Currency,
		}
	case "transfers":
		answer = map[string]any{"homeTransactionId": "home-" + ask.TransferID, "transferState": "COMMITTED"}
	case "parties":
		_, value, _ := strings.Cut(id, "/")
		answer = map[string]any{"idType": "MSISDN", "idValue": value, "displayName": "Test party"}
	default:
		http.Error(w, fmt.Sprintf("no %s at this bank", resource), http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

// Peer is a switch that takes what an adapter sends and counts it.
type Peer struct {
	server           *httptest.Server
	messages, errors atomic.Int64
	see              func(*http.Request, []byte)
}

// StartPeer starts a switch. It calls see, if there is one, for each message
// that arrives, from several goroutines.
func StartPeer(see func(r *http.Request, body []byte)) *Peer {
	p := &Peer{see: see}
	p.server = httptest.NewServer(p)
	return p
}

// ServeHTTP takes a message.
func (p *Peer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p.messages.Add(1)
	if strings.HasSuffix(r.URL.Path, "/error") {
		p.errors.Add(1)
	}
	if p.see != nil {
		p.see(r, body)
	}
	status := http.StatusOK // of a callback
	if r.Method != http.MethodPut {
		status = http.StatusAccepted
	}
	w.WriteHeader(status)
}

// Address returns host:port, as an adapter's PEER_ENDPOINT takes it.
func (p *Peer) Address() string { return strings.TrimPrefix(p.server.URL, "http://") }

// Messages returns how many messages came, Errors how many of them are error
// callbacks.
func (p *Peer) Messages() int64 { return p.messages.Load() }

// Errors returns how many error callbacks came.
func (p *Peer) Errors() int64 { return p.errors.Load() }

// Close stops the switch.
func (p *Peer) Close() { p.server.Close() }
