package doorward

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/auth0/go-auth0/v2/authentication"
	"github.com/auth0/go-auth0/v2/authentication/oauth"
	"github.com/auth0/go-auth0/v2/management"
	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const (
	connection = "Username-Password-Authentication"
	callback   = "https://app.example.com/callback"
	cibaGrant  = "urn:openid:params:grant-type:ciba"
	realmGrant = "http://auth0.com/oauth/grant-type/password-realm"
)

// auth0 is go-auth0 for a client. It fetches the keys at once, and looks at each ID token that a login gives.
func auth0(t *testing.T, client string, options ...authentication.Option) *authentication.Authentication {
	t.Helper()
	api, err := authentication.New(t.Context(), os.Getenv("DOMAIN"), append(options, authentication.WithClientID(client))...)
	if err != nil {
		t.Fatal(err)
	}
	return api
}

// auth0App is go-auth0 for the app that ../person.js made.
func auth0App(t *testing.T) *authentication.Authentication {
	t.Helper()
	return auth0(t, os.Getenv("APP_ID"), authentication.WithClientSecret(os.Getenv("APP_SECRET")))
}

// refused asserts that the server refused in these words, by go-auth0's own error.
func refused(t *testing.T, err error, status int, code, message string) *authentication.Error {
	t.Helper()
	var refusal *authentication.Error
	if !errors.As(err, &refusal) {
		t.Fatalf("no error of the server: %v", err)
	}
	if refusal.StatusCode != status || refusal.Err != code || refusal.Message != message {
		t.Fatalf("refused by %d %q %q, want %d %q %q", refusal.StatusCode, refusal.Err, refusal.Message, status, code, message)
	}
	return refusal
}

// verified is a token that go-oidc takes, by the published keys, as one for this audience.
func verified(t *testing.T, token, audience string) *oidc.IDToken {
	t.Helper()
	provider, err := oidc.NewProvider(t.Context(), issuer)
	if err != nil {
		t.Fatal(err)
	}
	taken, err := provider.Verifier(&oidc.Config{ClientID: audience}).Verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return taken
}

// authorize is the address that an app sends its user to.
func authorize(client string, more map[string]string) string {
	query := url.Values{"client_id": {client}, "response_type": {"code"}, "redirect_uri": {callback}, "state": {"abc"}}
	for name, value := range more {
		query.Set(name, value)
	}
	return issuer + "authorize?" + query.Encode()
}

// codeFor is what the app's user brings back.
func (who person) codeFor(t *testing.T, address string) string {
	t.Helper()
	back, _ := who.signIn(t, address)
	if code, state := back.Query().Get("code"), back.Query().Get("state"); code == "" || state != "abc" {
		t.Fatalf("the sign-in led to %s", back)
	}
	return back.Query().Get("code")
}

