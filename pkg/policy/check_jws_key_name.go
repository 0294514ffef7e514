package policy

import (
	"fmt"
	"strings"
)

// jws-key-name: <fspId>.pem in the verification keys equals the id of the FSP,
// case included, and ends in .pem.
var checkJWSKeyName = Check{
	ID: "jws-key-name", Category: CategoryKeys, Severity: Error,
	Title: "the files of public keys are named after their FSP",
	Fix:   "rename the key of the ConfigMap to <fspId>.pem, spelt exactly as the DFSP spells its DFSP_ID",
	Doc: `The verifier looks for a file named after the sender, ` + "`<fspId>.pem`" + `, and file names are
case-sensitive: ` + "`PerfFSP-1.pem`" + ` is not found for ` + "`perffsp-1`" + `, and a file that does not end in ` + "`.pem`" + ` is not
read at all. The message in the log is ` + "`JWS public key for 'X' not available`" + `.`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		data := snap.dataOf(sub)
		if data == nil || !snap.isVerificationData(data) {
			return notApplicable
		}
		var found []Violation
		applies := false
		for i := range data.Entries {
			e := &data.Entries[i]
			if len(e.Keys) == 0 || !snap.isHeld(data, e.Key) {
				continue
			}
			applies = true
			fsp, ok := fspOfFile(e.Key)
			if !ok {
				found = append(found, Violation{Field: dataField(data, e.Key), Detail: fmt.Sprintf("%q does not end in .pem, so the SDK does not read it", e.Key)})
				continue
			}
			if want, ok := snap.otherSpelling(data, fsp); ok {
				found = append(found, Violation{Field: dataField(data, e.Key), Detail: fmt.Sprintf("%q is not found for DFSP %q: file names are case-sensitive; want %q", e.Key, want, want+".pem")})
			}
		}
		if !applies {
			return notApplicable
		}
		return failedOrPassed(found)
	},
}

// otherSpelling returns a signer whose id differs from a file's name in case
// only, where the data has no file with the right name.
func (s *Snapshot) otherSpelling(d *Data, fsp string) (string, bool) {
	if _, ok := s.whole().signers[fsp]; ok {
		return "", false
	}
	for _, id := range s.withoutKey(d) {
		if strings.EqualFold(id, fsp) {
			return id, true
		}
	}
	return "", false
}
