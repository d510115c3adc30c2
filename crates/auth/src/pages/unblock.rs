//! The page that lifts the blocks of an account, `/u/unblock`: the question, and what became of it.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::{FormTargets, ICON, Look, Page, SCRIPT, STYLE};

/// Asks whether to unblock an account, or says that it is done.
///
/// Posts `ticket` to `/u/unblock`.
#[derive(Template, Debug)]
#[template(path = "unblock.html")]
pub struct UnblockPage {
    /// The tenant's look.
    pub look: Look,
    /// What it says.
    pub what: Unblock,
}

/// What the page says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unblock {
    /// The question.
    Ask {
        /// The token of the link.
        ticket: String,
    },
    /// The account is unblocked.
    Done,
    /// The link was used, is too old, or is not ours.
    Failed,
}

impl UnblockPage {
    /// The keys of the title and of what it means.
    fn text_keys(&self) -> [&'static str; 2] {
        match self.what {
            Unblock::Ask { .. } => [
                "brute-force-protection/brute-force-protection-unblock/title",
                "brute-force-protection/brute-force-protection-unblock/description",
            ],
            Unblock::Done => [
                "brute-force-protection/brute-force-protection-unblock-success/title",
                "brute-force-protection/brute-force-protection-unblock-success/description",
            ],
            Unblock::Failed => [
                "brute-force-protection/brute-force-protection-unblock-failure/title",
                "brute-force-protection/brute-force-protection-unblock-failure/description",
            ],
        }
    }
}

impl Page for UnblockPage {
    fn look(&self) -> &Look {
        &self.look
    }

    fn page_title(&self) -> &'static str {
        "brute-force-protection/brute-force-protection-unblock/pageTitle"
    }
}

impl IntoResponse for UnblockPage {
    fn into_response(self) -> Response {
        let status = match self.what {
            Unblock::Failed => StatusCode::BAD_REQUEST,
            Unblock::Ask { .. } | Unblock::Done => StatusCode::OK,
        };
        self.answer(status, &FormTargets::default())
    }
}
