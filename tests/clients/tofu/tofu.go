// OpenTofu, built from its module as its own go.mod says: `go install` of a version would leave out what
// that replaces.

//go:build tools

package tofu

import _ "github.com/opentofu/opentofu/cmd/tofu"
