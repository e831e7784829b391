// Judges authorities as istiod does when it starts, and certificates below them as Go programs of a mesh do.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
)

type authority struct {
	Certificate, Key, Chain, Root string
	Leaves                        []string
}

func judge(given authority) error {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(given.Root)) {
		return errors.New("no root read")
	}
	between.AppendCertsFromPEM([]byte(given.Certificate))
	between.AppendCertsFromPEM([]byte(given.Chain))
	for _, text := range append([]string{given.Certificate}, given.Leaves...) {
		block, _ := pem.Decode([]byte(text))
		if block == nil {
			return errors.New("no PEM")
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return err
		}
		if _, err := certificate.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between}); err != nil {
			return err
		}
	}
	_, err := tls.X509KeyPair([]byte(given.Certificate), []byte(given.Key))
	return err
}

func main() {
	var given []authority
	if err := json.NewDecoder(os.Stdin).Decode(&given); err != nil {
		panic(err)
	}
	answers := make([]string, len(given))
	for i, each := range given {
		if err := judge(each); err != nil {
			answers[i] = err.Error()
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		panic(err)
	}
}
