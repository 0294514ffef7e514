package ilp

import "testing"

func BenchmarkPrepare(b *testing.B) {
	for _, version := range []Version{V1, V4} {
		b.Run("v"+version.String(), func(b *testing.B) {
			secret, tx := mustSecret(b, "0f8b2c4d6e1a3957f0e1d2c3b4a59687"), mustTransaction(b, plain)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := secret.Prepare(version, tx); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	text := []byte(plain)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseTransaction(text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	prepared, _ := answer(b, V1, plain)
	b.ReportAllocs()
	for b.Loop() {
		if err := Verify(prepared.Fulfilment, prepared.Condition); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCondition(b *testing.B) {
	prepared, _ := answer(b, V1, plain)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Condition(prepared.Fulfilment); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	prepared, _ := answer(b, V1, plain)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(prepared.Packet); err != nil {
			b.Fatal(err)
		}
	}
}
