# A common root and an intermediate a cluster, by openssl: read by both scripts, with the clusters as its arguments.
openssl ecparam -genkey -noout -name prime256v1 -out root-key.pem
openssl req -x509 -new -sha256 -key root-key.pem -days 3650 -config ca.conf -extensions ca \
    -subj "/O=Istio/CN=root CA" -out root-cert.pem
for cluster in "$@"; do
    openssl ecparam -genkey -noout -name prime256v1 -out "$cluster/ca-key.pem"
    openssl req -new -sha256 -key "$cluster/ca-key.pem" -config ca.conf \
        -subj "/O=Istio/CN=$cluster intermediate CA/L=$cluster" -out "$cluster/request.pem"
    openssl x509 -req -sha256 -in "$cluster/request.pem" -days 730 -CA root-cert.pem -CAkey root-key.pem \
        -CAcreateserial -extfile ca.conf -extensions ca -out "$cluster/ca-cert.pem"
    cat "$cluster/ca-cert.pem" root-cert.pem >"$cluster/cert-chain.pem"
done
