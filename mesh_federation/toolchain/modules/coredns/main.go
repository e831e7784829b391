// Command coredns is CoreDNS with the plugins that answer for the Services of a cluster, and no other.
//
// CoreDNS' own main also compiles the SDKs of several clouds, for plugins that a native cluster has no use for. A
// Corefile that names a plugin that is not imported here is refused when it starts.
package main

import (
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"

	"github.com/coredns/coredns/coremain"
)

func main() {
	coremain.Run()
}
