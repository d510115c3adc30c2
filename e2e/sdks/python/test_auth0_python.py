"""auth0-python against a running Doorward. Started by ../run.js."""

import os
import time
import unittest
import uuid

from auth0.authentication import GetToken
from auth0.authentication.exceptions import Auth0Error
from auth0.authentication.token_verifier import AsymmetricSignatureVerifier
from auth0.management import ManagementClient

DOMAIN, ISSUER = os.environ["DOMAIN"], os.environ["ISSUER"]
CLIENT_ID, CLIENT_SECRET = os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"]
CONNECTION = "Username-Password-Authentication"


def management():
    return ManagementClient(domain=DOMAIN, client_id=CLIENT_ID, client_secret=CLIENT_SECRET)


class Tokens(unittest.TestCase):
    def test_client_credentials_give_a_token_that_verifies(self):
        token = GetToken(DOMAIN, CLIENT_ID, CLIENT_SECRET).client_credentials(f"{ISSUER}api/v2/")
        claims = AsymmetricSignatureVerifier(f"{ISSUER}.well-known/jwks.json").verify_signature(token["access_token"])
        self.assertEqual((claims["iss"], claims["aud"], claims["sub"]), (ISSUER, f"{ISSUER}api/v2/", f"{CLIENT_ID}@clients"))
        self.assertGreater(claims["exp"], time.time())

    def test_a_wrong_secret_is_refused(self):
        with self.assertRaises(Auth0Error) as raised:
            GetToken(DOMAIN, CLIENT_ID, "wrong").client_credentials(f"{ISSUER}api/v2/")
        self.assertEqual((raised.exception.status_code, raised.exception.error_code), (401, "access_denied"))


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
