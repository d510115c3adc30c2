//! What every request needs, made once when the program starts.

use std::net::IpAddr;
use std::sync::Arc;

use db::Db;

use crate::attack_protection::Breaches;
use crate::clock::Clock;
use crate::keys::Keys;
use crate::logs;
use crate::net::Net;
use crate::passwords::Hasher;
use crate::random::Random;
use crate::seal::Sealer;

/// The shared state of the program: the database, the clock and the pools. It holds no request's data.
pub struct Model {
    /// Reads, batches and the configuration cache.
    pub db: Db,
    /// The time; tests and `doorward dev` can move it.
    pub clock: Clock,
    /// Randomness; tests can repeat it.
    pub random: Random,
    /// Seals what must be read back, under the master key.
    pub seal: Sealer,
    /// Passwords that have leaked: the operator's file.
    pub breaches: Breaches,
    /// Password hashing on its own bounded pool.
    pub hasher: Hasher,
    /// The tenants' signing keys, parsed.
    pub keys: Keys,
    /// The way out to addresses that callers choose.
    pub net: Net,
    /// Audit events that no batch carries.
    pub audit: logs::Queue,
}

/// The state as handlers take it: `State(app): State<App>`.
pub type App = Arc<Model>;

/// Who is at the other end of the connection, as far as it is proven: a forwarded address counts only from a named proxy.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The client's address.
    pub ip: IpAddr,
    /// The `User-Agent` header, cut at 512 characters.
    pub user_agent: Option<String>,
}

impl Peer {
    /// Who it is, as a gateway is told that wants to know who asks: `ip`, `user_agent`.
    pub fn told(&self) -> serde_json::Value {
        serde_json::json!({ "ip": self.ip.to_string(), "user_agent": self.user_agent })
    }
}
