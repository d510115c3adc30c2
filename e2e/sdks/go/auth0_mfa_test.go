package doorward

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/auth0/go-auth0/v2/authentication"
	"github.com/auth0/go-auth0/v2/authentication/mfa"
	"github.com/auth0/go-auth0/v2/authentication/oauth"
	"github.com/auth0/go-auth0/v2/management"
)

// codeOf is what an authenticator app shows in a time step (RFC 6238 §4.2).
func codeOf(t *testing.T, secret string, step int64) string {
	t.Helper()
	seed, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	if err != nil {
		t.Fatal(err)
	}
	hash := hmac.New(sha1.New, seed)
	_ = binary.Write(hash, binary.BigEndian, step)
	tag := hash.Sum(nil)
	offset := tag[len(tag)-1] & 0x0f
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(tag[offset:])&0x7fffffff%1_000_000)
}

// wantFactors has every login ask for a second factor, until the test ends.
func wantFactors(t *testing.T, factors ...management.GuardianFactorNameEnum) {
	t.Helper()
	api, ctx := manager(t), context.Background() // the test's own has ended when it is cleaned up
	set := func(enabled bool, policies ...management.MfaPolicyEnum) error {
		for _, factor := range factors {
			if _, err := api.Guardian.Factors.Set(ctx, &factor, &management.SetGuardianFactorRequestContent{Enabled: enabled}); err != nil {
				return err
			}
		}
		_, err := api.Guardian.Policies.Set(ctx, append(management.SetGuardianPoliciesRequestContent{}, policies...))
		return err
	}
	if err := set(true, management.MfaPolicyEnumAllApplications); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := set(false); err != nil {
			t.Error(err)
		}
	})
}

