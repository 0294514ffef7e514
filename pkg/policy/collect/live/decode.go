package live

import (
	"context"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

// unreadable is an object of another vendor's kind that does not fit its Go
// type: a later version of Istio may have values that this one does not know.
// It must not stop all others from being read.
type unreadable struct {
	metav1.PartialObjectMetadata
	err error
}

// DeepCopyObject implements runtime.Object.
func (u *unreadable) DeepCopyObject() runtime.Object {
	return &unreadable{PartialObjectMetadata: *u.DeepCopy(), err: u.err}
}

// tolerant decodes what cannot be decoded as unreadable.
type tolerant struct{ runtime.NegotiatedSerializer }

// DecoderToVersion implements runtime.NegotiatedSerializer.
func (t tolerant) DecoderToVersion(d runtime.Decoder, gv runtime.GroupVersioner) runtime.Decoder {
	return tolerantDecoder{t.NegotiatedSerializer.DecoderToVersion(d, gv)}
}

type tolerantDecoder struct{ runtime.Decoder }

// Decode implements runtime.Decoder.
func (d tolerantDecoder) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	obj, gvk, err := d.Decoder.Decode(data, defaults, into)
	if err == nil || into != nil {
		return obj, gvk, err
	}
	u := &unreadable{err: err}
	if json.Unmarshal(data, &u.PartialObjectMetadata) != nil || u.Name == "" {
		return obj, gvk, err
	}
	return u, gvk, nil
}

// readPage reads a page of a list and calls take with a copy of each object, so
// that one that stays does not hold the page.
func readPage(ctx context.Context, k *kind, req *rest.Request, c codecs, take func(runtime.Object) error) (metav1.ListMeta, error) {
	if k.presence != optional {
		list := k.list()
		if err := req.Do(ctx).Into(list); err != nil {
			return metav1.ListMeta{}, err
		}
		m, err := meta.ListAccessor(list)
		if err != nil {
			return metav1.ListMeta{}, err
		}
		return metav1.ListMeta{ResourceVersion: m.GetResourceVersion(), Continue: m.GetContinue()}, meta.EachListItemWithAlloc(list, take)
	}
	var page struct {
		metav1.ListMeta `json:"metadata"`
		Items           []json.RawMessage `json:"items"`
	}
	body, err := req.Do(ctx).Raw()
	if err != nil {
		return metav1.ListMeta{}, err
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return metav1.ListMeta{}, fmt.Errorf("decode a list of %s: %w", k.groupResource(), err)
	}
	decoder := tolerantDecoder{c.factory.WithoutConversion().DecoderToVersion(c.json, nil)}
	for _, item := range page.Items {
		obj, _, err := decoder.Decode(item, nil, nil)
		if err == nil {
			err = take(obj)
		}
		if err != nil {
			return metav1.ListMeta{}, fmt.Errorf("decode an item of %s: %w", k.groupResource(), err)
		}
	}
	return page.ListMeta, nil
}
