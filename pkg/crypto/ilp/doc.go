// Package ilp makes and checks ILP packets, fulfilments and conditions as
// Mojaloop does.
//
// The payee's SDK answers a quote with a packet, which holds the terms, and a
// condition. The payer sends both back in the transfer, and the payee proves
// with the fulfilment that it agreed to the terms: its SHA-256 is the condition,
// and only the holder of the secret can make it.
//
// # Versions
//
// With ILP_VERSION=1 ([V1]) the packet is an OER-encoded payment of
// ilp-packet 2.2 and the fulfilment is HMAC-SHA256 of the packet, as text, keyed
// with the base64 text of the secret. With ILP_VERSION=4 ([V4]) the packet is an
// ILPv4 prepare, which holds the condition itself, and the fulfilment covers the
// base64 text of the transaction object instead. ISO 20022 messages carry
// nothing but the packet, so they need version 4.
//
// The transaction object of a currency conversion has conversionTerms in place
// of amount and payee: its amount is 0 and its account g.<fsp>.<from>.<to>.
//
// # Byte for byte
//
// What [Secret.Prepare] returns is what sdk-standard-components 19.19.1 returns
// for the same object, and what 17.4.0 returns where the Transaction is
// [Transaction.Ordered]; 17.4.0 knows no conversions. Where they go wrong in silence this package returns an
// [Error]:
//
//   - More decimals than the currency has: version 1 of the SDK cuts them off
//     (19.19.1), or makes a wrong amount of them (17.4.0).
//   - 17.4.0 multiplies in floating point: 1.1 USD is 1100000000001 there and
//     110 here.
//   - Amounts that do not fit 64 bits wrap around, negative ones too; what is no
//     number becomes 0.
//   - A missing fspId stands in the account as "undefined".
//   - An expiration without a time zone means local time.
//   - Packets and fulfilments may contain anything between the characters of
//     base64, and may be followed by anything.
package ilp
