package admission

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The custom verbs of group mojasec.io.
const (
	verbUnenforce  = "unenforce"  // on profiles: weaken what is enforced
	verbRespond    = "respond"    // on quarantines: work inside one
	verbBreakglass = "breakglass" // on quarantines: act in spite of one
	verbApprove    = "approve"    // on quarantines: be the second person of a release
)

// ResourceAttributes names what a user wants to act on. The group is always
// mojasec.io.
type ResourceAttributes struct{ Resource, Namespace, Name string }

// Authorizer knows what users may do.
type Authorizer interface {
	// Allowed tells whether a user may use a verb; an error says that nobody
	// could tell.
	Allowed(ctx context.Context, user authenticationv1.UserInfo, verb string, attrs ResourceAttributes) (bool, error)
}

// SubjectAccessReviews asks the API server. It is implemented by the client of
// authorization.k8s.io/v1.
type SubjectAccessReviews interface {
	Create(ctx context.Context, review *authorizationv1.SubjectAccessReview, opts metav1.CreateOptions) (*authorizationv1.SubjectAccessReview, error)
}

const (
	// allowedFor is how long a yes counts. A no does not: whoever was just
	// given a right is not to wait, and refusals are rare.
	allowedFor = 5 * time.Second
	// maxAllowed bounds the memory of the cache.
	maxAllowed = 1024
)

// NewAuthorizer returns an Authorizer that asks an API server and remembers a
// yes for some seconds.
func NewAuthorizer(client SubjectAccessReviews, now func() time.Time) Authorizer {
	return &accessReviews{client: client, now: now, allowed: map[string]time.Time{}}
}

type accessReviews struct {
	client SubjectAccessReviews
	now    func() time.Time

	mu      sync.Mutex
	allowed map[string]time.Time // until when
}

// Allowed implements Authorizer.
func (a *accessReviews) Allowed(ctx context.Context, user authenticationv1.UserInfo, verb string, attrs ResourceAttributes) (bool, error) {
	key := accessKey(user, verb, attrs)
	if a.remembers(key) {
		return true, nil
	}
	extra := make(map[string]authorizationv1.ExtraValue, len(user.Extra))
	for k, v := range user.Extra {
		extra[k] = authorizationv1.ExtraValue(v)
	}
	answer, err := a.client.Create(ctx, &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user.Username, UID: user.UID, Groups: user.Groups, Extra: extra,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Group: "mojasec.io", Resource: attrs.Resource, Namespace: attrs.Namespace, Name: attrs.Name, Verb: verb,
		},
	}}, metav1.CreateOptions{})
	switch {
	case err != nil:
		return false, fmt.Errorf("ask whether %q may %s %s: %w", user.Username, verb, attrs.Resource, err)
	case answer.Status.Allowed && !answer.Status.Denied:
		a.remember(key)
		return true, nil
	case answer.Status.EvaluationError != "":
		return false, fmt.Errorf("ask whether %q may %s %s: the authorizer could not tell", user.Username, verb, attrs.Resource)
	}
	return false, nil
}

func (a *accessReviews) remembers(key string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.now().Before(a.allowed[key])
}

func (a *accessReviews) remember(key string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.allowed) >= maxAllowed {
		clear(a.allowed)
	}
	a.allowed[key] = a.now().Add(allowedFor)
}

// accessKey holds everything the answer depends on. Fields are quoted, so that
// no two users share a key.
func accessKey(user authenticationv1.UserInfo, verb string, attrs ResourceAttributes) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q %q %q %q %q", user.Username, user.UID, user.Groups, verb, attrs)
	names := make([]string, 0, len(user.Extra))
	for name := range user.Extra {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, " %q=%q", name, []string(user.Extra[name]))
	}
	return b.String()
}

// may asks the Authorizer; what it does not know is an HTTP 500.
func (h *handler) may(ctx context.Context, req *request, verb string, attrs ResourceAttributes) (bool, error) {
	ok, err := h.Authorizer.Allowed(ctx, req.UserInfo, verb, attrs)
	if err != nil {
		return false, couldNotCheck("%v", err)
	}
	return ok, nil
}

// mayUnenforce tells whether the user may weaken what is enforced.
func (h *handler) mayUnenforce(ctx context.Context, req *request) (bool, error) {
	return h.may(ctx, req, verbUnenforce, ResourceAttributes{Resource: "profiles", Name: "default"})
}
