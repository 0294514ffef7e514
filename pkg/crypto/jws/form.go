package jws

// Form is which text of a body a signature covers, and so which peers accept
// the message.
type Form int

// The forms. The first is what [PrivateKey.Sign] makes.
const (
	// Sorted: the text with sorted names, which is also what older SDKs make of
	// the body as it was received.
	Sorted Form = iota + 1
	// SortedOnly: the text with sorted names, while the body was received in
	// another order, or has names that are array indices. Older SDKs refuse it.
	SortedOnly
	// Ordered: the text in the order of the body. Newer SDKs refuse it.
	Ordered
	// Raw: the bytes as received. No SDK accepts it.
	Raw
)

// String names the form: sorted, sorted-only, ordered or raw.
func (f Form) String() string {
	switch f {
	case Sorted:
		return "sorted"
	case SortedOnly:
		return "sorted-only"
	case Ordered:
		return "ordered"
	case Raw:
		return "raw"
	default:
		return "none"
	}
}

// newSDK and oldSDK are the releases of sdk-standard-components that sort names
// before they verify, and that do not. Of those on npm 19.19.1 is the first and
// 19.18.8 the last.
const (
	newSDK = "sdk-standard-components 19.19 or later"
	oldSDK = "sdk-standard-components before 19.19"
)

// AcceptedByNew tells that sdk-standard-components from 19.19 on accept the
// signature.
func (f Form) AcceptedByNew() bool { return f == Sorted || f == SortedOnly }

// AcceptedByOld tells that sdk-standard-components before 19.19 accept the
// signature. Those up to 18.1 know RS256 only.
func (f Form) AcceptedByOld() bool { return f == Sorted || f == Ordered }

// Accepts says in words who accepts the message and, when it is not everybody,
// why and what to do.
func (f Form) Accepts() string {
	switch f {
	case Sorted:
		return "every Mojaloop SDK accepts it"
	case SortedOnly:
		return "only peers with " + newSDK + " accept it: the sorted text is signed, but another one was sent; send the body as it was signed"
	case Ordered:
		return "only peers with " + oldSDK + " accept it: the text is signed in its own order, which newer peers sort; upgrade the sender, or sign and send the sorted text"
	case Raw:
		return "no Mojaloop SDK accepts it: the bytes as sent are signed, but a peer parses them and writes them anew; sign and send the sorted text"
	default:
		return "nobody accepts it"
	}
}
