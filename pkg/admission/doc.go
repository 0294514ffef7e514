// Package admission is the door through which changes of a cluster enter: the
// HTTP handlers behind mojasec's webhook configurations.
//
// # What it decides
//
// Nothing about what is safe: that is [policy.Review], the same rules and the
// same words as everywhere else. What is decided here is what to do with the
// findings (refuse, warn, note), and the guards: rules about who does what,
// which need the user and the object before the change.
//
// # The answers
//
// A verdict is an AdmissionReview with HTTP status 200. What is no verdict is
// an HTTP status, so that the failurePolicy of the entry decides: 400 for a
// review that cannot be read, 413 for a body over 7 MiB, 415 for another
// content type, 429 when too much is under way, 500 when something that the
// verdict needs could not be read, and for a panic, of that request only.
//
// # What it never does
//
// It writes nothing to the cluster, keeps nothing of a request, and shows no
// secret: messages come from checks, which quote none. An ownerReference, a
// deletionTimestamp or an annotation is data of whoever sends the object, and
// never a reason to look away.
package admission
