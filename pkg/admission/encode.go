package admission

import (
	"bytes"
	"encoding/json"
	"fmt"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// encodeReview writes the answer to a review.
func encodeReview(out *bytes.Buffer, uid types.UID, resp *admission.Response) error {
	resp.UID = uid
	if resp.Allowed && len(resp.Warnings)+len(resp.AuditAnnotations)+len(resp.Patch) == 0 {
		// Nearly every answer.
		id, err := json.Marshal(uid)
		if err != nil {
			return fmt.Errorf("encode answer: %w", err)
		}
		out.WriteString(`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"uid":`)
		out.Write(id)
		out.WriteString(`,"allowed":true}}`)
		return nil
	}
	if resp.Allowed {
		resp.Result = nil
	}
	review := admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: reviewVersion, Kind: reviewKind},
		Response: &resp.AdmissionResponse,
	}
	if err := json.NewEncoder(out).Encode(&review); err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	return nil
}
