// Command pulumi-resource-kubernetes is Pulumi's Kubernetes provider, built from its published Go module.
//
// The module's own main embeds two files that only exist after its release process has generated them, so this one
// embeds the module's sources of those files instead; the toolchain puts them beside this file before it builds.
package main

import (
	_ "embed"
	"encoding/json"
	"log"

	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider"
)

//go:embed schema.json
var schema []byte

//go:embed terraform-mapping.json
var terraformMapping []byte

// version is set by the linker to the release that the pinned commit is.
var version string

func main() {
	stamped, err := stamp(schema, version)
	if err != nil {
		log.Fatalf("the provider's schema is not JSON: %v", err)
	}
	provider.Serve("kubernetes", version, stamped, terraformMapping)
}

// stamp sets the schema's version, which the source file leaves out and the engine asks for.
func stamp(schema []byte, version string) ([]byte, error) {
	var document map[string]json.RawMessage
	if err := json.Unmarshal(schema, &document); err != nil {
		return nil, err
	}
	quoted, err := json.Marshal(version)
	if err != nil {
		return nil, err
	}
	document["version"] = quoted
	return json.Marshal(document)
}
