use std::sync::OnceLock;

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

use super::product::{Product, machine, split};

/// Searches for users and their lists, through the router: the first line is `q`, the rest the other parameters as they are. The answer is
/// a list, or it says what is wrong.
pub fn search(data: &[u8]) -> bool {
    static BEARER: OnceLock<String> = OnceLock::new();
    let product = Product::get();
    let bearer = BEARER.get_or_init(|| format!("Bearer {}", product.signed(&machine(product, "read:users"))));
    let (q, others) = split(data);
    let q = percent_encode(q, NON_ALPHANUMERIC).to_string();
    let path = [b"/api/v2/users?search_engine=v3&q=", q.as_bytes(), b"&", others].concat();
    let Some(answer) = product.send("GET", &path, &[("authorization", bearer.as_bytes())], b"") else {
        return false;
    };
    assert!(matches!(answer.status, 200 | 400), "{}: {}", answer.status, answer.text);
    answer.status == 200
}
