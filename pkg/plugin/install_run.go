package plugin

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/version"
)

// Run installs or protects, or prints what it would apply.
func (o *InstallOptions) Run(ctx context.Context) error {
	if len(o.Namespaces) > 0 {
		return o.protect(ctx)
	}
	if o.Output != "" {
		objs, err := o.Manifests.render()
		if err != nil {
			return err
		}
		return printObjects(o.Out, objs, o.Output)
	}
	info, err := o.version(ctx)
	if err != nil {
		return err
	}
	if reason := tooOld(info); reason != "" {
		return refused("%s", reason)
	}
	if err := o.Manifests.recall(ctx, o.cluster); err != nil {
		return err
	}
	objs, err := o.Manifests.render()
	if err != nil {
		return err
	}
	steps, err := o.plan(ctx, objs)
	if err != nil {
		return err
	}
	if len(pending(steps)) > 0 {
		if err := o.agree(ctx, steps); err != nil {
			return err
		}
	}
	return o.carryOut(ctx, steps)
}

// tooOld says why a version of Kubernetes is not supported; "" when it is. What
// cannot be read is taken for new.
func tooOld(info *version.Info) string {
	major, err1 := strconv.Atoi(info.Major)
	minor, err2 := strconv.Atoi(strings.TrimSuffix(info.Minor, "+"))
	if err1 != nil || err2 != nil || major > minMajor || major == minMajor && minor >= minMinor {
		return ""
	}
	return fmt.Sprintf("Kubernetes is %s; want %d.%d or later", info.GitVersion, minMajor, minMinor)
}

// plan compares the manifests with the cluster.
func (o *InstallOptions) plan(ctx context.Context, objs []*unstructured.Unstructured) ([]step, error) {
	coming := map[string]bool{} // namespaces of the plan
	var steps []step
	for _, obj := range objs {
		if obj.GetKind() == kindNamespace {
			coming[obj.GetName()] = true
		}
		if ns := obj.GetNamespace(); ns != "" && !coming[ns] {
			have, err := o.read(ctx, kindOf("", kindNamespace), "", ns)
			if err != nil {
				return nil, err
			}
			if have == nil {
				o.say("left out: %s: there is no namespace %s", nameOfObject(obj), ns)
				continue
			}
		}
		s, err := o.planOne(ctx, obj)
		if err != nil {
			return nil, err
		}
		steps = append(steps, s)
	}
	return steps, nil
}

// planOne compares one object with the cluster.
func (o *InstallOptions) planOne(ctx context.Context, obj *unstructured.Unstructured) (step, error) {
	if isWebhookConfiguration(obj.GetKind()) {
		live, err := o.read(ctx, obj.GroupVersionKind().GroupKind(), "", obj.GetName())
		if err != nil {
			return step{}, err
		}
		// The process that answers owns the bundle; leaving the field out would
		// take it away where an earlier install set it.
		obj = withBundles(obj, bundlesOf(live), firstOf(bundlesOf(live)))
	}
	what, live, err := o.preview(ctx, obj, o.ForceConflicts)
	if live != nil && what != unchanged {
		// Of a tool that owns the object, a conflict is only the first sign.
		if owner := ownerOf(live); owner != nil {
			return step{}, owner.refuse(nameOfObject(obj), fmt.Sprintf("put the output of `%s install -o yaml` there", displayName))
		}
	}
	if err != nil {
		return step{}, err
	}
	return step{action: what, object: obj}, nil
}