func TestAuth0ClientCredentials(t *testing.T) {
	id, body := os.Getenv("CLIENT_ID"), oauth.LoginWithClientCredentialsRequest{Audience: issuer + "api/v2/"}
	api := auth0(t, id, authentication.WithClientSecret(os.Getenv("CLIENT_SECRET")))
	tokens, err := api.OAuth.LoginWithClientCredentials(t.Context(), body, oauth.IDTokenValidationOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := verified(t, tokens.AccessToken, issuer+"api/v2/").Subject, id+"@clients"; got != want {
		t.Fatalf("subject: %s, want %s", got, want)
	}
	if tokens.TokenType != "Bearer" || tokens.ExpiresIn <= 0 || !slices.Contains(strings.Fields(tokens.Scope), "read:users") {
		t.Fatalf("%s, %d s, %q", tokens.TokenType, tokens.ExpiresIn, tokens.Scope)
	}
	body.ClientSecret = "wrong"
	_, err = api.OAuth.LoginWithClientCredentials(t.Context(), body, oauth.IDTokenValidationOptions{})
	refused(t, err, http.StatusUnauthorized, "access_denied", "Unauthorized")
}

func TestAuth0CodeAndUserInfo(t *testing.T) {
	who, api, ctx := newUser(t), auth0App(t), t.Context()
	address := authorize(os.Getenv("APP_ID"), map[string]string{"scope": "openid email profile", "nonce": "n-1", "max_age": "600"})
	body := oauth.LoginWithAuthCodeRequest{Code: who.codeFor(t, address), RedirectURI: callback}
	// With `MaxAge`, go-auth0 wants `auth_time`.
	expected := oauth.IDTokenValidationOptions{Nonce: "n-1", MaxAge: 10 * time.Minute}
	tokens, err := api.OAuth.LoginWithAuthCode(ctx, body, expected)
	if err != nil {
		t.Fatal(err)
	}
	if got := verified(t, tokens.IDToken, os.Getenv("APP_ID")); got.Subject != who.id || got.Nonce != "n-1" {
		t.Fatalf("subject: %s, nonce: %s", got.Subject, got.Nonce)
	}
	info, err := api.UserInfo(ctx, tokens.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	if info.Sub != who.id || info.Email != who.Email || !info.EmailVerified || info.Name != who.Email || info.UpdatedAt == nil {
		t.Fatalf("%+v", info)
	}
	// A code that comes again is refused, and what it bought ends.
	_, err = api.OAuth.LoginWithAuthCode(ctx, body, expected)
	refused(t, err, http.StatusForbidden, "invalid_grant", "Invalid authorization code")
	_, err = api.UserInfo(ctx, tokens.AccessToken)
	var refusal *authentication.Error
	if !errors.As(err, &refusal) || refusal.StatusCode != http.StatusUnauthorized {
		t.Fatalf("userinfo for a token that ended: %v", err)
	}

	// What the app did not ask for is no token of its user's.
	for claim, expected := range map[string]oauth.IDTokenValidationOptions{"nonce": {Nonce: "n-2"}, "org_id": {Organization: "org_1"}} {
		body.Code = who.codeFor(t, address)
		if _, err := api.OAuth.LoginWithAuthCode(ctx, body, expected); err == nil || !strings.Contains(err.Error(), claim+" claim") {
			t.Fatalf("%+v: %v", expected, err)
		}
	}
}

func TestAuth0CodeWithPKCE(t *testing.T) {
	who, ctx, verifier := newUser(t), t.Context(), oauth2.GenerateVerifier()
	native := newClient(t, &management.CreateClientRequestContent{
		AppType:                 management.ClientAppTypeEnumNative.Ptr(),
		Callbacks:               []string{callback},
		GrantTypes:              []string{"authorization_code"},
		TokenEndpointAuthMethod: management.ClientTokenEndpointAuthMethodEnumNone.Ptr(),
	})
	api := auth0(t, native.GetClientID())
	address := authorize(native.GetClientID(), map[string]string{
		"scope": "openid email", "code_challenge": oauth2.S256ChallengeFromVerifier(verifier), "code_challenge_method": "S256",
	})
	login := func(code, verifier string) (*oauth.TokenSet, error) {
		body := oauth.LoginWithAuthCodeWithPKCERequest{Code: code, CodeVerifier: verifier, RedirectURI: callback}
		return api.OAuth.LoginWithAuthCodeWithPKCE(ctx, body, oauth.IDTokenValidationOptions{})
	}
	_, err := login(who.codeFor(t, address), oauth2.GenerateVerifier())
	refused(t, err, http.StatusForbidden, "invalid_grant", "Failed to verify code verifier")
	tokens, err := login(who.codeFor(t, address), verifier)
	if err != nil {
		t.Fatal(err)
	}
	if got := verified(t, tokens.IDToken, native.GetClientID()).Subject; got != who.id {
		t.Fatalf("subject: %s, want %s", got, who.id)
	}
}

func TestAuth0PasswordIsRenewedAndRevoked(t *testing.T) {
	who, api, ctx := newUser(t), auth0App(t), t.Context()
	body := oauth.LoginWithPasswordRequest{Username: who.Email, Password: who.Password, Scope: "openid email offline_access", Realm: connection}
	first, err := api.OAuth.LoginWithPassword(ctx, body, oauth.IDTokenValidationOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := verified(t, first.IDToken, os.Getenv("APP_ID")).Subject; got != who.id {
		t.Fatalf("subject: %s, want %s", got, who.id)
	}
	renew := func(scope string) (*oauth.TokenSet, error) {
		return api.OAuth.RefreshToken(ctx, oauth.RefreshTokenRequest{RefreshToken: first.RefreshToken, Scope: scope}, oauth.IDTokenValidationOptions{})
	}
	second, err := renew("openid")
	if err != nil {
		t.Fatal(err)
	}
	if got := verified(t, second.IDToken, os.Getenv("APP_ID")).Subject; got != who.id || second.AccessToken == first.AccessToken || second.Scope != "openid" {
		t.Fatalf("renewed: %s, %q", got, second.Scope)
	}
	if info, err := api.UserInfo(ctx, second.AccessToken); err != nil || info.Sub != who.id || info.Email != "" {
		t.Fatalf("userinfo after the renewal: %+v, %v", info, err)
	}
	if err := api.OAuth.RevokeRefreshToken(ctx, oauth.RevokeRefreshTokenRequest{Token: first.RefreshToken}); err != nil {
		t.Fatal(err)
	}
	_, err = renew("")
	refused(t, err, http.StatusForbidden, "invalid_grant", "Unknown or invalid refresh token.")

	body.Password = "wrong"
	for _, realm := range []string{connection, ""} {
		body.Realm = realm
		_, err = api.OAuth.LoginWithPassword(ctx, body, oauth.IDTokenValidationOptions{})
		refused(t, err, http.StatusForbidden, "invalid_grant", "Wrong email or password.")
	}
}

// With HS256, the app's secret is what go-auth0 verifies ID tokens by.
func TestAuth0TokensSignedByTheSecret(t *testing.T) {
	who := newUser(t)
	client := newClient(t, &management.CreateClientRequestContent{
		AppType:          management.ClientAppTypeEnumRegularWeb.Ptr(),
		GrantTypes:       []string{realmGrant},
		JwtConfiguration: &management.ClientJwtConfiguration{Alg: management.SigningAlgorithmEnumHs256.Ptr()},
	})
	secret, hs256 := authentication.WithClientSecret(client.GetClientSecret()), authentication.WithIDTokenSigningAlg("HS256")
	body := oauth.LoginWithPasswordRequest{Username: who.Email, Password: who.Password, Scope: "openid", Realm: connection}
	tokens, err := auth0(t, client.GetClientID(), secret, hs256).OAuth.LoginWithPassword(t.Context(), body, oauth.IDTokenValidationOptions{})
	if err != nil || tokens.IDToken == "" {
		t.Fatalf("%v", err)
	}
	_, err = auth0(t, client.GetClientID(), secret).OAuth.LoginWithPassword(t.Context(), body, oauth.IDTokenValidationOptions{})
	if err == nil || !strings.Contains(err.Error(), `found "HS256" but expected "RS256"`) {
		t.Fatalf("an ID token of HS256 for an app that wants RS256: %v", err)
	}
}

// newKey is a private key of an app's own, with its public half.
func newKey(t *testing.T) (private, public string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	private = string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	return private, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func TestAuth0PrivateKeyAndPushedRequest(t *testing.T) {
	who, ctx := newUser(t), t.Context()
	private, public := newKey(t)
	client := newClient(t, &management.CreateClientRequestContent{
		AppType:    management.ClientAppTypeEnumRegularWeb.Ptr(),
		Callbacks:  []string{callback},
		GrantTypes: []string{"authorization_code", "client_credentials"},
		ClientAuthenticationMethods: &management.ClientCreateAuthenticationMethod{
			PrivateKeyJwt: &management.ClientCreateAuthenticationMethodPrivateKeyJwt{
				Credentials: []*management.PublicKeyCredential{{CredentialType: management.PublicKeyCredentialTypeEnumPublicKey, Pem: public}},
			},
		},
	})
	id := client.GetClientID()
	api := auth0(t, id, authentication.WithClientAssertion(private, "RS256"))
	pushed, err := api.OAuth.PushedAuthorization(ctx, oauth.PushedAuthorizationRequest{
		ResponseType: "code", RedirectURI: callback, Scope: "openid email", Nonce: "n-1", ExtraParameters: map[string]string{"state": "abc"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if pushed.ExpiresIn <= 0 {
		t.Fatalf("%+v", pushed)
	}
	code := who.codeFor(t, issuer+"authorize?"+url.Values{"client_id": {id}, "request_uri": {pushed.RequestURI}}.Encode())
	body := oauth.LoginWithAuthCodeRequest{Code: code, RedirectURI: callback}
	tokens, err := api.OAuth.LoginWithAuthCode(ctx, body, oauth.IDTokenValidationOptions{Nonce: "n-1"})
	if err != nil {
		t.Fatal(err)
	}
	if got := verified(t, tokens.IDToken, id).Subject; got != who.id {
		t.Fatalf("subject: %s, want %s", got, who.id)
	}

	other, _ := newKey(t)
	_, err = auth0(t, id, authentication.WithClientAssertion(other, "RS256")).OAuth.PushedAuthorization(ctx, oauth.PushedAuthorizationRequest{
		ResponseType: "code", RedirectURI: callback,
	})
	refused(t, err, http.StatusUnauthorized, "invalid_client", "The client assertion is not valid")

	// The Management API's half of go-auth0 proves itself in the same way.
	narrow := narrowManagement(t, id, private)
	if _, err := narrow.Users.Get(ctx, who.id, &management.GetUserRequestParameters{}); err != nil {
		t.Fatal(err)
	}
	var forbidden *management.ForbiddenError
	if err := narrow.Users.Delete(ctx, who.id); !errors.As(err, &forbidden) {
		t.Fatalf("deleted with read:users: %v", err)
	}
	assertBody(t, forbidden.Body, map[string]any{
		"statusCode": 403.0, "error": "Forbidden", "message": "Insufficient scope, expected any of: delete:users,delete:current_user", "errorCode": "insufficient_scope",
	})
}
