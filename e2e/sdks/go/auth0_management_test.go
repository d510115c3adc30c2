package doorward

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/auth0/go-auth0/v2/management"
	"github.com/auth0/go-auth0/v2/management/client"
	"github.com/auth0/go-auth0/v2/management/core"
	"github.com/auth0/go-auth0/v2/management/option"
)

// manager is the Management API for the client that may do everything.
func manager(t *testing.T) *client.Management {
	t.Helper()
	return managementBy(t, option.WithClientCredentials(context.Background(), os.Getenv("CLIENT_ID"), os.Getenv("CLIENT_SECRET")))
}

func managementBy(t *testing.T, credentials option.RequestOption) *client.Management {
	t.Helper()
	api, err := client.New(os.Getenv("DOMAIN"), credentials)
	if err != nil {
		t.Fatal(err)
	}
	return api
}

// narrowManagement is the Management API for a client that has a key in the place of a secret, and may only read users.
func narrowManagement(t *testing.T, id, key string) *client.Management {
	t.Helper()
	granted, err := manager(t).ClientGrants.Create(t.Context(), &management.CreateClientGrantRequestContent{
		ClientID: &id, Audience: issuer + "api/v2/", Scope: []string{"read:users"},
	})
	if err != nil || !slices.Equal(granted.Scope, []string{"read:users"}) {
		t.Fatalf("%+v, %v", granted, err)
	}
	return managementBy(t, option.WithClientCredentialsPrivateKeyJwt(t.Context(), id, key, "RS256"))
}

// newClient is an app of one test alone, whose users are those of the database connection.
func newClient(t *testing.T, body *management.CreateClientRequestContent) *management.CreateClientResponseContent {
	t.Helper()
	api := manager(t)
	body.Name, body.OidcConformant = t.Name(), management.Bool(true)
	if body.JwtConfiguration == nil {
		body.JwtConfiguration = &management.ClientJwtConfiguration{Alg: management.SigningAlgorithmEnumRs256.Ptr()}
	}
	made, err := api.Clients.Create(t.Context(), body)
	if err != nil {
		t.Fatal(err)
	}
	enabled := &management.UpdateEnabledClientConnectionsRequestContentItem{ClientID: made.GetClientID(), Status: true}
	if err := api.Connections.Clients.Update(t.Context(), passwords(t, api).GetID(), management.UpdateEnabledClientConnectionsRequestContent{enabled}); err != nil {
		t.Fatal(err)
	}
	return made
}

// passwords is the one connection of its strategy.
func passwords(t *testing.T, api *client.Management) *management.ConnectionForList {
	t.Helper()
	listed, err := api.Connections.List(t.Context(), &management.ListConnectionsQueryParameters{
		Strategy: []*management.ConnectionStrategyEnum{management.ConnectionStrategyEnumAuth0.Ptr()},
	})
	if err != nil || len(listed.Results) != 1 || listed.Results[0].GetName() != connection {
		t.Fatalf("%+v, %v", listed, err)
	}
	return listed.Results[0]
}

// assertBody compares an answer as it came with what it should be.
func assertBody(t *testing.T, got any, want map[string]any) {
	t.Helper()
	if !reflect.DeepEqual(got, any(want)) {
		t.Fatalf("answered %v, want %v", got, want)
	}
}

// all is what every page of a list holds.
func all[T, R any](t *testing.T, page *core.Page[*int, T, R], err error) []T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var found []T
	pages := page.Iterator()
	for pages.Next(t.Context()) {
		found = append(found, pages.Current())
	}
	if pages.Err() != nil {
		t.Fatal(pages.Err())
	}
	return found
}

