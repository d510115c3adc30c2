package doorward;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.auth0.client.auth.AuthAPI;
import com.auth0.client.auth.PasswordlessEmailType;
import com.auth0.client.mgmt.ManagementApi;
import com.auth0.client.mgmt.core.ManagementApiException;
import com.auth0.client.mgmt.types.ClientAppTypeEnum;
import com.auth0.client.mgmt.types.CreateClientRequestContent;
import com.auth0.client.mgmt.types.CreateResourceServerRequestContent;
import com.auth0.client.mgmt.types.CreateUserRequestContent;
import com.auth0.client.mgmt.types.ListUsersByEmailRequestParameters;
import com.auth0.client.mgmt.types.UpdateUserRequestContent;
import com.auth0.exception.APIException;
import com.auth0.json.auth.BackChannelAuthorizeResponse;
import com.auth0.json.auth.TokenHolder;
import com.auth0.jwk.JwkProviderBuilder;
import com.auth0.jwt.JWT;
import com.auth0.jwt.algorithms.Algorithm;
import com.auth0.jwt.interfaces.DecodedJWT;
import com.auth0.net.Request;
import com.auth0.net.TokenRequest;
import java.net.URI;
import java.security.MessageDigest;
import java.security.interfaces.RSAPublicKey;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** auth0-java against a running Doorward. Started by ../../../../../run.js. */
class Auth0JavaTest {
    private static final String DOMAIN = System.getenv("DOMAIN");
    private static final String ISSUER = System.getenv("ISSUER");
    private static final String APP_ID = System.getenv("APP_ID");
    private static final String CALLBACK = "https://app.example.com/callback";
    private static final String CONNECTION = "Username-Password-Authentication";
    private static final String PASSWORD = "Correct-Horse-1!";

    private final AuthAPI machine =
            AuthAPI.newBuilder(DOMAIN, System.getenv("CLIENT_ID"), System.getenv("CLIENT_SECRET")).build();
    private final AuthAPI app = AuthAPI.newBuilder(DOMAIN, APP_ID, System.getenv("APP_SECRET")).build();
    private final ManagementApi management = ManagementApi.builder()
            .domain(DOMAIN)
            .clientCredentials(System.getenv("CLIENT_ID"), System.getenv("CLIENT_SECRET"))
            .build();

    /** Somebody with a password. */
    private record User(String id, String email) {}

    private User newUser() {
        String email = UUID.randomUUID() + "@example.com";
        var made = management.users().create(CreateUserRequestContent.builder()
                .connection(CONNECTION)
                .email(email)
                .password(PASSWORD)
                .emailVerified(true)
                .build());
        return new User(made.getUserId().orElseThrow(), email);
    }

    /** A token whose signature the published keys verify. */
    private static DecodedJWT verified(String token) throws Exception {
        var keys = new JwkProviderBuilder(URI.create(ISSUER + ".well-known/jwks.json").toURL()).build();
        var key = (RSAPublicKey) keys.get(JWT.decode(token).getKeyId()).getPublicKey();
        return JWT.require(Algorithm.RSA256(key)).withIssuer(ISSUER).build().verify(token);
    }

    private static APIException refusal(Request<?> request) {
        return assertThrows(APIException.class, request::execute);
    }

    private static TokenHolder tokens(Request<TokenHolder> request) throws Exception {
        return request.execute().getBody();
    }

    @Test
    void clientCredentialsGiveATokenThatVerifies() throws Exception {
        DecodedJWT token = verified(tokens(machine.requestToken(ISSUER + "api/v2/")).getAccessToken());
        assertEquals(List.of(ISSUER + "api/v2/"), token.getAudience());
        assertEquals(System.getenv("CLIENT_ID") + "@clients", token.getSubject());
    }

    @Test
    void aWrongSecretIsRefused() {
        var wrong = AuthAPI.newBuilder(DOMAIN, APP_ID, "wrong").build();
        APIException error = refusal(wrong.requestToken(ISSUER + "api/v2/"));
        assertEquals(401, error.getStatusCode());
        assertTrue(error.isAccessDenied());
    }

