//! The two databases, and the macro that makes one test of each for both.

use super::TestApp;

/// A database that a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    /// A new, empty database, as an address for `Db::open`.
    pub async fn database(self) -> String {
        match self {
            Self::Sqlite => db::testing::sqlite(),
            Self::Postgres => db::testing::Postgres::database().await,
        }
    }
}

/// What a test may take: an [`Engine`], or the [`TestApp`] on it.
pub trait FromEngine {
    async fn from_engine(engine: Engine) -> Self;
}

impl FromEngine for Engine {
    async fn from_engine(engine: Engine) -> Self {
        engine
    }
}

impl FromEngine for TestApp {
    async fn from_engine(engine: Engine) -> Self {
        TestApp::on(engine).await
    }
}

/// Each function becomes two tests, `name::sqlite` and `name::postgres`. Its argument is a [`TestApp`] or an [`Engine`].
macro_rules! both_databases {
    ($($(#[$attribute:meta])* async fn $name:ident($given:ident: $kind:ty) $body:block)+) => {
        on_both_databases! { tokio::test; $($(#[$attribute])* async fn $name($given: $kind) $body)+ }
    };
}

/// As [`both_databases`], on several threads: what is spawned runs at the same time.
macro_rules! both_databases_at_once {
    ($($(#[$attribute:meta])* async fn $name:ident($given:ident: $kind:ty) $body:block)+) => {
        on_both_databases! {
            tokio::test(flavor = "multi_thread", worker_threads = 4);
            $($(#[$attribute])* async fn $name($given: $kind) $body)+
        }
    };
}

macro_rules! on_both_databases {
    ($test:meta; $($(#[$attribute:meta])* async fn $name:ident($given:ident: $kind:ty) $body:block)+) => {
        $(on_both_databases! { @one $test; $(#[$attribute])* async fn $name($given: $kind) $body })+
    };
    (@one $test:meta; $(#[$attribute:meta])* async fn $name:ident($given:ident: $kind:ty) $body:block) => {
        $(#[$attribute])*
        mod $name {
            use super::*;

            async fn run($given: $kind) $body

            #[$test]
            async fn sqlite() {
                use $crate::support::engine::{Engine, FromEngine};
                Box::pin(run(<$kind>::from_engine(Engine::Sqlite).await)).await;
            }

            #[$test]
            async fn postgres() {
                use $crate::support::engine::{Engine, FromEngine};
                Box::pin(run(<$kind>::from_engine(Engine::Postgres).await)).await;
            }
        }
    };
}
