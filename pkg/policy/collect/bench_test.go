package collect

import (
	"bytes"
	"fmt"
	"testing"
)

// pods is a stream of SDK pods of about 1.4 KB each.
func pods(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, `---
apiVersion: v1
kind: Pod
metadata:
  name: perffsp-%[1]d-sdk
  namespace: mojaloop
  labels:
    app.kubernetes.io/name: sdk-scheme-adapter
    app.kubernetes.io/instance: perffsp-%[1]d
    dfsp: perffsp-%[1]d
  annotations:
    proxy.istio.io/config: '{"holdApplicationUntilProxyStarts": true}'
spec:
  serviceAccountName: perffsp-%[1]d
  containers:
    - name: sdk-scheme-adapter
      image: docker.io/mojaloop/sdk-scheme-adapter:v24.19.4
      ports:
        - {name: inbound, containerPort: 4000}
        - {name: outbound, containerPort: 4001}
      env:
        - name: DFSP_ID
          value: perffsp-%[1]d
        - name: JWS_SIGN
          value: "true"
        - name: VALIDATE_INBOUND_JWS
          value: "true"
        - name: JWS_SIGNING_KEY_PATH
          value: /opt/app/secrets/jwsSigningKey.pem
        - name: JWS_VERIFICATION_KEYS_DIRECTORY
          value: /opt/app/secrets/jwsVerificationKeys
        - name: ILP_SECRET
          valueFrom:
            secretKeyRef: {name: perffsp-%[1]d-ilp, key: ILP_SECRET}
      resources:
        requests: {cpu: 100m, memory: 256Mi}
      volumeMounts:
        - name: jws
          mountPath: /opt/app/secrets
          readOnly: true
  volumes:
    - name: jws
      secret:
        secretName: perffsp-%[1]d-jws-keys
`, i)
	}
	return b.Bytes()
}

func benchmarkPods(b *testing.B, n int) {
	b.Helper()
	data := pods(n)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := Files(b.Context(), Options{Paths: []string{"-"}, Stdin: bytes.NewReader(data)})
		if err != nil || len(r.Objects) != n || len(r.Errors) > 0 {
			b.Fatalf("got %d objects, %d errors, %v", len(r.Objects), len(r.Errors), err)
		}
	}
}

func BenchmarkCollect1Pod(b *testing.B)      { benchmarkPods(b, 1) }
func BenchmarkCollect1000Pods(b *testing.B)  { benchmarkPods(b, 1000) }
func BenchmarkCollect10000Pods(b *testing.B) { benchmarkPods(b, 10000) }