    @Test
    void aPasswordGivesTokensThatAreRenewedUsedAndRevoked() throws Exception {
        User user = newUser();
        TokenRequest login = app.login(user.email(), PASSWORD.toCharArray(), CONNECTION).setScope("openid email offline_access");
        TokenHolder first = tokens(login);
        DecodedJWT claims = verified(first.getIdToken());
        assertEquals(List.of(APP_ID), claims.getAudience());
        assertEquals(user.email(), claims.getClaim("email").asString());
        TokenHolder second = tokens(app.renewAuth(first.getRefreshToken()));
        assertNotEquals(first.getAccessToken(), second.getAccessToken());
        Map<String, Object> info = app.userInfo(second.getAccessToken()).execute().getBody().getValues();
        assertEquals(List.of(user.id(), user.email()), List.of(info.get("sub"), info.get("email")));
        app.revokeToken(first.getRefreshToken()).execute();
        APIException error = refusal(app.renewAuth(first.getRefreshToken()));
        assertEquals(List.of(403, "invalid_grant"), List.of(error.getStatusCode(), error.getError()));
    }

    @Test
    void aWrongPasswordIsRefused() {
        User user = newUser();
        APIException error = refusal(app.login(user.email(), "wrong".toCharArray()));
        assertEquals(403, error.getStatusCode());
        assertTrue(error.isInvalidCredentials());
        assertEquals("Wrong email or password.", error.getDescription());
    }

    @Test
    void aCodeWithAVerifierGivesTokens() throws Exception {
        User user = newUser();
        String verifier = UUID.randomUUID() + "-" + UUID.randomUUID();
        byte[] hash = MessageDigest.getInstance("SHA-256").digest(verifier.getBytes());
        String challenge = Base64.getUrlEncoder().withoutPadding().encodeToString(hash);
        String address = app.authorizeUrl(CALLBACK)
                .withResponseType("code")
                .withScope("openid email")
                .withState("abc")
                .withCodeChallenge(challenge)
                .build();
        Map<String, String> back = Person.signIn(address, user.email(), PASSWORD);
        assertEquals("abc", back.get("state"));
        APIException error = refusal(app.exchangeCodeWithVerifier(back.get("code"), "x".repeat(64), CALLBACK));
        assertEquals(List.of(403, "invalid_grant"), List.of(error.getStatusCode(), error.getError()));
        back = Person.signIn(address, user.email(), PASSWORD);
        DecodedJWT claims = verified(tokens(app.exchangeCodeWithVerifier(back.get("code"), verifier, CALLBACK)).getIdToken());
        assertEquals(user.id(), claims.getSubject());
    }

    @Test
    void aPushedRequestLeadsToACodeThatIsTakenOnce() throws Exception {
        User user = newUser();
        var pushed = app.pushedAuthorizationRequest(CALLBACK, "code", Map.of("scope", "openid", "state", "abc")).execute();
        assertEquals(201, pushed.getStatusCode());
        String address = app.authorizeUrlWithPAR(pushed.getBody().getRequestURI());
        String code = Person.signIn(address, user.email(), PASSWORD).get("code");
        assertEquals(user.id(), verified(tokens(app.exchangeCode(code, CALLBACK)).getIdToken()).getSubject());
        assertEquals("invalid_grant", refusal(app.exchangeCode(code, CALLBACK)).getError());
    }

    @Test
    void aMailedCodeSignsIn() throws Exception {
        String email = UUID.randomUUID() + "@example.com";
        var started = app.startPasswordlessEmailFlow(email, PasswordlessEmailType.CODE).execute().getBody();
        assertEquals(email, started.getEmail());
        assertFalse(started.isEmailVerified());
        Matcher code = Pattern.compile("\\b\\d{6}\\b").matcher(Person.ask("letter", Map.of("to", email, "kind", "auth_email_by_code"), "text"));
        assertTrue(code.find());
        TokenRequest exchange = app.exchangePasswordlessOtp(email, "email", code.group().toCharArray()).setScope("openid email");
        assertEquals(email, verified(tokens(exchange).getIdToken()).getClaim("email").asString());
    }

