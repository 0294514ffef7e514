package yamltree

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// typeInfo is what decoding must know of a type.
type typeInfo struct {
	unmarshaler bool // reads JSON itself
	bytes       bool
	fields      map[string][]int // of a struct: index by JSON name
}

// typeInfos by reflect.Type. They are made as types are met: most programs
// read a few kinds only.
var typeInfos sync.Map

var unmarshalerType = reflect.TypeFor[json.Unmarshaler]()

func typeOf(t reflect.Type) *typeInfo {
	if info, ok := typeInfos.Load(t); ok {
		return info.(*typeInfo)
	}
	info := &typeInfo{
		unmarshaler: t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(unmarshalerType),
		bytes:       t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8,
	}
	if t.Kind() == reflect.Struct && !info.unmarshaler {
		info.fields = map[string][]int{}
		addFields(info.fields, t, nil)
	}
	typeInfos.Store(t, info)
	return info
}

// addFields adds the fields of a struct under their JSON names, those of inlined
// structs among them.
func addFields(fields map[string][]int, t reflect.Type, prefix []int) {
	for i := range t.NumField() {
		f := t.Field(i)
		index := append(slices.Clip(prefix), i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "" && f.Type.Kind() == reflect.Struct && (f.Anonymous || options == "inline"):
			addFields(fields, f.Type, index)
		case name != "" && name != "-" && f.IsExported():
			fields[name] = index
		}
	}
}

// wantOf describes what a type that reads JSON itself accepts; empty when that
// takes more than a few words.
func wantOf(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[resource.Quantity]():
		return "a quantity such as 500m or 1Gi"
	case reflect.TypeFor[intstr.IntOrString]():
		return "a number or a string"
	case reflect.TypeFor[metav1.Time](), reflect.TypeFor[metav1.MicroTime]():
		return "a time such as 2026-01-31T12:00:00Z"
	case reflect.TypeFor[metav1.Duration]():
		return "a duration such as 1h30m"
	}
	return ""
}
