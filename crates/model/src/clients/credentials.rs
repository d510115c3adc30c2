//! Keys and certificates of clients: given where they are used, kept apart, and referred to by id.
//!
//! They are kept for what will read them; a client that has them is not let in by its secret meanwhile.

use serde_json::{Map, Value as Json, json};

use crate::clock::Timestamp;
use crate::random::Random;

/// The settings that hold credentials.
const HOLDERS: [&str; 2] = ["client_authentication_methods", "signed_request_object"];

/// Takes the new credentials out of the body of a POST or PATCH and leaves `{"id": "cred_…"}` in the place of each.
pub fn take_credentials(random: &Random, now: Timestamp, body: &mut Map<String, Json>) -> Vec<Json> {
    let mut taken = Vec::new();
    for holder in HOLDERS {
        if let Some(settings) = body.get_mut(holder) {
            take(random, now, settings, &mut taken);
        }
    }
    taken
}

/// Shows these credentials, but for their keys, in an answer that refers to them: as a POST answers.
pub fn show_credentials(credentials: &[Json], answer: &mut Map<String, Json>) {
    for holder in HOLDERS {
        if let Some(settings) = answer.get_mut(holder) {
            show(credentials, settings);
        }
    }
}

fn show(credentials: &[Json], settings: &mut Json) {
    for (key, value) in settings.as_object_mut().into_iter().flatten() {
        let Some(references) = value.as_array_mut().filter(|_| key == "credentials") else {
            show(credentials, value);
            continue;
        };
        for reference in references {
            if let Some(whole) = credentials.iter().find(|whole| whole["id"] == reference["id"]) {
                let shown = whole.as_object().into_iter().flatten();
                let shown =
                    shown.filter(|(key, _)| !["pem", "parse_expiry_from_cert"].contains(&key.as_str()));
                *reference = shown.map(|(key, value)| (key.clone(), value.clone())).collect();
            }
        }
    }
}

fn take(random: &Random, now: Timestamp, settings: &mut Json, taken: &mut Vec<Json>) {
    for (key, value) in settings.as_object_mut().into_iter().flatten() {
        let Some(credentials) = value.as_array_mut().filter(|_| key == "credentials") else {
            take(random, now, value, taken);
            continue;
        };
        for credential in credentials.iter_mut().filter(|credential| credential.get("id").is_none()) {
            let reference = json!({ "id": format!("cred_{}", random.base58(22)) });
            let given = std::mem::replace(credential, reference.clone());
            let mut whole = reference;
            if given.get("credential_type").is_some_and(|kind| kind == "public_key") {
                whole["alg"] = "RS256".into();
            }
            for (key, value) in given.as_object().into_iter().flatten() {
                whole[key] = value.clone();
            }
            whole["created_at"] = json!(now);
            whole["updated_at"] = json!(now);
            taken.push(whole);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_credential_is_taken_out_and_one_with_an_id_stays() {
        let mut body = json!({
            "name": "a",
            "client_authentication_methods": {
                "private_key_jwt": { "credentials": [{ "credential_type": "public_key", "pem": "p" }, { "id": "cred_1" }] }
            },
            "signed_request_object": { "required": true, "credentials": [{ "credential_type": "public_key", "pem": "q" }] }
        });
        let now = Timestamp::from_millis(0);
        let taken = take_credentials(&Random::seeded(1), now, body.as_object_mut().unwrap());
        let ids: Vec<_> = taken.iter().map(|credential| credential["id"].as_str().unwrap()).collect();
        assert!(ids.iter().all(|id| id.len() == 27 && id.starts_with("cred_")) && ids[0] != ids[1]);
        assert_eq!(
            taken[0],
            json!({
                "id": ids[0],
                "alg": "RS256",
                "credential_type": "public_key",
                "pem": "p",
                "created_at": "1970-01-01T00:00:00.000Z",
                "updated_at": "1970-01-01T00:00:00.000Z"
            })
        );
        assert_eq!(
            body,
            json!({
                "name": "a",
                "client_authentication_methods":
                    { "private_key_jwt": { "credentials": [{ "id": ids[0] }, { "id": "cred_1" }] } },
                "signed_request_object": { "required": true, "credentials": [{ "id": ids[1] }] }
            })
        );
        show_credentials(&taken, body.as_object_mut().unwrap());
        let shown = &body["client_authentication_methods"]["private_key_jwt"]["credentials"];
        assert_eq!((&shown[0]["alg"], &shown[0]["pem"]), (&json!("RS256"), &json!(null)));
        assert_eq!(shown[1], json!({ "id": "cred_1" }));
    }
}
