//! The formats of password hashes, and the memory in which they are computed.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::imported::Imported;
use super::memory::Memory;
use super::{Cost, Verdict};
use crate::random::Random;
use crate::seal::same;

/// Bytes of a new salt and of a new hash.
const SALT: usize = 16;
const OUTPUT: usize = 32;

/// Limits on what a stored hash may ask for, so that an imported one cannot stop a thread: 128 MiB, 64 passes over 1
/// MiB or the like, bcrypt cost 15.
const MOST_MEMORY: u32 = 128 * 1024;
const MOST_WORK: u64 = 1024 * 1024;
pub(super) const MOST_BCRYPT: u32 = 15;

/// Where bcrypt takes about as long as a hash of today's cost.
const QUICK_BCRYPT: u32 = 8;

/// The least that bcrypt can cost.
const LEAST_BCRYPT: u32 = 4;

/// The longest password that bcrypt sees whole. It would ignore the rest.
pub(super) const BCRYPT_LONGEST: usize = 72;

const NO: Verdict = Verdict { matches: false, rehash: false };

/// One thread's means of hashing: the cost of new hashes, and memory that is kept between them until it rests.
pub(super) struct Engine {
    cost: Cost,
    random: Random,
    /// How many of them a new hash takes.
    blocks: usize,
    memory: Memory,
}

impl Engine {
    pub(super) fn new(cost: Cost) -> Self {
        Self { cost, random: Random::system(), blocks: params(cost).block_count(), memory: Memory::default() }
    }

    /// Whether it holds no memory.
    pub(super) fn is_rested(&self) -> bool {
        self.memory.is_empty()
    }

    /// Gives its memory back; the next hash takes some again.
    pub(super) fn rest(&mut self) {
        self.memory = Memory::default();
    }

    /// A new hash as `$argon2id$v=19$m=…,t=…,p=…$salt$hash`.
    pub(super) fn hash(&mut self, password: &[u8]) -> String {
        let salt: [u8; SALT] = self.random.bytes();
        let hash = self.argon2id(password, &salt);
        let Cost { memory, passes, lanes } = self.cost;
        let [salt, hash] = [&salt[..], &hash].map(|bytes| STANDARD_NO_PAD.encode(bytes));
        format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${hash}")
    }

    /// Compares. Without a hash, or with one that cannot be read or asks for too much, it computes one and answers no.
    pub(super) fn verify(&mut self, password: &str, hash: Option<&str>) -> Verdict {
        let text = password;
        let password = text.as_bytes();
        match hash.and_then(Stored::read) {
            Some(Stored::Argon2(stored)) => {
                let verdict = self.verify_argon2(password, &stored);
                self.take_time(password, !verdict.matches && stored.is_quick(self.cost));
                verdict
            }
            Some(Stored::Imported(stored)) => {
                let matches = stored.matches(text);
                self.take_time(password, !matches && stored.is_quick());
                Verdict { matches, rehash: matches }
            }
            // bcrypt takes 72 bytes and, in its first implementations, what stands before a NUL: beyond that
            // passwords would be interchangeable.
            Some(Stored::Bcrypt(hash)) if password.len() <= BCRYPT_LONGEST && !password.contains(&0) => {
                let matches = bcrypt::verify(password, hash).unwrap_or(false);
                self.take_time(password, !matches && is_quick_bcrypt(hash));
                Verdict { matches, rehash: matches }
            }
            Some(Stored::Bcrypt(_)) | None => {
                self.argon2id(password, &[0; SALT]);
                NO
            }
        }
    }

    /// A hash of today's cost beside a comparison that took less: else the time would tell that there is such a user. One that matches is replaced,
    /// which takes as long.
    fn take_time(&mut self, password: &[u8], quick: bool) {
        if quick {
            self.argon2id(password, &[0; SALT]);
        }
    }

    fn argon2id(&mut self, password: &[u8], salt: &[u8]) -> [u8; OUTPUT] {
        let mut output = [0; OUTPUT];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params(self.cost))
            .hash_password_into_with_memory(password, salt, &mut output, self.memory.of(self.blocks))
            .expect("lengths and memory are those of the parameters");
        output
    }

    fn verify_argon2(&mut self, password: &[u8], stored: &StoredArgon2) -> Verdict {
        let blocks = stored.params.block_count();
        let mut more = Memory::default();
        let memory = match blocks <= self.blocks {
            true => &mut self.memory.of(self.blocks)[..blocks],
            false => more.of(blocks),
        };
        let mut output = vec![0; stored.output.len()];
        let matches = Argon2::new(stored.algorithm, stored.version, stored.params.clone())
            .hash_password_into_with_memory(password, &stored.salt, &mut output, memory)
            .is_ok()
            && same(&output, &stored.output);
        Verdict { matches, rehash: matches && !stored.is_as_new(self.cost) }
    }
}

