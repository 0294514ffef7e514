package ilp

import (
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sdkCase is a line of testdata/sdk.json: what getResponseIlp of a release of
// sdk-standard-components returned, on Node with TZ=UTC.
type sdkCase struct {
	Name        string `json:"name"`
	Release     string `json:"release"`
	Version     int    `json:"version"`
	Secret      string `json:"secret"`
	Transaction string `json:"transaction"` // JSON, as JSON.stringify writes it
	Prepared
	// Error is what the SDK says when it refuses.
	Error string `json:"error"`
	// Refused is the field for which this package refuses, whatever the SDK does.
	Refused string `json:"refused"`
	// Wrong tells that the SDK computed a wrong amount.
	Wrong bool `json:"wrong"`
}

// sdkCases reads the answers of Mojaloop's SDK.
func sdkCases(t testing.TB) []sdkCase {
	t.Helper()
	text, err := os.ReadFile("testdata/sdk.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []sdkCase
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 50 {
		t.Fatalf("got %d cases: that proves little", len(cases))
	}
	return cases
}

func (c *sdkCase) inputs(t testing.TB) (Secret, Version, Transaction) {
	t.Helper()
	version, err := ParseVersion(strconv.Itoa(c.Version))
	if err != nil {
		t.Fatal(err)
	}
	tx := mustTransaction(t, c.Transaction)
	if strings.HasPrefix(c.Release, "17.") {
		tx = tx.Ordered()
	}
	return mustSecret(t, c.Secret), version, tx
}

func mustSecret(t testing.TB, value string) Secret {
	t.Helper()
	s, err := NewSecret([]byte(value))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustTransaction(t testing.TB, text string) Transaction {
	t.Helper()
	tx, err := ParseTransaction([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

func TestPrepareAsTheSDKDoes(t *testing.T) {
	t.Parallel()
	for _, c := range sdkCases(t) {
		t.Run(c.Name+"/"+c.Release+"/v"+strconv.Itoa(c.Version), func(t *testing.T) {
			t.Parallel()
			secret, version, tx := c.inputs(t)
			got, err := secret.Prepare(version, tx)
			if c.Refused != "" {
				refused, ok := errors.AsType[*Error](err)
				if !ok || refused.Field != c.Refused || refused.Detail == "" {
					t.Fatalf("got %v, want an error about %q", err, c.Refused)
				}
				return
			}
			if err != nil || c.Error != "" {
				t.Fatalf("got error %v, the SDK says %q", err, c.Error)
			}
			if c.Wrong {
				if got == c.Prepared {
					t.Error("got the SDK's wrong amount")
				}
				return
			}
			if diff := cmp.Diff(c.Prepared, got); diff != "" {
				t.Errorf("(-SDK +got):\n%s", diff)
			}
		})
	}
}

// TestWhatTheSDKMade takes the SDK's packets apart and puts them together again.
func TestWhatTheSDKMade(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, c := range sdkCases(t) {
		if c.Packet == "" || c.Refused != "" || c.Wrong {
			continue
		}
		seen++
		name := c.Name + "/" + c.Release + "/v" + strconv.Itoa(c.Version)
		secret, version, tx := c.inputs(t)
		p, err := Decode(c.Packet)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if p.Version != version {
			t.Errorf("%s: got version %s, want %s", name, p.Version, version)
		}
		if again, err := p.Encode(); err != nil || again != c.Packet {
			t.Errorf("%s: got %q (%v), want the packet again", name, again, err)
		}
		if got := decoded(t, string(p.Data)); string(got) != string(tx.JSON()) {
			t.Errorf("%s: got data %s, want %s", name, got, tx.JSON())
		}
		inside, err := p.Transaction()
		if want := mustTransaction(t, c.Transaction); err != nil || string(inside.JSON()) != string(want.JSON()) {
			t.Errorf("%s: got %s (%v), want %s", name, inside.JSON(), err, want.JSON())
		}
		if got, err := secret.Fulfil(c.Packet); err != nil || got != c.Fulfilment {
			t.Errorf("%s: got fulfilment %q (%v), want %q", name, got, err, c.Fulfilment)
		}
		if err := Verify(c.Fulfilment, c.Condition); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got, err := Condition(c.Fulfilment); err != nil || got != c.Condition {
			t.Errorf("%s: got condition %q (%v), want %q", name, got, err, c.Condition)
		}
	}
	if seen == 0 {
		t.Error("there was nothing to take apart")
	}
}
