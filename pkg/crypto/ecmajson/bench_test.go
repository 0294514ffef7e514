package ecmajson_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/mojasec/mojasec/pkg/crypto/ecmajson"
)

// quote is a POST /quotes as a real scheme sends it, 1 KB, in the order of the
// specification.
const quote = `{"quoteId":"b51ec534-ee48-4575-b6a9-ead2955b8069","transactionId":"a8323bc6-c228-4df2-ae82-e5a997baf898",` +
	`"transactionRequestId":"a8323bc6-c228-4df2-ae82-e5a997baf890","payee":{"partyIdInfo":{"partyIdType":"MSISDN","partyIdentifier":"27713803912","fspId":"perffsp-2"},` +
	`"merchantClassificationCode":"4321","name":"Justin Trudeau","personalInfo":{"complexName":{"firstName":"Justin","middleName":"Pierre","lastName":"Trudeau"},"dateOfBirth":"1971-12-25"}},` +
	`"payer":{"personalInfo":{"complexName":{"firstName":"Mats","lastName":"Hagman"},"dateOfBirth":"1983-10-25"},"partyIdInfo":{"partyIdType":"IBAN","partyIdentifier":"SE4550000000058398257466","fspId":"perffsp-1"}},` +
	`"amountType":"RECEIVE","amount":{"amount":"123.45","currency":"USD"},"transactionType":{"scenario":"TRANSFER","initiator":"PAYER","initiatorType":"CONSUMER"},` +
	`"note":"From Mats","geoCode":{"latitude":"57.323889","longitude":"125.520001"},"expiration":"2026-11-24T18:43:00.000Z"}`

// large has the size of a transfer in ISO 20022: four of them in a list.
var large = []byte(`{"list":[` + quote + "," + quote + "," + quote + "," + quote + `],"n":[1,2.5,-3,1e3]}`)

func BenchmarkSorted(b *testing.B) {
	for name, text := range map[string][]byte{"1KB": []byte(quote), "4KB": large} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ecmajson.Sorted(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	b.SetBytes(int64(len(quote)))
	b.ReportAllocs()
	text := []byte(quote)
	for b.Loop() {
		if _, err := ecmajson.Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCompact is what comes near it in Go's library, and gives neither
// order nor JavaScript's numbers.
func BenchmarkCompact(b *testing.B) {
	b.SetBytes(int64(len(quote)))
	b.ReportAllocs()
	text := []byte(quote)
	for b.Loop() {
		var out bytes.Buffer
		if err := json.Compact(&out, text); err != nil {
			b.Fatal(err)
		}
	}
}
