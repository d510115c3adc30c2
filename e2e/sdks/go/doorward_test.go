// Package doorward holds tests of Go's usual OpenID Connect libraries against a running Doorward. Started by ../run.js.
package doorward

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2/clientcredentials"
)

var issuer = os.Getenv("ISSUER")

// config asks for a Management API token. x/oauth2 tries HTTP Basic first and the body only after a refusal.
func config() clientcredentials.Config {
	return clientcredentials.Config{
		ClientID:       os.Getenv("CLIENT_ID"),
		ClientSecret:   os.Getenv("CLIENT_SECRET"),
		TokenURL:       issuer + "oauth/token",
		EndpointParams: url.Values{"audience": {issuer + "api/v2/"}},
	}
}

func TestDiscoveryAndClientCredentials(t *testing.T) {
	ctx := context.Background()
	provider, err := oidc.NewProvider(ctx, issuer)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := provider.Endpoint().TokenURL, issuer+"oauth/token"; got != want {
		t.Fatalf("token endpoint: %s, want %s", got, want)
	}
	credentials := config()
	token, err := credentials.Token(ctx)
	if err != nil {
		t.Fatal(err)
	}
	verifier := provider.Verifier(&oidc.Config{ClientID: issuer + "api/v2/"})
	verified, err := verifier.Verify(ctx, token.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	if want := os.Getenv("CLIENT_ID") + "@clients"; verified.Subject != want {
		t.Fatalf("subject: %s, want %s", verified.Subject, want)
	}
}

func TestAWrongSecretIsRefused(t *testing.T) {
	credentials := config()
	credentials.ClientSecret = "wrong"
	if _, err := credentials.Token(context.Background()); err == nil {
		t.Fatal("a token was given for a wrong secret")
	}
}

func TestUsersByEmail(t *testing.T) {
	credentials := config()
	client := credentials.Client(context.Background())
	answer, err := client.Get(issuer + "api/v2/users-by-email?email=" + url.QueryEscape(os.Getenv("EMAIL")))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var users []struct {
		UserID string `json:"user_id"`
		Email  string `json:"email"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&users); err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK || len(users) != 1 || users[0].Email != os.Getenv("EMAIL") {
		t.Fatalf("%s: %+v", answer.Status, users)
	}
}
