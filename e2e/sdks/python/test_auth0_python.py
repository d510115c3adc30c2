"""auth0-python against a running Doorward. Started by ../run.js."""

import json
import os
import re
import time
import unittest
import uuid
from urllib.parse import urlencode

from auth0.authentication import Database, GetToken, Passwordless, RevokeToken, Users
from auth0.authentication.back_channel_login import BackChannelLogin
from auth0.authentication.exceptions import Auth0Error
from auth0.authentication.pushed_authorization_requests import PushedAuthorizationRequests
from auth0.authentication.token_verifier import AsymmetricSignatureVerifier, TokenVerifier
from auth0.management import ManagementClient
from person import ask, signed_in

DOMAIN, ISSUER = os.environ["DOMAIN"], os.environ["ISSUER"]
CLIENT_ID, CLIENT_SECRET = os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"]
APP_ID, APP_SECRET = os.environ["APP_ID"], os.environ["APP_SECRET"]
CONNECTION, CALLBACK = "Username-Password-Authentication", "https://app.example.com/callback"


def management():
    return ManagementClient(domain=DOMAIN, client_id=CLIENT_ID, client_secret=CLIENT_SECRET)


def new_user():
    """Somebody with a password, and their id."""
    user = {"email": f"{uuid.uuid4().hex}@example.com", "password": "Correct-Horse-1!"}
    return user, management().users.create(connection=CONNECTION, email_verified=True, **user).user_id


def verified(id_token, **expected):
    """The claims of an ID token that the SDK's own verifier takes."""
    signature = AsymmetricSignatureVerifier(f"{ISSUER}.well-known/jwks.json")
    return TokenVerifier(signature_verifier=signature, issuer=ISSUER, audience=APP_ID).verify(id_token, **expected)


class Tokens(unittest.TestCase):
    def setUp(self):
        self.tokens = GetToken(DOMAIN, APP_ID, APP_SECRET)

    def test_client_credentials_give_a_token_that_verifies(self):
        token = GetToken(DOMAIN, CLIENT_ID, CLIENT_SECRET).client_credentials(f"{ISSUER}api/v2/")
        claims = AsymmetricSignatureVerifier(f"{ISSUER}.well-known/jwks.json").verify_signature(token["access_token"])
        self.assertEqual((claims["iss"], claims["aud"], claims["sub"]), (ISSUER, f"{ISSUER}api/v2/", f"{CLIENT_ID}@clients"))
        self.assertGreater(claims["exp"], time.time())

    def test_a_wrong_secret_is_refused(self):
        with self.assertRaises(Auth0Error) as raised:
            GetToken(DOMAIN, CLIENT_ID, "wrong").client_credentials(f"{ISSUER}api/v2/")
        self.assertEqual((raised.exception.status_code, raised.exception.error_code), (401, "access_denied"))

    def test_a_password_gives_tokens_that_are_renewed_used_and_revoked(self):
        user, user_id = new_user()
        first = self.tokens.login(user["email"], user["password"], scope="openid email offline_access", realm=CONNECTION)
        claims = verified(first["id_token"])
        self.assertEqual((claims["sub"], claims["email"]), (user_id, user["email"]))
        second = self.tokens.refresh_token(first["refresh_token"])
        self.assertEqual(verified(second["id_token"])["sub"], user_id)
        self.assertEqual(Users(DOMAIN).userinfo(second["access_token"])["email"], user["email"])
        RevokeToken(DOMAIN, APP_ID, APP_SECRET).revoke_refresh_token(first["refresh_token"])
        with self.assertRaises(Auth0Error) as raised:
            self.tokens.refresh_token(first["refresh_token"])
        self.assertEqual((raised.exception.status_code, raised.exception.error_code), (403, "invalid_grant"))

    def test_a_wrong_password_is_refused(self):
        user, _ = new_user()
        with self.assertRaises(Auth0Error) as raised:
            self.tokens.login(user["email"], "wrong", realm=CONNECTION)
        error = raised.exception
        self.assertEqual((error.status_code, error.error_code, error.message), (403, "invalid_grant", "Wrong email or password."))

    def test_a_pushed_request_leads_to_a_code_and_its_tokens(self):
        user, user_id = new_user()
        pushed = PushedAuthorizationRequests(DOMAIN, APP_ID, APP_SECRET).pushed_authorization_request(
            "code", CALLBACK, scope="openid email", state="abc", nonce="n-1"
        )
        back = signed_in(f"{ISSUER}authorize?{urlencode({'client_id': APP_ID, 'request_uri': pushed['request_uri']})}", user)
        self.assertEqual(back["state"], "abc")
        tokens = self.tokens.authorization_code(back["code"], CALLBACK)
        self.assertEqual(verified(tokens["id_token"], nonce="n-1")["sub"], user_id)
        with self.assertRaises(Auth0Error) as raised:
            self.tokens.authorization_code(back["code"], CALLBACK)
        self.assertEqual((raised.exception.status_code, raised.exception.error_code), (403, "invalid_grant"))

    def test_a_mailed_code_signs_in(self):
        email = f"{uuid.uuid4().hex}@example.com"
        started = Passwordless(DOMAIN, APP_ID, APP_SECRET).email(email, send="code")
        self.assertEqual((started["email"], started["email_verified"]), (email, False))
        code = re.search(r"\b\d{6}\b", ask("letter", to=email, kind="auth_email_by_code")["text"])[0]
        tokens = self.tokens.passwordless_login(email, code, "email", "openid email", "")
        claims = verified(tokens["id_token"])
        self.assertEqual((claims["email"], claims["email_verified"], claims["sub"].split("|")[0]), (email, True, "email"))

    def test_a_person_elsewhere_lets_an_app_in(self):
        user, user_id = new_user()
        hint = json.dumps({"format": "iss_sub", "iss": ISSUER, "sub": user_id})
        asked = BackChannelLogin(DOMAIN, APP_ID, APP_SECRET).back_channel_login("Order 4711", hint, "openid email")
        with self.assertRaises(Auth0Error) as raised:
            self.tokens.backchannel_login(asked["auth_req_id"])
        self.assertEqual(raised.exception.error_code, "authorization_pending")
        self.assertIn("The app may go on.", ask("answer", **user)["text"])
        time.sleep(asked["interval"] + 0.2)
        self.assertEqual(verified(self.tokens.backchannel_login(asked["auth_req_id"])["id_token"])["email"], user["email"])

    def test_somebody_signs_up_and_asks_for_another_password(self):
        database, email = Database(DOMAIN, APP_ID), f"{uuid.uuid4().hex}@example.com"
        made = database.signup(email, "Correct-Horse-1!", CONNECTION, user_metadata={"color": "teal"})
        self.assertEqual((made["email"], made["email_verified"], made["user_metadata"]), (email, False, {"color": "teal"}))
        self.assertEqual(management().users.get(f"auth0|{made['_id']}").email, email)
        with self.assertRaises(Auth0Error) as raised:
            database.signup(email, "Correct-Horse-1!", CONNECTION)
        self.assertEqual((raised.exception.status_code, raised.exception.error_code), (400, "invalid_signup"))
        self.assertEqual(database.change_password(email, CONNECTION), "We've just sent you an email to reset your password.")
        self.assertIn(f"{ISSUER}", ask("letter", to=email, kind="reset_email")["text"])


