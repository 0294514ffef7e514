package serving

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

var (
	start   = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	periods = Periods{CA: 300 * time.Hour, Leaf: 90 * time.Hour, Settle: time.Minute, Drain: 10 * time.Minute}
	hosts   = Hosts("127.0.0.1")
)

// made is a state after some actions at a time.
func made(t *testing.T, from state, at time.Time, actions ...action) state {
	t.Helper()
	for _, a := range actions {
		var err error
		if from, err = advance(from, a, periods, hosts, at); err != nil {
			t.Fatal(err)
		}
	}
	return from
}

func TestDecide(t *testing.T) {
	t.Parallel()
	fresh := made(t, state{}, start, actMakeAll)
	both := made(t, fresh, start, actAddCA)
	switched := made(t, both, start, actSwitchCA)
	change := func(s state, tweak func(*state)) state { tweak(&s); return s }
	tests := []struct {
		name  string
		state state
		hosts []string
		// published and served are how long ago; negative is never.
		published, served time.Duration
		after             time.Duration // since start
		want              action
		until             time.Duration // since start, where want is actWait
	}{
		{name: "nothing yet", want: actMakeAll},
		{name: "fresh", state: fresh, until: 60 * time.Hour},
		{name: "one moment before the leaf is due", state: fresh, after: 60*time.Hour - time.Second, until: 60 * time.Hour},
		{name: "leaf due", state: fresh, after: 60 * time.Hour, want: actRenewLeaf},
		{name: "leaf expired", state: fresh, after: 91 * time.Hour, want: actRenewLeaf},
		{name: "CA due", state: made(t, fresh, start.Add(199*time.Hour), actRenewLeaf), after: 200 * time.Hour, want: actAddCA},
		{name: "CA due before the leaf", state: fresh, after: 201 * time.Hour, want: actRenewLeaf},
		{
			name:  "TestHardCase4: the CA expires while the leaf is still valid",
			state: change(fresh, func(s *state) { s.ca, s.leaf = shortCA(t) }),
			after: 2 * time.Hour, want: actMakeAll,
		},
		{name: "our clock is behind", state: fresh, after: -48 * time.Hour, until: 60 * time.Hour},
		{name: "new host", state: fresh, hosts: Hosts("10.1.2.3"), want: actRenewLeaf},
		{name: "asked for a leaf", state: change(fresh, func(s *state) { s.renew = "now" }), want: actRenewLeaf},
		{name: "asked for a leaf, done", state: change(fresh, func(s *state) { s.renew, s.renewed = "a", "a" }), until: 60 * time.Hour},
		{name: "asked for a CA", state: change(fresh, func(s *state) { s.rotate = "now" }), want: actAddCA},
		{name: "asked for a CA again", state: change(fresh, func(s *state) { s.rotate, s.rotated = "b", "a" }), want: actAddCA},
		{name: "key of the CA lost", state: change(fresh, func(s *state) { s.old, s.ca = []*x509.Certificate{s.ca.cert}, authority{} }), want: actAddCA},
		{name: "leaf lost", state: change(fresh, func(s *state) { s.leaf = tls.Certificate{} }), want: actRenewLeaf},
		{name: "leaf and key of the CA lost", state: change(fresh, func(s *state) { s.leaf, s.ca = tls.Certificate{}, authority{} }), want: actMakeAll},

		{name: "next CA not published", state: both, published: -1, until: 60 * time.Hour},
		{name: "next CA settles", state: both, published: 20 * time.Second, until: 40 * time.Second},
		{name: "next CA has settled", state: both, published: time.Minute, want: actSwitchCA},
		{name: "next CA expired", state: change(both, func(s *state) { s.next, _ = shortCA(t); s.rotate = "now" }), after: 2 * time.Hour, want: actAddCA},
		{name: "leaf due while the next CA settles", state: both, published: -1, after: 70 * time.Hour, want: actRenewLeaf},

		{name: "old leaf may be served", state: switched, published: time.Hour, served: 9 * time.Minute, until: time.Minute},
		{name: "old leaf is served no more", state: switched, published: time.Hour, served: 10 * time.Minute, want: actDropOldCAs},
		{name: "no second rotation before the first ends", state: change(switched, func(s *state) { s.rotate = "now" }), served: time.Minute, until: 9 * time.Minute},
		{
			name:  "leaf of an old CA",
			state: change(switched, func(s *state) { s.leaf = fresh.leaf }), published: time.Minute, served: time.Hour, want: actRenewLeaf,
		},
		{
			name:  "leaf of an old CA, new one not settled",
			state: change(switched, func(s *state) { s.leaf = fresh.leaf }), published: -1, served: time.Hour, until: 60 * time.Hour,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			now := start.Add(tt.after)
			ago := func(d time.Duration) time.Time {
				if d < 0 {
					return time.Time{}
				}
				return now.Add(-d)
			}
			if tt.hosts == nil {
				tt.hosts = hosts
			}
			got := decide(tt.state, periods, tt.hosts, observed{ago(tt.published), ago(tt.served)}, now)
			if got.action != tt.want {
				t.Fatalf("got %q because %s, want %q", got.action, got.why, tt.want)
			}
			if tt.want == actWait && !got.until.Equal(start.Add(tt.until)) {
				t.Errorf("got until %s after the start, want %s", got.until.Sub(start), tt.until)
			}
		})
	}
}

