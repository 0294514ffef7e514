package ilp

import "testing"

// FuzzPrepare makes packets of any transaction object: what is made can be read,
// says what the object says, and has a fulfilment that only this secret makes.
func FuzzPrepare(f *testing.F) {
	for _, c := range sdkCases(f) {
		if len(c.Transaction) < 4096 {
			f.Add([]byte(c.Transaction))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		tx, err := ParseTransaction(text)
		if err != nil {
			return
		}
		secret, other := mustSecret(t, "0f8b2c4d6e1a3957"), mustSecret(t, "another")
		for _, version := range []Version{V1, V4} {
			made, err := secret.Prepare(version, tx)
			if err != nil {
				continue
			}
			p, err := Decode(made.Packet)
			if err != nil {
				t.Fatalf("version %s: %v", version, err)
			}
			if err := p.Consistent(); err != nil {
				t.Fatalf("version %s: %v", version, err)
			}
			if err := Verify(made.Fulfilment, made.Condition); err != nil {
				t.Fatalf("version %s: %v", version, err)
			}
			if again, err := secret.Fulfil(made.Packet); err != nil || again != made.Fulfilment {
				t.Fatalf("version %s: got %q, %v, want %q", version, again, err, made.Fulfilment)
			}
			if theirs, err := other.Fulfil(made.Packet); err != nil || theirs == made.Fulfilment {
				t.Fatalf("version %s: another secret makes %q, %v", version, theirs, err)
			}
		}
	})
}

// FuzzParseTransfer compares any transfer with a packet.
func FuzzParseTransfer(f *testing.F) {
	prepared, p := answer(f, V4, plain)
	f.Add([]byte(fspiop(prepared)))
	f.Add([]byte(`{"CdtTrfTxInf":{"VrfctnOfTerms":{}}}`))
	f.Add([]byte(`{"sourceAmount":{},"targetAmount":{}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		transfer, err := ParseTransfer(text)
		if err != nil {
			if err.Error() == "" {
				t.Fatal("an error says nothing")
			}
			return
		}
		if p.Validate(transfer) != nil {
			return
		}
		if transfer.PayerFSP != "perffsp-1" || transfer.PayeeFSP != "perffsp-2" || transfer.Amount != (Amount{"USD", "100"}) {
			t.Fatalf("accepted %+v", transfer)
		}
	})
}