    @Test
    void aPersonElsewhereLetsAnAppIn() throws Exception {
        User user = newUser();
        Map<String, Object> hint = Map.of("format", "iss_sub", "iss", ISSUER, "sub", user.id());
        BackChannelAuthorizeResponse asked = app.authorizeBackChannel("openid email", "Order 4711", hint).execute().getBody();
        String grant = "urn:openid:params:grant-type:ciba";
        assertEquals("authorization_pending", refusal(app.getBackChannelLoginStatus(asked.getAuthReqId(), grant)).getError());
        String end = Person.ask("answer", Map.of("email", user.email(), "password", PASSWORD), "text");
        assertTrue(end.contains("The app may go on."), end);
        Thread.sleep(asked.getInterval() * 1000L + 200);
        var tokens = app.getBackChannelLoginStatus(asked.getAuthReqId(), grant).execute().getBody();
        assertEquals(user.id(), verified(tokens.getIdToken()).getSubject());
    }

    @Test
    void somebodySignsUpAndAsksForAnotherPassword() throws Exception {
        String email = UUID.randomUUID() + "@example.com";
        var made = app.signUp(email, PASSWORD.toCharArray(), CONNECTION).execute().getBody();
        assertEquals(email, made.getEmail());
        assertEquals(email, management.users().get("auth0|" + made.getUserId()).getEmail().orElseThrow());
        assertEquals(400, refusal(app.signUp(email, PASSWORD.toCharArray(), CONNECTION)).getStatusCode());
        app.resetPassword(email, CONNECTION).execute();
        assertTrue(Person.ask("letter", Map.of("to", email, "kind", "reset_email"), "text").contains(ISSUER));
    }

    @Test
    void usersAreCreatedChangedListedAndDeleted() {
        User user = newUser();
        var changed = management.users()
                .update(user.id(), UpdateUserRequestContent.builder().userMetadata(Map.of("size", "m")).givenName("Ada").build());
        assertEquals(Map.of("size", "m"), changed.getUserMetadata().orElseThrow());
        assertEquals("Ada", changed.getGivenName().orElseThrow());
        var byEmail = ListUsersByEmailRequestParameters.builder().email(user.email()).build();
        assertEquals(user.id(), management.users().listUsersByEmail(byEmail).get(0).getUserId().orElseThrow());
        boolean listed = false;
        for (var one : management.users().list()) {
            listed = listed || one.getUserId().orElseThrow().equals(user.id());
        }
        assertTrue(listed);
        management.users().delete(user.id());
        assertTrue(management.users().listUsersByEmail(byEmail).isEmpty());
        var error = assertThrows(ManagementApiException.class, () -> management.users().get(user.id()));
        assertEquals(404, error.statusCode());
    }

    @Test
    void clientsAndApisAreCreatedAndDeleted() {
        var client = management.clients().create(CreateClientRequestContent.builder()
                .name("From Java")
                .appType(ClientAppTypeEnum.REGULAR_WEB)
                .callbacks(List.of(CALLBACK))
                .build());
        String id = client.getClientId().orElseThrow();
        assertEquals(List.of(CALLBACK), management.clients().get(id).getCallbacks().orElseThrow());
        management.clients().delete(id);
        var api = management.resourceServers().create(CreateResourceServerRequestContent.builder()
                .identifier("https://" + UUID.randomUUID() + ".example.com/")
                .name("From Java")
                .build());
        assertEquals(86400, api.getTokenLifetime().orElseThrow().intValue());
        management.resourceServers().delete(api.getId().orElseThrow());
    }
}