// firstOf returns a value of a map that is not empty, the same in each run.
func firstOf(m map[string]string) string {
	var values []string
	for _, v := range m {
		if v != "" {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return ""
	}
	return slices.Min(values)
}

// carryOut applies what is pending, and waits where the next step needs it.
func (o *InstallOptions) carryOut(ctx context.Context, steps []step) error {
	dry := o.DryRun != dryRunNone
	waited := dry || !slices.ContainsFunc(pending(steps), func(s step) bool { return isWebhookConfiguration(s.object.GetKind()) })
	for i, s := range steps {
		kind := s.object.GetKind()
		if isWebhookConfiguration(kind) && !waited {
			if err := o.awaitWebhook(ctx); err != nil {
				return err
			}
			waited = true
		}
		if s.action != unchanged && !dry {
			if err := o.applyStep(ctx, s); err != nil {
				return err
			}
		}
		o.done(s)
		last := i+1 == len(steps) || steps[i+1].object.GetKind() != kind
		if kind == kindCRD && last && !dry {
			if err := o.awaitCRDs(ctx, steps); err != nil {
				return err
			}
		}
	}
	if !dry {
		return o.awaitWebhook(ctx)
	}
	return nil
}

func (o *InstallOptions) applyStep(ctx context.Context, s step) error {
	obj := s.object
	if isWebhookConfiguration(obj.GetKind()) {
		bundle, err := o.trustBundle(ctx)
		if err != nil {
			return err
		}
		// What is trusted already stays: the webhook changes it, in its own time.
		obj = withBundles(obj, bundlesOf(obj), bundle)
	}
	_, err := o.apply(ctx, obj, false, o.ForceConflicts)
	return conflict(obj, err)
}

// awaitCRDs waits until the API server serves the kinds.
func (o *InstallOptions) awaitCRDs(ctx context.Context, steps []step) error {
	for _, s := range steps {
		if s.object.GetKind() != kindCRD {
			continue
		}
		err := o.await(ctx, nameOfObject(s.object), func(ctx context.Context) (bool, string, error) {
			live, err := o.read(ctx, kindOf(groupAPIExtensions, kindCRD), "", s.object.GetName())
			if err != nil {
				return false, "", err
			}
			return isEstablished(live), "not established yet", nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func isEstablished(crd *unstructured.Unstructured) bool {
	return crd != nil && hasCondition(crd, "Established")
}

// hasCondition tells whether a condition of an object is true.
func hasCondition(obj *unstructured.Unstructured, name string) bool {
	conditions, _, err := unstructured.NestedSlice(obj.Object, "status", "conditions")
	return err == nil && slices.ContainsFunc(conditions, func(c any) bool {
		condition, ok := c.(map[string]any)
		return ok && condition["type"] == name && condition["status"] == "True"
	})
}

// awaitWebhook waits until the webhook answers and has written the certificate
// that callers are to trust.
func (o *InstallOptions) awaitWebhook(ctx context.Context) error {
	err := o.await(ctx, "the certificate of the webhook", func(ctx context.Context) (bool, string, error) {
		bundle, err := o.trustBundle(ctx)
		return bundle != "", "there is no Secret " + o.Manifests.tlsSecret() + " with one yet", err
	})
	if err != nil {
		return err
	}
	if o.Manifests.URL != "" {
		return o.await(ctx, "the webhook at "+o.Manifests.URL, func(ctx context.Context) (bool, string, error) {
			bundle, err := o.trustBundle(ctx)
			if err != nil {
				return false, "", err
			}
			if err := askWebhook(ctx, o.Manifests.URL, bundle); err != nil {
				return false, err.Error(), nil
			}
			return true, "", nil
		})
	}
	return o.awaitRollout(ctx, kindOf("apps", kindDeployment), systemNamespace, webhookName)
}

// trustBundle returns what the API server has to trust, in base64; "" while
// there is nothing.
func (o *InstallOptions) trustBundle(ctx context.Context) (string, error) {
	secret, err := o.read(ctx, kindOf("", "Secret"), systemNamespace, o.Manifests.tlsSecret())
	if err != nil || secret == nil {
		return "", err
	}
	bundle, _, err := unstructured.NestedString(secret.Object, "data", tlsBundleKey)
	if err != nil {
		return "", fmt.Errorf("read the bundle in Secret %s: %w", o.Manifests.tlsSecret(), err)
	}
	return bundle, nil
}

// tlsBundleKey is the key of the Secret under which the CA certificates are.
const tlsBundleKey = "ca.crt"

// trial is a review of a Profile that counts for nothing: whoever judges
// anything can judge it.
var trial = []byte(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{
 "uid":"` + probeName + `","operation":"CREATE","dryRun":true,"name":"` + probeName + `","userInfo":{"username":"` + fieldManager + `"},
 "kind":{"group":"mojasec.io","version":"v1alpha1","kind":"Profile"},"resource":{"group":"mojasec.io","version":"v1alpha1","resource":"profiles"},
 "object":{"apiVersion":"mojasec.io/v1alpha1","kind":"Profile","metadata":{"name":"` + probeName + `"},"spec":{}}}}`)

// askWebhook asks a webhook outside of the cluster as the API server does, and
// says why there is no verdict. One that wants to see a client certificate of
// the API server is taken to be up. The bundle is in base64.
func askWebhook(ctx context.Context, address, bundle string) error {
	pem, err := base64.StdEncoding.DecodeString(bundle)
	if err != nil {
		return fmt.Errorf("read the CA bundle: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(address, "/")+"/validate", bytes.NewReader(trial))
	if err != nil {
		return fmt.Errorf("ask the webhook: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := transport.RoundTrip(request)
	if alert, ok := errors.AsType[tls.AlertError](err); ok && alert == alertCertificateRequired {
		return nil
	}
	if err != nil {
		return fmt.Errorf("ask the webhook: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // it was only read
	if response.StatusCode == http.StatusOK {
		return nil
	}
	text, _ := io.ReadAll(io.LimitReader(response.Body, 512)) // without a text the status has to do
	return fmt.Errorf("it answers HTTP %d: %s", response.StatusCode, visible(strings.TrimSpace(string(text))))
}

// askTimeout is how long the API server waits for a webhook of ours.
const askTimeout = 5 * time.Second

// alertCertificateRequired is the alert of RFC 8446 for a client without a
// certificate.
const alertCertificateRequired = 116
