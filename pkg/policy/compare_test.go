package policy_test

import (
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
)

// protoComparer lets cmp look into Istio's messages.
var protoComparer = cmp.Options{protocmp.Transform()}
