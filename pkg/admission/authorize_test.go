package admission_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mojasec/mojasec/pkg/admission"
	"github.com/mojasec/mojasec/test/fixtures"
)

// reviews answers SubjectAccessReviews.
type reviews struct {
	asked  []authorizationv1.SubjectAccessReviewSpec
	status authorizationv1.SubjectAccessReviewStatus
	err    error
}

func (r *reviews) Create(_ context.Context, review *authorizationv1.SubjectAccessReview, _ metav1.CreateOptions) (*authorizationv1.SubjectAccessReview, error) {
	r.asked = append(r.asked, review.Spec)
	return &authorizationv1.SubjectAccessReview{Status: r.status}, r.err
}

// TestAuthorizer: the API server is asked about the whole user; a yes is
// remembered for seconds, a no not at all, and an error is neither.
func TestAuthorizer(t *testing.T) {
	t.Parallel()
	api := &reviews{}
	now := fixtures.Now
	a := admission.NewAuthorizer(api, func() time.Time { return now })
	user := authenticationv1.UserInfo{Username: "bob", UID: "7", Groups: []string{"g"}, Extra: map[string]authenticationv1.ExtraValue{"scopes": {"x"}}}
	attrs := admission.ResourceAttributes{Resource: "quarantines", Namespace: "mojaloop", Name: "incident-7"}
	ask := func(user authenticationv1.UserInfo, want bool, calls int) {
		t.Helper()
		ok, err := a.Allowed(context.Background(), user, "approve", attrs)
		if err != nil || ok != want || len(api.asked) != calls {
			t.Errorf("got %t, error %v after %d questions; want %t after %d", ok, err, len(api.asked), want, calls)
		}
	}
	ask(user, false, 1)
	ask(user, false, 2)
	api.status.Allowed = true
	ask(user, true, 3)
	ask(user, true, 3)
	other := user
	other.Extra = map[string]authenticationv1.ExtraValue{"scopes": {"y"}}
	ask(other, true, 4)
	now = now.Add(6 * time.Second)
	api.status = authorizationv1.SubjectAccessReviewStatus{Allowed: true, Denied: true}
	ask(user, false, 5)
	want := authorizationv1.SubjectAccessReviewSpec{
		User: "bob", UID: "7", Groups: []string{"g"}, Extra: map[string]authorizationv1.ExtraValue{"scopes": {"x"}},
		ResourceAttributes: &authorizationv1.ResourceAttributes{Group: "mojasec.io", Resource: "quarantines", Namespace: "mojaloop", Name: "incident-7", Verb: "approve"},
	}
	if diff := cmp.Diff(want, api.asked[0]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, status := range []authorizationv1.SubjectAccessReviewStatus{{}, {EvaluationError: "webhook authorizer is gone"}} {
		api.status = status
		if status.EvaluationError == "" {
			api.err = errors.New("connection refused")
		}
		if _, err := a.Allowed(context.Background(), user, "approve", attrs); err == nil {
			t.Errorf("%+v: no error", status)
		}
		api.err = nil
	}
}