func TestAuth0SecondFactor(t *testing.T) {
	who, ctx := newUser(t), t.Context()
	client := newClient(t, &management.CreateClientRequestContent{
		AppType: management.ClientAppTypeEnumRegularWeb.Ptr(),
		GrantTypes: []string{
			realmGrant, "http://auth0.com/oauth/grant-type/mfa-otp", "http://auth0.com/oauth/grant-type/mfa-oob",
			"http://auth0.com/oauth/grant-type/mfa-recovery-code",
		},
		TokenEndpointAuthMethod: management.ClientTokenEndpointAuthMethodEnumClientSecretPost.Ptr(),
	})
	wantFactors(t, management.GuardianFactorNameEnumOtp, management.GuardianFactorNameEnumRecoveryCode)
	api := auth0(t, client.GetClientID(), authentication.WithClientSecret(client.GetClientSecret()))
	// What a password buys here.
	begin := func(audience, scope string) string {
		t.Helper()
		body := oauth.LoginWithPasswordRequest{Username: who.Email, Password: who.Password, Realm: connection, Audience: audience, Scope: scope}
		_, err := api.OAuth.LoginWithPassword(ctx, body, oauth.IDTokenValidationOptions{})
		return refused(t, err, http.StatusForbidden, "mfa_required", "Multifactor authentication required").GetMFAToken()
	}
	proved := func(tokens *oauth.TokenSet) {
		t.Helper()
		token := verified(t, tokens.IDToken, client.GetClientID())
		var claims struct{ Amr []string }
		if err := token.Claims(&claims); err != nil || token.Subject != who.id || !slices.Equal(claims.Amr, []string{"mfa"}) {
			t.Fatalf("%s, %v, %v", token.Subject, claims.Amr, err)
		}
	}

	// An authenticator app is enrolled by its first code.
	token := begin("", "openid")
	if list, err := api.MFA.ListAuthenticators(ctx, token); err != nil || len(list) != 0 {
		t.Fatalf("%+v, %v", list, err)
	}
	added, err := api.MFA.AddAuthenticator(ctx, token, mfa.AddAuthenticatorRequest{AuthenticatorTypes: []string{"otp"}})
	if err != nil {
		t.Fatal(err)
	}
	if added.AuthenticatorType != "otp" || len(added.RecoveryCodes) != 1 || !strings.HasPrefix(added.BarcodeURI, "otpauth://totp/") || !strings.Contains(added.BarcodeURI, added.Secret) {
		t.Fatalf("%+v", added)
	}
	if list, err := api.MFA.ListAuthenticators(ctx, token); err != nil || slices.ContainsFunc(list, func(one mfa.ListAuthenticatorsResponse) bool { return one.Active && one.AuthenticatorType == "otp" }) {
		t.Fatalf("active before its first code: %+v, %v", list, err)
	}
	step := time.Now().Unix() / 30
	_, err = api.MFA.VerifyWithOTP(ctx, mfa.VerifyWithOTPRequest{MFAToken: token, OTP: codeOf(t, added.Secret, step-100)})
	refused(t, err, http.StatusForbidden, "invalid_grant", "Invalid otp_code.")
	tokens, err := api.MFA.VerifyWithOTP(ctx, mfa.VerifyWithOTPRequest{MFAToken: token, OTP: codeOf(t, added.Secret, step)})
	if err != nil {
		t.Fatal(err)
	}
	proved(tokens)

	// A recovery code is taken once, and followed by another.
	token = begin("", "openid")
	recovered, err := api.MFA.VerifyWithRecoveryCode(ctx, mfa.VerifyWithRecoveryCodeRequest{MFAToken: token, RecoveryCode: added.RecoveryCodes[0]})
	if err != nil {
		t.Fatal(err)
	}
	if recovered.RecoveryCode == "" || recovered.RecoveryCode == added.RecoveryCodes[0] {
		t.Fatalf("the next recovery code: %q", recovered.RecoveryCode)
	}
	proved(&recovered.TokenSet)

	// The next step's code, after a challenge, buys a token to look after the factors with.
	token = begin(issuer+"mfa/", "openid enroll read:authenticators remove:authenticators")
	challenged, err := api.MFA.Challenge(ctx, mfa.ChallengeRequest{MFAToken: token, ChallengeType: "otp"})
	if err != nil || challenged.ChallengeType != "otp" || challenged.OOBCode != "" {
		t.Fatalf("%+v, %v", challenged, err)
	}
	_, err = api.MFA.VerifyWithOTP(ctx, mfa.VerifyWithOTPRequest{MFAToken: token, OTP: codeOf(t, added.Secret, step)})
	refused(t, err, http.StatusForbidden, "invalid_grant", "Invalid otp_code.")
	tokens, err = api.MFA.VerifyWithOTP(ctx, mfa.VerifyWithOTPRequest{MFAToken: token, OTP: codeOf(t, added.Secret, step+1)})
	if err != nil {
		t.Fatal(err)
	}
	proved(tokens)
	list, err := api.MFA.ListAuthenticators(ctx, tokens.AccessToken)
	at := slices.IndexFunc(list, func(one mfa.ListAuthenticatorsResponse) bool { return one.AuthenticatorType == "otp" })
	if err != nil || at < 0 || !list[at].Active || !strings.HasPrefix(list[at].ID, "totp|dev_") {
		t.Fatalf("%+v, %v", list, err)
	}
	var refusal *authentication.Error
	if err := api.MFA.DeleteAuthenticator(ctx, begin("", "openid"), list[at].ID); !errors.As(err, &refusal) || refusal.StatusCode/100 != 4 {
		t.Fatalf("deleted with a token of a sign-in: %v", err)
	}
	if err := api.MFA.DeleteAuthenticator(ctx, tokens.AccessToken, list[at].ID); err != nil {
		t.Fatal(err)
	}
	if err := api.MFA.DeleteAuthenticator(ctx, tokens.AccessToken, list[at].ID); !errors.As(err, &refusal) || refusal.StatusCode != http.StatusNotFound {
		t.Fatalf("deleted twice: %v", err)
	}
	left, err := api.MFA.ListAuthenticators(ctx, tokens.AccessToken)
	if err != nil || slices.ContainsFunc(left, func(one mfa.ListAuthenticatorsResponse) bool { return one.AuthenticatorType == "otp" }) {
		t.Fatalf("%+v, %v", left, err)
	}
	again, err := api.MFA.AddAuthenticator(ctx, tokens.AccessToken, mfa.AddAuthenticatorRequest{AuthenticatorTypes: []string{"otp"}})
	if err != nil || again.Secret == "" || again.Secret == added.Secret {
		t.Fatalf("%+v, %v", again, err)
	}
}
