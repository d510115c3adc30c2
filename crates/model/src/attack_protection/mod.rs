//! Attack protection: what a tenant does against guessing (management contract §4.13), and what has been guessed so far.

mod addresses;
mod attempts;
mod blocks;
mod breaches;
mod captcha;
mod notices;
mod settings;
#[cfg(test)]
mod tests;
mod unblock;

use std::net::IpAddr;

use ipnet::IpNet;

pub use addresses::{Stage, admit, is_blocked, lift_address, note};
pub use attempts::{
    Attempt, MOST_STRANGERS, Refused, Who, begin, cleared, failed, forget_oldest_strangers, released,
};
pub use blocks::{Block, lift, lift_identifier, lift_identity, of_identifier, of_user};
pub use breaches::{BreachStage, Breached, Breaches, BreachesError, breached};
pub use captcha::{Captcha, load_captcha, save_captcha};
pub use settings::{
    BotDetection, BreachedPasswords, BruteForce, Mode, Rate, Settings, Shield, Stored, SuspiciousIp, find,
    load, save,
};
pub use unblock::{find_ticket, insert_ticket, spend_ticket};

/// Who shares a counter with an address: of IPv6 its whole network, since whoever has one address there has 2^64.
pub(crate) fn network(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let prefix = std::net::Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64));
            format!("{prefix}/64")
        }
    }
}

/// Whether one of the listed addresses or networks is, or holds, this one.
fn is_listed(ip: IpAddr, list: &[String]) -> bool {
    let ip = ip.to_canonical();
    let net = |text: &String| text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    list.iter().filter_map(|text| net(text).ok()).any(|net| net.contains(&ip))
}
