"""Authlib against a running Doorward: its OAuth session, its metadata and its ID token rules. Started by ../run.js."""

import os
import time
import unittest
import uuid

import requests
from authlib.common.security import generate_token
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.core import CodeIDToken, UserInfo
from authlib.oidc.discovery import OpenIDProviderMetadata
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwt
from joserfc.jwk import KeySet
from person import ask, signed_in

ISSUER = os.environ["ISSUER"]
CLIENT_ID, CLIENT_SECRET = os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"]
APP_ID, APP_SECRET = os.environ["APP_ID"], os.environ["APP_SECRET"]
CALLBACK, DEVICE = "https://app.example.com/callback", "urn:ietf:params:oauth:grant-type:device_code"
META = requests.get(f"{ISSUER}.well-known/openid-configuration").json()


def session(**more):
    options = {"client_id": APP_ID, "client_secret": APP_SECRET, "token_endpoint_auth_method": "client_secret_post", "redirect_uri": CALLBACK}
    return OAuth2Session(**{**options, **more})


def machine():
    api = OAuth2Session(CLIENT_ID, CLIENT_SECRET, token_endpoint_auth_method="client_secret_post")
    api.fetch_token(META["token_endpoint"], grant_type="client_credentials", audience=f"{ISSUER}api/v2/")
    return api


def new_user():
    user = {"email": f"{uuid.uuid4().hex}@example.com", "password": "Correct-Horse-1!"}
    body = {"connection": "Username-Password-Authentication", "email_verified": True, **user}
    made = machine().post(f"{ISSUER}api/v2/users", json=body)
    made.raise_for_status()
    return user, made.json()["user_id"]


def verified(id_token, **params):
    """The claims of an ID token by Authlib's own rules (OIDC Core §3.1.3.7)."""
    keys = KeySet.import_key_set(requests.get(META["jwks_uri"]).json())
    token = jwt.decode(id_token, keys, algorithms=["RS256"])
    options = {"iss": {"value": META["issuer"]}, "aud": {"value": APP_ID}}
    claims = CodeIDToken(token.claims, token.header, options, {"client_id": APP_ID, **params})
    claims.validate(leeway=5)
    return claims


class Sessions(unittest.TestCase):
    def test_the_metadata_is_what_the_specifications_ask_for(self):
        OpenIDProviderMetadata(META).validate()
        AuthorizationServerMetadata(requests.get(f"{ISSUER}.well-known/oauth-authorization-server").json()).validate()

    def test_a_code_with_pkce_gives_tokens_that_renew_and_revoke(self):
        (user, user_id), verifier = new_user(), generate_token(48)
        app = session(scope="openid profile email offline_access", code_challenge_method="S256")
        address, state = app.create_authorization_url(META["authorization_endpoint"], code_verifier=verifier, nonce="n-1")
        back = signed_in(address, user)
        self.assertEqual(back["state"], state)
        first = app.fetch_token(META["token_endpoint"], code=back["code"], code_verifier=verifier)
        claims = verified(first["id_token"], nonce="n-1", access_token=first["access_token"])
        self.assertEqual((claims["sub"], claims["email"]), (user_id, user["email"]))
        info = UserInfo(app.get(META["userinfo_endpoint"]).json())
        self.assertEqual((info.sub, info.email, info.email_verified), (user_id, user["email"], True))
        second = app.refresh_token(META["token_endpoint"], refresh_token=first["refresh_token"])
        self.assertNotEqual(second["access_token"], first["access_token"])
        app.revoke_token(META["revocation_endpoint"], first["refresh_token"], "refresh_token").raise_for_status()
        with self.assertRaises(OAuthError) as raised:
            app.refresh_token(META["token_endpoint"], refresh_token=first["refresh_token"])
        self.assertEqual(raised.exception.error, "invalid_grant")

    def test_a_wrong_verifier_is_refused(self):
        (user, _), app = new_user(), session(scope="openid", code_challenge_method="S256")
        address, _ = app.create_authorization_url(META["authorization_endpoint"], code_verifier=generate_token(48))
        with self.assertRaises(OAuthError) as raised:
            app.fetch_token(META["token_endpoint"], code=signed_in(address, user)["code"], code_verifier=generate_token(48))
        self.assertEqual(raised.exception.error, "invalid_grant")

    def test_a_password_gives_tokens(self):
        (user, user_id), app = new_user(), session(scope="openid email")
        tokens = app.fetch_token(META["token_endpoint"], username=user["email"], password=user["password"], grant_type="password", scope="openid email")
        self.assertEqual(verified(tokens["id_token"])["sub"], user_id)

    def test_a_device_waits_until_its_person_lets_it_in(self):
        (user, user_id), app = new_user(), session(scope="openid email")
        begun = requests.post(META["device_authorization_endpoint"], data={"client_id": APP_ID, "client_secret": APP_SECRET, "scope": "openid email"}).json()
        with self.assertRaises(OAuthError) as raised:
            app.fetch_token(META["token_endpoint"], grant_type=DEVICE, device_code=begun["device_code"])
        self.assertEqual(raised.exception.error, "authorization_pending")
        self.assertIn("Your device is connected", ask("sign-in", address=begun["verification_uri_complete"], **user)["text"])
        time.sleep(begun["interval"] + 0.2)
        tokens = app.fetch_token(META["token_endpoint"], grant_type=DEVICE, device_code=begun["device_code"])
        self.assertEqual(verified(tokens["id_token"])["sub"], user_id)


class Clients(unittest.TestCase):
    """The ways in which Authlib proves who the client is."""

    def token_of(self, client, method, plug=None):
        app = OAuth2Session(client["client_id"], client.get("client_secret", plug and plug[0]), token_endpoint_auth_method=method)
        if plug:
            app.register_client_auth_method(plug[1])
        return app.fetch_token(META["token_endpoint"], grant_type="client_credentials", audience=f"{ISSUER}api/v2/")

    def client(self, **settings):
        api = machine()
        body = {"name": "From Authlib", "app_type": "non_interactive", "grant_types": ["client_credentials"], **settings}
        made = api.post(f"{ISSUER}api/v2/clients", json=body)
        self.assertEqual(made.status_code, 201, made.text)
        grant = {"client_id": made.json()["client_id"], "audience": f"{ISSUER}api/v2/", "scope": ["read:users"]}
        api.post(f"{ISSUER}api/v2/client-grants", json=grant).raise_for_status()
        return made.json()

    def test_basic_and_post(self):
        for method in ("client_secret_basic", "client_secret_post"):
            token = self.token_of(self.client(token_endpoint_auth_method=method), method)
            self.assertEqual((token["token_type"], token["scope"]), ("Bearer", "read:users"))

    def test_private_key_jwt(self):
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
        methods = {"private_key_jwt": {"credentials": [{"name": "key", "credential_type": "public_key", "pem": public, "alg": "RS256"}]}}
        client = self.client(client_authentication_methods=methods)
        client.pop("client_secret", None)
        # Of itself Authlib signs for an hour; five minutes are what Auth0 takes.
        soon = {"exp": int(time.time()) + 60}
        token = self.token_of(client, "private_key_jwt", (private, PrivateKeyJWT(META["token_endpoint"], claims=soon)))
        self.assertEqual(token["scope"], "read:users")

    def test_the_secret_of_another_is_refused(self):
        client = {**self.client(token_endpoint_auth_method="client_secret_post"), "client_secret": APP_SECRET}
        with self.assertRaises(OAuthError):
            self.token_of(client, "client_secret_post")


if __name__ == "__main__":
    unittest.main()