fn params(cost: Cost) -> Params {
    Params::new(cost.memory, cost.passes, cost.lanes, Some(OUTPUT)).expect("the cost is one of argon2's")
}

/// A stored hash, understood.
enum Stored<'a> {
    Argon2(Box<StoredArgon2>),
    Bcrypt(&'a str),
    Imported(Box<Imported>),
}

/// Why an imported argon2 hash is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It is no PHC string of argon2.
    Malformed,
    /// It asks for too much.
    Unbearable,
}

/// Whether a hash is one of argon2 that a login can compute.
pub(super) fn read_argon2(hash: &str) -> Result<(), Unreadable> {
    StoredArgon2::read(hash).map(drop)
}

/// Whether a bcrypt hash (`$2b$10$…`) costs no more than a login may take.
pub(super) fn is_bearable_bcrypt(hash: &str) -> bool {
    bcrypt_cost(hash).is_some_and(|cost| (LEAST_BCRYPT..=MOST_BCRYPT).contains(&cost))
}

/// Whether a bcrypt hash is compared sooner than one is made today.
pub(super) fn is_quick_bcrypt(hash: &str) -> bool {
    bcrypt_cost(hash).is_none_or(|cost| cost < QUICK_BCRYPT)
}

fn bcrypt_cost(hash: &str) -> Option<u32> {
    hash.strip_prefix("$2")?.get(2..4)?.parse().ok()
}

struct StoredArgon2 {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: Vec<u8>,
    output: Vec<u8>,
}

impl<'a> Stored<'a> {
    fn read(hash: &'a str) -> Option<Self> {
        if hash.starts_with("$argon2") {
            return StoredArgon2::read(hash).ok().map(Box::new).map(Self::Argon2);
        }
        if hash.starts_with('{') {
            return Imported::read(hash).map(Box::new).map(Self::Imported);
        }
        // The crate reads `$2a$`, `$2b$`, `$2x$` and `$2y$`.
        is_bearable_bcrypt(hash).then_some(Self::Bcrypt(hash))
    }
}

impl StoredArgon2 {
    fn read(hash: &str) -> Result<Self, Unreadable> {
        const NOT: Unreadable = Unreadable::Malformed;
        let hash = PasswordHash::new(hash).map_err(|_| NOT)?;
        let params = Params::try_from(&hash).map_err(|_| NOT)?;
        let work = u64::from(params.m_cost()) * u64::from(params.t_cost());
        if params.m_cost() > MOST_MEMORY || work > MOST_WORK {
            return Err(Unreadable::Unbearable);
        }
        Ok(Self {
            algorithm: Algorithm::try_from(hash.algorithm.as_str()).map_err(|_| NOT)?,
            version: hash.version.map_or(Ok(Version::V0x10), Version::try_from).map_err(|_| NOT)?,
            params,
            salt: hash.salt.ok_or(NOT)?.as_ref().to_vec(),
            output: hash.hash.ok_or(NOT)?.as_bytes().to_vec(),
        })
    }

    /// Whether it is compared sooner than one is made today; a salt that is too short is not even begun with.
    fn is_quick(&self, cost: Cost) -> bool {
        let work = |memory: u32, passes: u32| u64::from(memory) * u64::from(passes);
        work(self.params.m_cost(), self.params.t_cost()) < work(cost.memory, cost.passes)
            || self.salt.len() < argon2::MIN_SALT_LEN
    }