func TestAuth0UsersAreCreatedChangedAndDeleted(t *testing.T) {
	api, ctx, email := manager(t), t.Context(), strings.ToLower(rand.Text())+"@example.com"
	made, err := api.Users.Create(ctx, &management.CreateUserRequestContent{
		Connection: connection, Email: &email, Password: management.String("Correct-Horse-1!"), UserMetadata: &management.UserMetadata{"color": "teal"},
	})
	if err != nil {
		t.Fatal(err)
	}
	id := made.GetUserID()
	changed, err := api.Users.Update(ctx, id, &management.UpdateUserRequestContent{
		GivenName: management.String("Ada"), UserMetadata: &management.UserMetadata{"size": "m"}, AppMetadata: &management.AppMetadata{"plan": "gold"},
	})
	if err != nil {
		t.Fatal(err)
	}
	assertBody(t, map[string]any(changed.GetUserMetadata()), map[string]any{"color": "teal", "size": "m"})
	read, err := api.Users.Get(ctx, id, &management.GetUserRequestParameters{})
	if err != nil {
		t.Fatal(err)
	}
	assertBody(t, map[string]any(read.GetAppMetadata()), map[string]any{"plan": "gold"})
	if read.GetGivenName() != "Ada" || read.GetEmail() != email || len(read.Identities) != 1 || read.Identities[0].GetConnection() != connection {
		t.Fatalf("%s", read)
	}
	found, err := api.Users.ListUsersByEmail(ctx, &management.ListUsersByEmailRequestParameters{Email: email})
	if err != nil || len(found) != 1 || found[0].GetUserID() != id {
		t.Fatalf("%v, %v", found, err)
	}
	_, err = api.Users.Create(ctx, &management.CreateUserRequestContent{Connection: connection, Email: &email, Password: management.String("Correct-Horse-1!")})
	var conflict *management.ConflictError
	if !errors.As(err, &conflict) {
		t.Fatalf("created twice: %v", err)
	}
	assertBody(t, conflict.Body, map[string]any{"statusCode": 409.0, "error": "Conflict", "message": "The user already exists.", "errorCode": "auth0_idp_error"})

	if err := api.Users.Delete(ctx, id); err != nil {
		t.Fatal(err)
	}
	_, err = api.Users.Get(ctx, id, &management.GetUserRequestParameters{})
	var missing *management.NotFoundError
	if !errors.As(err, &missing) || missing.StatusCode != http.StatusNotFound {
		t.Fatalf("read after it was deleted: %v", err)
	}
	assertBody(t, missing.Body, map[string]any{
		"statusCode": 404.0, "error": "Not Found", "message": "The user does not exist.", "errorCode": "inexistent_user",
	})
}

func TestAuth0UsersComeInPages(t *testing.T) {
	api, ctx, made := manager(t), t.Context(), make(map[string]bool)
	for range 5 {
		made[newUser(t).id] = true
	}
	first, err := api.Users.List(ctx, &management.ListUsersRequestParameters{PerPage: management.Int(2)})
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Results) != 2 || first.Response.GetStart() != 0 || first.Response.GetLimit() != 2 || first.Response.GetLength() != 2 {
		t.Fatalf("%s", first.Response)
	}
	seen := make(map[string]bool)
	for _, user := range all(t, first, nil) {
		if seen[user.GetUserID()] {
			t.Fatalf("%s came twice", user.GetUserID())
		}
		seen[user.GetUserID()] = true
		delete(made, user.GetUserID())
	}
	if len(made) != 0 || float64(len(seen)) != first.Response.GetTotal() {
		t.Fatalf("%d of %g users came, and without %v", len(seen), first.Response.GetTotal(), made)
	}
	who := newUser(t)
	query := `email:"` + who.Email + `"`
	page, err := api.Users.List(ctx, &management.ListUsersRequestParameters{Q: &query, SearchEngine: management.SearchEngineVersionsEnumV3.Ptr()})
	if found := all(t, page, err); len(found) != 1 || found[0].GetUserID() != who.id {
		t.Fatalf("found %v", found)
	}
}

func TestAuth0IdentitiesAreLinkedAndUnlinked(t *testing.T) {
	api, ctx, first, second := manager(t), t.Context(), newUser(t), newUser(t)
	bare := strings.TrimPrefix(second.id, "auth0|")
	linked, err := api.Users.Identities.Link(ctx, first.id, &management.LinkUserIdentityRequestContent{
		Provider: management.UserIdentityProviderEnumAuth0.Ptr(), UserID: &management.UserID{String: second.id},
	})
	if err != nil || len(linked) != 2 || linked[1].GetUserID().GetString() != bare || linked[1].GetConnection() != connection {
		t.Fatalf("%v, %v", linked, err)
	}
	if email := linked[1].ProfileData.GetEmail(); email != second.Email {
		t.Fatalf("the linked profile's address: %s", email)
	}
	var missing *management.NotFoundError
	if _, err := api.Users.Get(ctx, second.id, &management.GetUserRequestParameters{}); !errors.As(err, &missing) {
		t.Fatalf("a linked user is one still: %v", err)
	}
	left, err := api.Users.Identities.Delete(ctx, first.id, management.UserIdentityProviderEnumAuth0.Ptr(), bare)
	if err != nil || len(left) != 1 {
		t.Fatalf("%v, %v", left, err)
	}
	if again, err := api.Users.Get(ctx, second.id, &management.GetUserRequestParameters{}); err != nil || again.GetEmail() != second.Email {
		t.Fatalf("%v, %v", again, err)
	}
}