// shortCA is an hour's CA with a leaf that claims to be valid for longer.
func shortCA(t *testing.T) (authority, tls.Certificate) {
	t.Helper()
	ca, err := newAuthority(start, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	longer := *ca.cert
	longer.NotAfter = start.Add(100 * time.Hour)
	leaf, err := authority{&longer, ca.key}.newLeaf(start, 90*time.Hour, hosts)
	if err != nil {
		t.Fatal(err)
	}
	return ca, leaf
}

func TestLeafEndsWithItsCA(t *testing.T) {
	t.Parallel()
	s := made(t, state{}, start, actMakeAll)
	s = made(t, s, start.Add(280*time.Hour), actRenewLeaf)
	if got, want := s.leaf.Leaf.NotAfter, s.ca.cert.NotAfter; !got.Equal(want) {
		t.Errorf("got a leaf until %s, want %s", got, want)
	}
}

// A simulation of years: API servers learn of each bundle late, replicas serve
// each leaf late, and at every moment every API server accepts every replica.
func TestRotationNeverLosesACall(t *testing.T) {
	t.Parallel()
	const year = 365 * 24 * time.Hour
	p := Periods{CA: year, Leaf: year / 4, Settle: time.Minute, Drain: 10 * time.Minute}
	s := made(t, state{}, start, actMakeAll)
	o := observed{start, start}
	now := start
	// What the slowest API server trusts and the slowest replica serves, and
	// since when something newer has been on its way.
	slowTrust, slowLeaf := s.trusted(), s.leaf
	taken := map[action]int{}
	for now.Before(start.Add(5 * year)) {
		for _, trusted := range [][]*x509.Certificate{slowTrust, s.trusted()} {
			for _, leaf := range []tls.Certificate{slowLeaf, s.leaf} {
				if err := verify(leaf.Leaf, trusted, now); err != nil {
					t.Fatalf("%s after the start: %v", now.Sub(start), err)
				}
			}
		}
		d := decide(s, p, hosts, o, now)
		taken[d.action]++
		if d.action == actWait {
			if !d.until.After(now) {
				t.Fatalf("%s after the start: waits until %s", now.Sub(start), d.until)
			}
			now = d.until
			if now.Sub(o.published) >= p.Settle {
				slowTrust = s.trusted()
			}
			if now.Sub(o.served) >= p.Drain {
				slowLeaf = s.leaf
			}
			continue
		}
		before := s
		var err error
		if s, err = advance(s, d.action, p, hosts, now); err != nil {
			t.Fatal(err)
		}
		if string(before.bundle()) != string(s.bundle()) {
			o.published = now
		}
		if !before.leaf.Leaf.Equal(s.leaf.Leaf) {
			o.served = now
		}
	}
	if taken[actMakeAll] > 0 || taken[actSwitchCA] < 7 || taken[actDropOldCAs] < 7 || taken[actRenewLeaf] < 20 {
		t.Errorf("got %v, want at least 7 rotations of the CA and 20 more leaves, and none from nothing", taken)
	}
}

func TestSecretKeepsTheState(t *testing.T) {
	t.Parallel()
	s := made(t, state{rotate: "r", renew: "n"}, start, actMakeAll, actAddCA, actSwitchCA, actAddCA)
	secret := emptySecret()
	if err := s.write(secret); err != nil {
		t.Fatal(err)
	}
	got := readState(secret)
	if !got.ca.cert.Equal(s.ca.cert) || !got.next.cert.Equal(s.next.cert) || len(got.old) != 1 || !got.old[0].Equal(s.old[0]) {
		t.Errorf("got CAs %v, want %v", names(got), names(s))
	}
	if !got.leaf.Leaf.Equal(s.leaf.Leaf) {
		t.Error("the leaf has changed")
	}
	if got.rotate != "r" || got.rotated != "r" || got.renew != "n" || got.renewed != "n" {
		t.Errorf("got annotations %q %q %q %q", got.rotate, got.rotated, got.renew, got.renewed)
	}
}

func names(s state) []string {
	var out []string
	for _, cert := range s.trusted() {
		out = append(out, cert.Subject.CommonName)
	}
	return out
}

func TestReadStateOfDamagedSecret(t *testing.T) {
	t.Parallel()
	good := made(t, state{}, start, actMakeAll)
	tests := []struct {
		name   string
		damage func(*corev1.Secret)
		want   action
	}{
		{"empty", func(s *corev1.Secret) { s.Data = nil }, actMakeAll},
		{"leaf of another key", func(s *corev1.Secret) { s.Data[keyLeafPK] = s.Data[keyCAPK] }, actRenewLeaf},
		{"leaf cut off", func(s *corev1.Secret) { s.Data[keyLeaf] = s.Data[keyLeaf][:40] }, actRenewLeaf},
		{"CA key is no key", func(s *corev1.Secret) { s.Data[keyCAPK] = []byte("hello") }, actAddCA},
		{"bundle gone", func(s *corev1.Secret) { delete(s.Data, keyBundle) }, actMakeAll},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			secret := emptySecret()
			if err := good.write(secret); err != nil {
				t.Fatal(err)
			}
			tt.damage(secret)
			if got := decide(readState(secret), periods, hosts, observed{}, start); got.action != tt.want {
				t.Errorf("got %q because %s, want %q", got.action, got.why, tt.want)
			}
		})
	}
}
