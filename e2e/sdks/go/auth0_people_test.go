package doorward

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/auth0/go-auth0/v2/authentication"
	"github.com/auth0/go-auth0/v2/authentication/ciba"
	"github.com/auth0/go-auth0/v2/authentication/database"
	"github.com/auth0/go-auth0/v2/authentication/oauth"
	"github.com/auth0/go-auth0/v2/authentication/passwordless"
	"github.com/auth0/go-auth0/v2/management"
)

func TestAuth0MailedCode(t *testing.T) {
	email, api, ctx := strings.ToLower(rand.Text())+"@example.com", auth0App(t), t.Context()
	started, err := api.Passwordless.SendEmail(ctx, passwordless.SendEmailRequest{Email: email, Send: "code"})
	if err != nil {
		t.Fatal(err)
	}
	if started.Email != email || started.EmailVerified || started.ID == "" {
		t.Fatalf("%+v", started)
	}
	_, letter := ask(t, "letter", map[string]string{"to": email, "kind": "auth_email_by_code"})
	code := regexp.MustCompile(`\b\d{6}\b`).FindString(letter)
	login := func(code string) (*oauth.TokenSet, error) {
		return api.Passwordless.LoginWithEmail(ctx, passwordless.LoginWithEmailRequest{Email: email, Code: code, Scope: "openid email"}, oauth.IDTokenValidationOptions{})
	}
	_, err = login("x")
	refused(t, err, http.StatusForbidden, "invalid_grant", "Wrong email or verification code.")
	tokens, err := login(code)
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		Email         string
		EmailVerified bool `json:"email_verified"`
	}
	token := verified(t, tokens.IDToken, os.Getenv("APP_ID"))
	if err := token.Claims(&claims); err != nil || claims.Email != email || !claims.EmailVerified || !strings.HasPrefix(token.Subject, "email|") {
		t.Fatalf("%s, %+v, %v", token.Subject, claims, err)
	}
	_, err = login(code)
	refused(t, err, http.StatusForbidden, "invalid_grant", "Wrong email or verification code.")
}

func TestAuth0PersonElsewhere(t *testing.T) {
	who, api, ctx := newUser(t), auth0App(t), t.Context()
	hint := map[string]string{"format": "iss_sub", "iss": issuer, "sub": who.id}
	asked, err := api.CIBA.Initiate(ctx, ciba.Request{LoginHint: hint, Scope: "openid email", BindingMessage: "Order 4711"})
	if err != nil {
		t.Fatal(err)
	}
	poll := func() (*oauth.TokenSet, error) {
		body := url.Values{"auth_req_id": {asked.AuthReqID}, "client_id": {os.Getenv("APP_ID")}, "client_secret": {os.Getenv("APP_SECRET")}}
		return api.OAuth.LoginWithGrant(ctx, cibaGrant, body, oauth.IDTokenValidationOptions{})
	}
	_, err = poll()
	refused(t, err, http.StatusBadRequest, "authorization_pending", "The end-user authorization is pending")
	if _, text := ask(t, "answer", map[string]string{"email": who.Email, "password": who.Password}); !strings.Contains(text, "The app may go on.") {
		t.Fatalf("the last page says: %s", text)
	}
	time.Sleep(time.Duration(asked.Interval)*time.Second + 200*time.Millisecond)
	tokens, err := poll()
	if err != nil {
		t.Fatal(err)
	}
	if got := verified(t, tokens.IDToken, os.Getenv("APP_ID")).Subject; got != who.id {
		t.Fatalf("subject: %s, want %s", got, who.id)
	}
	hint["sub"] = "auth0|nobody"
	_, err = api.CIBA.Initiate(ctx, ciba.Request{LoginHint: hint, Scope: "openid", BindingMessage: "Order 4711"})
	refused(t, err, http.StatusBadRequest, "unknown_user_id", "User ID is malformed or unknown")
}

func TestAuth0SignUpAndAnotherPassword(t *testing.T) {
	email, api, ctx := strings.ToLower(rand.Text())+"@example.com", auth0App(t), t.Context()
	body := database.SignupRequest{
		Email: email, Password: "Correct-Horse-1!", Connection: connection, GivenName: "Ada", UserMetadata: &map[string]any{"color": "teal"},
	}
	made, err := api.Database.Signup(ctx, body)
	if err != nil {
		t.Fatal(err)
	}
	if made.Email != email || made.EmailVerified || made.GivenName != "Ada" {
		t.Fatalf("%+v", made)
	}
	user, err := manager(t).Users.Get(ctx, "auth0|"+made.ID, &management.GetUserRequestParameters{})
	if err != nil || user.GetEmail() != email || user.GetUserMetadata()["color"] != "teal" {
		t.Fatalf("%+v, %v", user, err)
	}
	_, err = api.Database.Signup(ctx, body)
	refused(t, err, http.StatusBadRequest, "invalid_signup", "Invalid sign up")
	body.Email, body.Password = "other-"+email, "short"
	_, err = api.Database.Signup(ctx, body)
	var refusal *authentication.Error
	if !errors.As(err, &refusal) || refusal.StatusCode != http.StatusBadRequest || refusal.Err != "invalid_password" || !strings.Contains(refusal.Message, "rules") {
		t.Fatalf("a short password: %v", err)
	}

	said, err := api.Database.ChangePassword(ctx, database.ChangePasswordRequest{Email: email, Connection: connection})
	if err != nil || said != "We've just sent you an email to reset your password." {
		t.Fatalf("%q, %v", said, err)
	}
	if _, letter := ask(t, "letter", map[string]string{"to": email, "kind": "reset_email"}); !strings.Contains(letter, issuer) {
		t.Fatalf("the letter says: %s", letter)
	}
}
