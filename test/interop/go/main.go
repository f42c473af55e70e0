// Verifies JWT-SVIDs with go-spiffe. Reads one JSON object {trustDomain, audience, bundle, tokens} from standard input and writes
// {name: SPIFFE ID or "refused"} to standard output.
package main

import (
	"encoding/json"
	"log"
	"os"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
)

func main() {
	var input struct {
		TrustDomain string
		Audience    string
		Bundle      json.RawMessage
		Tokens      map[string]string
	}
	if err := json.NewDecoder(os.Stdin).Decode(&input); err != nil {
		log.Fatal(err)
	}
	domain, err := spiffeid.TrustDomainFromString(input.TrustDomain)
	if err != nil {
		log.Fatal(err)
	}
	bundle, err := spiffebundle.Parse(domain, input.Bundle)
	if err != nil {
		log.Fatal(err)
	}
	answers := map[string]string{}
	for name, token := range input.Tokens {
		svid, err := jwtsvid.ParseAndValidate(token, bundle, []string{input.Audience})
		if err != nil {
			answers[name] = "refused"
			continue
		}
		answers[name] = svid.ID.String()
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		log.Fatal(err)
	}
}