func TestAuth0RolesAreAssigned(t *testing.T) {
	api, ctx, who := manager(t), t.Context(), newUser(t)
	role, err := api.Roles.Create(ctx, &management.CreateRoleRequestContent{Name: "Reader " + rand.Text(), Description: management.String("Reads")})
	if err != nil {
		t.Fatal(err)
	}
	roles := []string{role.GetID()}
	if err := api.Users.Roles.Assign(ctx, who.id, &management.AssignUserRolesRequestContent{Roles: roles}); err != nil {
		t.Fatal(err)
	}
	held := func() []*management.Role {
		page, err := api.Users.Roles.List(ctx, who.id, &management.ListUserRolesRequestParameters{})
		return all(t, page, err)
	}
	if got := held(); len(got) != 1 || got[0].GetID() != role.GetID() || got[0].GetName() != role.GetName() || got[0].GetDescription() != "Reads" {
		t.Fatalf("%v", got)
	}
	holders, err := api.Roles.Users.List(ctx, role.GetID(), &management.ListRoleUsersRequestParameters{})
	if err != nil || len(holders.Results) != 1 || holders.Results[0].GetUserID() != who.id {
		t.Fatalf("%v, %v", holders, err)
	}
	if err := api.Users.Roles.Delete(ctx, who.id, &management.DeleteUserRolesRequestContent{Roles: roles}); err != nil {
		t.Fatal(err)
	}
	if got := held(); len(got) != 0 {
		t.Fatalf("%v", got)
	}
	if err := api.Roles.Delete(ctx, role.GetID()); err != nil {
		t.Fatal(err)
	}
	var missing *management.NotFoundError
	if _, err := api.Roles.Get(ctx, role.GetID()); !errors.As(err, &missing) {
		t.Fatalf("read after it was deleted: %v", err)
	}
}

func TestAuth0ClientsAndConnectionsAreRead(t *testing.T) {
	api, ctx, id := manager(t), t.Context(), os.Getenv("APP_ID")
	page, err := api.Clients.List(ctx, &management.ListClientsRequestParameters{PerPage: management.Int(2)})
	listed := all(t, page, err)
	at := slices.IndexFunc(listed, func(one *management.Client) bool { return one.GetClientID() == id })
	if at < 0 || listed[at].GetName() != "From other languages" || !slices.Equal(listed[at].GetCallbacks(), []string{callback}) {
		t.Fatalf("%v", listed)
	}
	read, err := api.Clients.Get(ctx, id, &management.GetClientRequestParameters{Fields: management.String("app_type,grant_types")})
	if err != nil || read.GetAppType() != management.ClientAppTypeEnumRegularWeb || !slices.Contains(read.GetGrantTypes(), cibaGrant) || read.Name != nil {
		t.Fatalf("%v, %v", read, err)
	}
	database, err := api.Connections.Get(ctx, passwords(t, api).GetID(), &management.GetConnectionRequestParameters{})
	if err != nil || database.GetName() != connection || database.GetStrategy() != "auth0" || !slices.Equal(database.GetRealms(), []string{connection}) {
		t.Fatalf("%v, %v", database, err)
	}
	enabled, err := api.Connections.Clients.Get(ctx, database.GetID(), &management.GetConnectionEnabledClientsRequestParameters{})
	if err != nil || !slices.ContainsFunc(enabled.Results, func(one *management.ConnectionEnabledClient) bool { return one.GetClientID() == id }) {
		t.Fatalf("%v, %v", enabled, err)
	}
	// A token that somebody changed.
	credentials := config()
	token, err := credentials.Token(ctx)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(token.AccessToken, ".")
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"somebody"}`))
	stranger := managementBy(t, option.WithToken(strings.Join(parts, ".")))
	var refusal *management.UnauthorizedError
	if _, err := stranger.Clients.Get(ctx, id, &management.GetClientRequestParameters{}); !errors.As(err, &refusal) {
		t.Fatalf("read with a token that was changed: %v", err)
	}
	said := "Invalid signature received for JSON Web Token validation"
	assertBody(t, refusal.Body, map[string]any{
		"statusCode": 401.0, "error": "Unauthorized", "message": said, "attributes": map[string]any{"error": said},
	})
}
