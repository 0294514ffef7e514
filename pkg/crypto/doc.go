// Package crypto knows the keys, certificates and secrets of a Mojaloop
// scheme. It knows no Kubernetes and reads no file, no clock and no random
// source.
//
// # Facts, not material
//
// [ParseKeys], [ScanPEM] and [DescribeSecret] turn bytes into facts: a
// [Fingerprint], an [Algorithm], a length. No value of an exported type and no
// error of this package holds key material or a secret, so any of them can be
// logged, compared and kept. [Hasher] makes tags by which two secrets can be
// found equal without keeping either.
//
// # What Mojaloop can use
//
// The Mojaloop SDK signs and verifies with whatever its JavaScript libraries
// happen to read. [KeyFacts.SDKUsable] says what that is, and
// [KeySet.SigningKey] and [KeySet.VerificationKey] which key of several it
// takes. All of it was measured against @mojaloop/sdk-standard-components
// 19.19 on Node 20 with OpenSSL 3:
//
//   - RSA signs in PKCS#1 and PKCS#8. P-256 signs in SEC1 only: the SDK looks
//     for the text "BEGIN EC " and takes every other key for RSA.
//   - BEGIN and END stand at the start of a line of their own. Text before and
//     after a block, a byte order mark, CRLF, long lines and spaces at line
//     ends are fine. Escaped, missing or indented line breaks are not, and
//     neither is DER without PEM.
//   - A signer takes the first private key it can read and fails on an
//     encrypted one before it. A verifier takes the first PUBLIC KEY, else the
//     first RSA PUBLIC KEY, else the first CERTIFICATE.
//
// # One key, one fingerprint
//
// A fingerprint is computed from the numbers of a key, not from the bytes it
// came in. OpenSSL reads an SPKI with a compressed point, without the NULL of
// rsaEncryption or with bytes after the key, and each of them would otherwise
// give a published key a new face.
//
// # What the world already knows
//
// [Published] lists the private keys, and [PublishedILPSecret] the ILP
// secrets, that stand in public repositories.
package crypto