    /// Whether a new hash would be of the same kind and cost.
    fn is_as_new(&self, cost: Cost) -> bool {
        self.algorithm == Algorithm::Argon2id
            && self.version == Version::V0x13
            && (self.params.m_cost(), self.params.t_cost(), self.params.p_cost())
                == (cost.memory, cost.passes, cost.lanes)
            && self.output.len() == OUTPUT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TINY: Cost = Cost { memory: 8, passes: 1, lanes: 1 };
    const YES: Verdict = Verdict { matches: true, rehash: false };
    const YES_OF_OLD: Verdict = Verdict { matches: true, rehash: true };

    /// The test vectors of the reference implementation: `password`, `somesalt`.
    const ARGON2ID: &str =
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
    const ARGON2I: &str =
        "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8";
    /// One of crypt_blowfish's: `U*U`.
    const BCRYPT: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

    fn verify(password: &str, hash: &str) -> Verdict {
        Engine::new(TINY).verify(password, Some(hash))
    }

    #[test]
    fn a_new_hash_is_a_phc_string_of_the_configured_cost() {
        let mut engine = Engine::new(TINY);
        let (one, two) = (engine.hash(b"password"), engine.hash(b"password"));
        assert_ne!(one, two, "each has its own salt");
        let shape: Vec<usize> = one.split('$').map(str::len).collect();
        assert!(one.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{one}");
        assert_eq!(shape, [0, 8, 4, 11, 22, 43]);
        assert_eq!(Cost::default(), Cost { memory: 19_456, passes: 2, lanes: 1 });
    }

    #[test]
    fn published_argon2_hashes_are_verified_and_replaced() {
        for hash in [ARGON2ID, ARGON2I] {
            assert_eq!(verify("password", hash), YES_OF_OLD, "{hash}");
            assert_eq!(verify("Password", hash), NO, "{hash}");
        }
        let same_cost = Cost { memory: 256, passes: 2, lanes: 1 };
        assert_eq!(Engine::new(same_cost).verify("password", Some(ARGON2ID)), YES);
        assert_eq!(Engine::new(same_cost).verify("password", Some(ARGON2I)), YES_OF_OLD, "another variant");
    }

    #[test]
    fn what_lay_in_the_memory_does_not_matter() {
        let mut used = Engine::new(Cost { memory: 64, passes: 1, lanes: 1 });
        let hash = used.hash(b"one");
        for other in ["two", "three"] {
            used.verify(other, Some(ARGON2ID));
            used.hash(other.as_bytes());
            assert_eq!(used.verify("one", Some(&hash)), YES);
        }
        assert_eq!(used.memory.len(), 64, "what one hash needed beyond is given back");
        assert_eq!(Engine::new(TINY).verify("one", Some(&hash)), YES_OF_OLD);
    }

    #[test]
    fn a_rested_thread_holds_no_memory_and_hashes_as_before() {
        let mut engine = Engine::new(TINY);
        assert!(engine.is_rested(), "until the first hash");
        let hash = engine.hash(b"one");
        assert!(!engine.is_rested());
        engine.rest();
        assert!(engine.is_rested() && engine.memory.is_empty());
        assert_eq!(engine.verify("one", Some(&hash)), YES);
    }

    #[test]
    fn a_wrong_password_takes_as_long_where_the_hash_costs_little() {
        let md5 = serde_json::json!({ "algorithm": "md5", "hash": { "value": "00".repeat(16), "encoding": "hex" } });
        let hash = super::super::imported::custom_hash(md5.as_object().unwrap()).unwrap();
        let mut engine = Engine::new(TINY);
        assert_eq!(engine.verify("password", Some(&hash)), NO);
        assert!(!engine.is_rested(), "a hash of today's cost was computed");
        // Nor by any that costs little.
        let short = "$argon2id$v=19$m=256,t=2,p=1$c29t$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        for quick in [BCRYPT, short] {
            let mut engine = Engine::new(TINY);
            assert_eq!(engine.verify("wrong", Some(quick)), NO);
            assert!(!engine.is_rested(), "{quick}");
        }
        let costly = bcrypt::hash_with_salt("right", QUICK_BCRYPT, [7; 16]).unwrap().to_string();
        let mut engine = Engine::new(TINY);
        assert_eq!(engine.verify("wrong", Some(&costly)), NO);
        assert!(engine.is_rested(), "it took its time itself");
        assert!(!StoredArgon2::read(ARGON2ID).unwrap().is_quick(TINY));
        assert!(StoredArgon2::read(ARGON2ID).unwrap().is_quick(Cost::default()));
    }

    #[test]
    fn bcrypt_is_verified_and_replaced() {
        assert_eq!(verify("U*U", BCRYPT), YES_OF_OLD);
        assert_eq!(verify("U*U*", BCRYPT), NO);
        for version in ["$2b$", "$2y$"] {
            assert_eq!(verify("U*U", &BCRYPT.replacen("$2a$", version, 1)), YES_OF_OLD, "{version}");
        }
    }

    #[test]
    fn bcrypt_never_matches_by_a_part_of_the_password() {
        let hashed = |password: &str| bcrypt::hash_with_salt(password, 4, [7; 16]).unwrap().to_string();
        let longest = "x".repeat(72);
        assert_eq!(verify(&longest, &hashed(&longest)), YES_OF_OLD);
        let longer = format!("{longest}y");
        assert_eq!(hashed(&longest), hashed(&longer), "bcrypt cannot tell them apart");
        assert_eq!(verify(&longer, &hashed(&longer)), NO);
        assert_eq!(
            verify("a\0a", &hashed("a")),
            NO,
            "nor these two, since it repeats the password with its NUL"
        );
        assert_eq!(hashed("a"), hashed("a\0a"));
    }

    #[test]
    fn a_hash_that_asks_for_too_much_or_cannot_be_read_does_not_match() {
        for hash in [
            "",
            "password",
            "$argon2id$",
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ",
            "$argon2id$v=18$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=19$m=4194304,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=19$m=8,t=4294967295,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            "$2b$05$short",
            "$2é$05$",
        ] {
            assert_eq!(verify("password", hash), NO, "{hash}");
        }
    }
}
