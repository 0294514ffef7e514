package crypto

import (
	"crypto/x509"
	"strings"
	"testing"
)

func BenchmarkParseKeys(b *testing.B) {
	k := keys()
	for _, bc := range []struct{ name, input string }{
		{"RSA2048-SPKI", spki(&k.rsa.PublicKey)},
		{"RSA2048-PKCS1", pkcs1(k.rsa)},
		{"P256-SEC1", sec1(k.p256)},
		{"P256-SPKI", spki(&k.p256.PublicKey)},
		{"certificate", certificate(b, &k.rsa.PublicKey, k.rsa, "a", false)},
		{"worst-256-P521", strings.Repeat(sec1(k.p521), maxBlocks)},
	} {
		b.Run(bc.name, func(b *testing.B) {
			data := []byte(bc.input)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = ParseKeys(data)
			}
		})
	}
}

// BenchmarkX509 is what the standard library takes for the same keys.
func BenchmarkX509(b *testing.B) {
	k := keys()
	public, private := derOf(spki(&k.rsa.PublicKey)), derOf(pkcs1(k.rsa))
	b.Run("RSA2048-SPKI", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = x509.ParsePKIXPublicKey(public)
		}
	})
	b.Run("RSA2048-PKCS1", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = x509.ParsePKCS1PrivateKey(private)
		}
	})
}

func BenchmarkScanPEM(b *testing.B) {
	for _, bc := range []struct{ name, text string }{
		{"no-key", strings.Repeat("key: value # LS0tLS0t\n", 3000)},
		{"escaped-key", strings.Repeat("key: value\n", 300) + jsonString(pkcs1(keys().rsa))},
	} {
		b.Run(bc.name, func(b *testing.B) {
			data := []byte(bc.text)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				ScanPEM(data)
			}
		})
	}
}

func BenchmarkDescribeSecret(b *testing.B) {
	value := []byte("d41c8ca90f00b204e9800998ecf8427e")
	b.ReportAllocs()
	for b.Loop() {
		DescribeSecret(value)
	}
}

func BenchmarkHasher(b *testing.B) {
	h := NewHasher([]byte("key"))
	value := []byte("d41c8ca90f00b204e9800998ecf8427e")
	b.ReportAllocs()
	for b.Loop() {
		h.Sum(value)
	}
}

func BenchmarkPublishedFirstUse(b *testing.B) {
	for b.Loop() {
		if _, err := parsePublished(publishedList); err != nil {
			b.Fatal(err)
		}
	}
}
