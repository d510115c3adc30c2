// Package doorward holds tests of Go's usual OpenID Connect libraries and of go-auth0 against a running Doorward. Started by ../run.js.
package doorward

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
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

type person struct{ Email, Password, id string }

// newUser is somebody whom nobody else uses, made over the Management API.
func newUser(t *testing.T) person {
	t.Helper()
	credentials, who := config(), person{Email: strings.ToLower(rand.Text()) + "@example.com", Password: "Correct-Horse-1!"}
	body, _ := json.Marshal(map[string]any{
		"connection": "Username-Password-Authentication", "email": who.Email, "password": who.Password, "email_verified": true,
	})
	answer, err := credentials.Client(context.Background()).Post(issuer+"api/v2/users", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var made struct {
		UserID string `json:"user_id"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&made); err != nil || answer.StatusCode != http.StatusCreated {
		t.Fatalf("%s: %v", answer.Status, err)
	}
	who.id = made.UserID
	return who
}

// ask has ../person.js do what a person does, and tells where that led, or what the last page or letter says.
func ask(t *testing.T, deed string, what map[string]string) (address, text string) {
	t.Helper()
	body, _ := json.Marshal(what)
	answer, err := http.Post(os.Getenv("PERSON")+"/"+deed, "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	said, _ := io.ReadAll(answer.Body)
	var end struct{ Address, Text string }
	if err := json.Unmarshal(said, &end); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", answer.Status, said)
	}
	return end.Address, end.Text
}

// signIn has the person sign in at an address.
func (who person) signIn(t *testing.T, address string) (*url.URL, string) {
	t.Helper()
	led, text := ask(t, "sign-in", map[string]string{"address": address, "email": who.Email, "password": who.Password})
	back, err := url.Parse(led)
	if err != nil {
		t.Fatal(err)
	}
	return back, text
}

// app is a confidential client whose users sign in, with what discovery says of the server.
func app(t *testing.T, scopes ...string) (*oidc.Provider, oauth2.Config) {
	t.Helper()
	provider, err := oidc.NewProvider(context.Background(), issuer)
	if err != nil {
		t.Fatal(err)
	}
	return provider, oauth2.Config{
		ClientID:     os.Getenv("APP_ID"),
		ClientSecret: os.Getenv("APP_SECRET"),
		Endpoint:     provider.Endpoint(),
		RedirectURL:  "https://app.example.com/callback",
		Scopes:       scopes,
	}
}

// subjectOf is who an ID token tells of, once go-oidc takes it.
func subjectOf(t *testing.T, provider *oidc.Provider, token *oauth2.Token, nonce string) string {
	t.Helper()
	raw, _ := token.Extra("id_token").(string)
	verified, err := provider.Verifier(&oidc.Config{ClientID: os.Getenv("APP_ID")}).Verify(context.Background(), raw)
	if err != nil {
		t.Fatal(err)
	}
	if verified.Nonce != nonce {
		t.Fatalf("nonce: %q, want %q", verified.Nonce, nonce)
	}
	if verified.AccessTokenHash != "" {
		if err := verified.VerifyAccessToken(token.AccessToken); err != nil {
			t.Fatal(err)
		}
	}
	return verified.Subject
}

func TestACodeWithPKCEGivesTokensThatRenew(t *testing.T) {
	ctx, who, verifier := context.Background(), newUser(t), oauth2.GenerateVerifier()
	provider, config := app(t, oidc.ScopeOpenID, "email", oidc.ScopeOfflineAccess)
	back, _ := who.signIn(t, config.AuthCodeURL("abc", oidc.Nonce("n-1"), oauth2.S256ChallengeOption(verifier)))
	if got := back.Query().Get("state"); got != "abc" {
		t.Fatalf("state: %q", got)
	}
	token, err := config.Exchange(ctx, back.Query().Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	if got := subjectOf(t, provider, token, "n-1"); got != who.id {
		t.Fatalf("subject: %s, want %s", got, who.id)
	}
	info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil || info.Subject != who.id || info.Email != who.Email || !info.EmailVerified {
		t.Fatalf("userinfo: %+v, %v", info, err)
	}
	// A token that has ended is renewed by the library on its own.
	old := token.AccessToken
	token.Expiry = time.Now().Add(-time.Hour)
	renewed, err := config.TokenSource(ctx, token).Token()
	if err != nil || renewed.AccessToken == old {
		t.Fatalf("renewal: %v", err)
	}
	if got := subjectOf(t, provider, renewed, ""); got != who.id {
		t.Fatalf("subject after the renewal: %s", got)
	}
	if _, err := config.Exchange(ctx, back.Query().Get("code"), oauth2.VerifierOption(verifier)); err == nil {
		t.Fatal("a code was taken twice")
	}
}

func TestAPasswordGivesTokens(t *testing.T) {
	who := newUser(t)
	provider, config := app(t, oidc.ScopeOpenID)
	token, err := config.PasswordCredentialsToken(context.Background(), who.Email, who.Password)
	if err != nil {
		t.Fatal(err)
	}
	if got := subjectOf(t, provider, token, ""); got != who.id {
		t.Fatalf("subject: %s, want %s", got, who.id)
	}
	if _, err := config.PasswordCredentialsToken(context.Background(), who.Email, "wrong"); err == nil {
		t.Fatal("a token was given for a wrong password")
	}
}

func TestADeviceWaitsForItsPerson(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	who := newUser(t)
	provider, config := app(t, oidc.ScopeOpenID)
	device, err := config.DeviceAuth(ctx, oauth2.SetAuthURLParam("client_secret", config.ClientSecret))
	if err != nil {
		t.Fatal(err)
	}
	if _, text := who.signIn(t, device.VerificationURIComplete); !strings.Contains(text, "Your device is connected") {
		t.Fatalf("the last page says: %s", text)
	}
	token, err := config.DeviceAccessToken(ctx, device)
	if err != nil {
		t.Fatal(err)
	}
	if got := subjectOf(t, provider, token, ""); got != who.id {
		t.Fatalf("subject: %s, want %s", got, who.id)
	}
}
