package policy

import (
	"fmt"
)

// minSecretBits is what counts as strong, by length × log2(alphabet used).
const minSecretBits = 128

// ilp-secret-strong: long enough, 128 bits by its alphabet, no repetition.
var checkILPSecretStrong = Check{
	ID: "ilp-secret-strong", Category: CategoryILP, Severity: Warning,
	Title: "the ILP secret is strong",
	Fix:   "replace it by a random one: `" + generateILP + " --replace`",
	Doc: `The secret must be at least as long as the Profile says (` + "`spec.ilp.minLength`" + `, 32 by default), have 128
bits reckoned as length × log2(size of the alphabet used), and not repeat itself. 32 random
hexadecimal digits pass.`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		return eachILP(sub, snap, func(v ilpValue) (Violation, bool) {
			s := v.value.Secret
			least := int(snap.profile.ILP.MinLength)
			var why string
			switch {
			case s.Published > 0 || s.Length == 0: // said already, and worse
				return Violation{}, false
			case s.Length < least:
				why = fmt.Sprintf("has %d characters; want at least %d", s.Length, least)
			case s.Repetitive:
				why = "repeats itself"
			case s.Bits < minSecretBits:
				why = fmt.Sprintf("has at most %d bits by the characters it uses; want %d", s.Bits, minSecretBits)
			default:
				return Violation{}, false
			}
			return Violation{Detail: fmt.Sprintf("ILP_SECRET of container %s %s", v.container.Name, why)}, true
		})
	},
}