class Management(unittest.TestCase):
    def test_users_are_created_changed_listed_and_deleted(self):
        api = management()
        email = f"{uuid.uuid4().hex}@example.com"
        user = api.users.create(connection=CONNECTION, email=email, password="Correct-Horse-1!", user_metadata={"color": "teal"})
        changed = api.users.update(user.user_id, user_metadata={"size": "m"}, given_name="Ada")
        self.assertEqual((changed.user_metadata, changed.given_name), ({"color": "teal", "size": "m"}, "Ada"))
        self.assertEqual([one.user_id for one in api.users.list_users_by_email(email=email)], [user.user_id])
        self.assertIn(user.user_id, [one.user_id for one in api.users.list(per_page=50, include_totals=True)])
        api.users.delete(user.user_id)
        self.assertEqual(list(api.users.list_users_by_email(email=email)), [])

    def test_clients_and_apis_are_created_and_deleted(self):
        api = management()
        client = api.clients.create(name="From Python", app_type="regular_web", callbacks=["https://app.example.com/cb"])
        self.assertEqual(api.clients.get(client.client_id).callbacks, ["https://app.example.com/cb"])
        api.clients.delete(client.client_id)
        server = api.resource_servers.create(identifier=f"https://{uuid.uuid4().hex}.example.com/", name="From Python")
        self.assertEqual((server.token_lifetime, server.signing_alg), (86400, "RS256"))
        api.resource_servers.delete(server.id)

    def test_settings_branding_and_logs_are_read(self):
        api = management()
        self.assertEqual(api.tenants.settings.get().session_lifetime, 168)
        api.branding.get()
        self.assertGreater(len(list(api.logs.list(per_page=1, include_totals=True).items)), 0)


if __name__ == "__main__":
    unittest.main()
