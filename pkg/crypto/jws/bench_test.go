package jws

import "testing"

func BenchmarkSign(b *testing.B) {
	for kind, k := range keys() {
		b.Run(string(kind), func(b *testing.B) {
			r := transfer()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := k.Sign(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	for kind, k := range keys() {
		b.Run(string(kind), func(b *testing.B) {
			s := sign(b, k, transfer())
			r := sent(transfer(), s)
			all := Keys{r.Source: k.Public()}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := all.Verify(r, s.Header); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
