//! The letters that the server would have sent.

use model::mail::{self, Delivery, Mail};

use super::TestApp;

/// A letter that went out.
#[derive(Clone, Debug)]
pub struct Letter {
    pub kind: String,
    pub mail: Mail,
}

impl Letter {
    /// The path and query of the one link to a page of ours that the letter's text holds.
    pub fn link(&self) -> String {
        let text = &self.mail.text;
        let start = text.find("https://").unwrap_or_else(|| panic!("no link in {text}"));
        let url = text[start..].split_whitespace().next().expect("begins with one");
        let path = url["https://".len()..].find('/').expect("has a path");
        let path = &url["https://".len() + path..];
        path.strip_suffix('#').unwrap_or(path).to_owned()
    }
}

impl TestApp {
    /// Lets the mail job take its steps, and answers the letters that have gone out since the test began, oldest first.
    pub async fn posted(&self) -> Vec<Letter> {
        server::jobs::post(&self.app, Delivery::Outbox).await.expect("the job runs");
        let mut letters = mail::newest(&self.app, &self.tenant.id, 1000).await.expect("reads");
        letters.reverse();
        letters
            .into_iter()
            .map(|shown| Letter { kind: shown.kind, mail: shown.mail.expect("it has gone out") })
            .collect()
    }

    /// The letters of this kind to this address, oldest first.
    pub async fn letters_to(&self, address: &str, kind: &str) -> Vec<Letter> {
        let mut letters = self.posted().await;
        letters.retain(|letter| letter.mail.to == address && letter.kind == kind);
        letters
    }
}
