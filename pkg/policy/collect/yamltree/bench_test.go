package yamltree

import (
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
)

// BenchmarkDocument reads one Deployment: parse, decode, skeleton.
func BenchmarkDocument(b *testing.B) {
	src, err := NewSource([]byte(deployment))
	if err != nil {
		b.Fatal(err)
	}
	chunk := src.Split()[0]
	doc := func(b *testing.B) *Document {
		docs, err := src.Parse(chunk)
		if err != nil {
			b.Fatal(err)
		}
		return docs[0]
	}
	for _, stage := range []struct {
		name string
		run  func(*Document)
	}{
		{"parse", func(*Document) {}},
		{"tree", func(d *Document) { d.Tree() }},
		{"decode", func(d *Document) { d.Decode(d.Root, &appsv1.Deployment{}) }},
	} {
		b.Run(stage.name, func(b *testing.B) {
			b.ReportAllocs()
			parsed := doc(b)
			for b.Loop() {
				if stage.name == "parse" {
					parsed = doc(b)
				}
				stage.run(parsed)
			}
		})
	}
}

func BenchmarkLocate(b *testing.B) {
	src, err := NewSource([]byte(deployment))
	if err != nil {
		b.Fatal(err)
	}
	docs, err := src.Parse(src.Split()[0])
	if err != nil {
		b.Fatal(err)
	}
	root := docs[0].Tree().Root()
	b.ReportAllocs()
	for b.Loop() {
		start, end := root.Locate("spec.template.spec.containers[0].env[1].valueFrom.secretKeyRef.name")
		if start == end {
			b.Fatal(fmt.Sprint("nothing at ", start))
		}
	}
}
