//! Who may call what: each operation of the table, with each scope that could matter, on one's own object, another's and one that is
//! not there. The cells are written down here a second time, by hand: the table cannot be its own witness.

mod cells;
mod world;

use management::{Operation, operations};
use model::bootstrap::{self, Scopes};
use model::resource_servers::CURRENT_USER_SCOPES;
use serde_json::{Value, json};

use self::cells::CELLS;
use self::world::{WHOSE, Whose, World};
use crate::security::refusals::{refusal, unowned};
use crate::support::TestApp;

/// Nobody is ever issued this one, but it is a scope over one's own.
const NEVER_ISSUED: &str = "delete:current_user";

/// One line of [`CELLS`], read.
struct Row {
    operation: &'static Operation,
    cells: Vec<Cell>,
    done: u16,
    missing: u16,
}

/// A scope of an operation.
struct Cell {
    scope: &'static str,
    own: bool,
    /// What is one's own is told by the row, not by the path: another's answers like one that is not there.
    row: bool,
    named: bool,
    with: Option<&'static str>,
}

impl Row {
    fn all() -> Vec<Self> {
        let name = |operation: &Operation| format!("{} {}", operation.method, operation.path);
        for operation in operations() {
            let rows = CELLS.iter().filter(|(row, ..)| *row == name(operation)).count();
            assert_eq!(rows, 1, "write a line for {}, and what it is called with", name(operation));
        }
        let row = |(row, scopes, done, missing): &(&str, &'static str, u16, u16)| {
            let operation = operations().iter().find(|operation| name(operation) == *row);
            let operation = operation.unwrap_or_else(|| panic!("there is no operation {row}"));
            Self {
                operation,
                cells: scopes.split(' ').map(Cell::read).collect(),
                done: *done,
                missing: *missing,
            }
        };
        CELLS.iter().map(row).collect()
    }

    /// The cell that this scope alone opens to a user.
    fn own(&self, scope: &str) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.own && cell.scope == scope)
    }

    fn insufficient(&self) -> Value {
        let named: Vec<_> = self.cells.iter().filter(|cell| cell.named).map(|cell| cell.scope).collect();
        refusal(
            403,
            "Forbidden",
            &format!("Insufficient scope, expected any of: {}", named.join(",")),
            "insufficient_scope",
        )
    }
}

impl Cell {
    fn read(text: &'static str) -> Self {
        let row = text.starts_with('~');
        let own = row || text.starts_with('*');
        let text = text.trim_start_matches(['*', '~']);
        let named = !text.starts_with('+');
        let (scope, with) = match text.trim_start_matches('+').split_once('&') {
            Some((scope, with)) => (scope, Some(with)),
            None => (text.trim_start_matches('+'), None),
        };
        Self { scope, own, row, named, with }
    }
}

/// The scopes over one's own.
fn own_scopes() -> impl Iterator<Item = &'static str> {
    CURRENT_USER_SCOPES.into_iter().chain([NEVER_ISSUED])
}

both_databases! {
    /// CU-03: a person's token opens the documented cells of their own user, and nothing else.
    async fn cu_03_a_persons_token_opens_only_the_documented_cells(app: TestApp) {
        let world = World::new(app).await;
        for row in Row::all() {
            let calls = world.calls(row.operation).await;
            for scope in own_scopes().chain([""]) {
                let alice = world.app.token("auth0|alice", &format!("openid {scope}"));
                for (whose, call) in WHOSE.into_iter().zip(&calls) {
                    match (row.own(scope), whose) {
                        (Some(cell), _) if whose == Whose::Own || cell.row => {
                            world.allowed(&row, whose, scope, &alice).await;
                            world.user("alice").await;
                        }
                        (Some(_), _) => world.refused(call, &alice, &unowned(), scope).await,
                        (None, _) => world.refused(call, &alice, &row.insufficient(), scope).await,
                    }
                }
            }
        }
    }

    /// A machine's token opens what its scopes are for, on everybody's; a scope over one's own is worth nothing to it.
    async fn a_machines_token_opens_only_the_cells_of_its_scopes(app: TestApp) {
        let world = World::new(app).await;
        for row in Row::all() {
            let call = world.call(row.operation, Whose::Other, "").await;
            for scope in own_scopes().chain([""]) {
                world.refused(&call, &world.app.machine(scope), &row.insufficient(), scope).await;
            }
            for cell in row.cells.iter().filter(|cell| !cell.own) {
                let mut scopes = cell.scope.to_owned();
                if let Some(with) = cell.with {
                    world.refused(&call, &world.app.machine(&scopes), &row.insufficient(), &scopes).await;
                    scopes = format!("{scopes} {with}");
                }
                for whose in WHOSE {
                    world.allowed(&row, whose, cell.scope, &world.app.machine(&scopes)).await;
                    world.user("alice").await;
                    world.user("bob").await;
                }
            }
        }
    }

    /// MG-02: whatever the scope, no operation answers without a token, with another API's, or with another tenant's.
    async fn mg_02_no_operation_answers_a_token_that_is_not_for_it(app: TestApp) {
        let world = World::new(app).await;
        let missing = refusal(401, "Unauthorized", "Missing authentication", "");
        let audience = refusal(401, "Unauthorized", "Bad audience: https://id.test/api/v2/", "");
        let mut foreign = refusal(401, "Unauthorized", "Invalid token", "");
        foreign["attributes"] = json!({ "error": "Invalid token" });
        let every = |scopes: &[&'static str]| scopes.join(" ");
        for row in Row::all() {
            let scopes: Vec<_> = row.cells.iter().map(|cell| cell.scope).chain(own_scopes()).collect();
            for call in &world.calls(row.operation).await {
                let alice = world.app.token("auth0|alice", &every(&scopes));
                let machine = world.app.machine(&every(&scopes));
                world.refused(call, &world.app.caller(), &missing, "nobody").await;
                for caller in [alice, machine] {
                    let other_api = caller.claiming("aud", "https://api.test/");
                    world.refused(call, &other_api, &audience, "a token for another API").await;
                    let theirs = caller
                        .claiming("iss", world.app.other.issuer.clone())
                        .claiming("aud", world.app.other.management_audience());
                    let bearer = theirs.at(&world.app.other).bearer().await;
                    let theirs = world.app.caller().with("authorization", &format!("Bearer {bearer}"));
                    world.refused(call, &theirs, &foreign, "another tenant's token").await;
                    // The same claims as a good token, signed by another tenant.
                    let bearer = caller.at(&world.app.other).bearer().await;
                    let forged = world.app.caller().with("authorization", &format!("Bearer {bearer}"));
                    world.refused(call, &forged, &foreign, "another tenant's signature").await;
                }
            }
        }
    }
}

both_databases! {
    /// What belongs to one tenant is to another's administrator as if it were not there.
    async fn another_tenants_objects_are_not_there(app: TestApp) {
        let world = World::new(app).await;
        let other = &world.app.other;
        let made = bootstrap::create_machine_client(&world.app.app, other, "Theirs", Scopes::All).await;
        let (client, _) = made.expect("a new client");
        let theirs = world.admin.at(other).claiming("azp", client.as_str()).claiming("sub", format!("{client}@clients"));
        let theirs =
            theirs.claiming("iss", other.issuer.clone()).claiming("aud", other.management_audience());
        // The names of factors are the same everywhere.
        let named = |row: &&Row| row.operation.path.contains('{') && row.operation.path != "/guardian/factors/{name}";
        for row in Row::all().iter().filter(named) {
            let call = world.call(row.operation, Whose::Other, "").await;
            let upto = row.operation.path.split('/').position(|part| part.starts_with('{'));
            let object: Vec<_> = call.path.split('/').take(upto.expect("it has a parameter") + 1).collect();
            // A consent and a device's key are shown in lists alone.
            let object = object.join("/").replace("/grants/", "/grants?client_id=spa&id=");
            let object = object.replace("/device-credentials/", "/device-credentials?type=public_key&id=");
            let object = format!("/api/v2{}", object.split("&id=").next().unwrap_or_default());
            let before = world.admin.get(&object).await;
            assert_eq!(before.status, 200, "{object}: {}", before.text);
            let answer = call.by(&theirs).await;
            assert_eq!(answer.status, row.missing, "{} {}: {}", call.method, call.path, answer.text);
            assert_eq!(world.admin.get(&object).await.text, before.text, "{} {}", call.method, call.path);
        }
    }
}

/// The scopes are the published ones, in their order. Looks at the reference beside a checkout, where there is one.
#[test]
fn the_scopes_are_the_published_ones() {
    let reference =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/reference/management-operations.tsv");
    let Ok(reference) = std::fs::read_to_string(reference) else { return };
    // What is Doorward's own is published nowhere else.
    for row in Row::all().iter().filter(|row| !row.operation.path.starts_with("/doorward/")) {
        let (method, path) = (row.operation.method.as_str(), format!("/api/v2{}", row.operation.path));
        let line = reference.lines().map(|line| line.split('\t').collect::<Vec<_>>());
        let line = line.clone().find(|line| line[0] == method && line[1] == path);
        let line = line.unwrap_or_else(|| panic!("{method} {path} is no published operation"));
        let read = |scope: &Cell| (scope.scope.to_owned(), scope.own, scope.named);
        let published: Vec<_> = line[4]
            .split(' ')
            .map(|text| {
                let name = text.trim_start_matches(['*', '+']);
                (name.to_owned(), text.contains('*'), !text.contains('+'))
            })
            .collect();
        assert_eq!(row.cells.iter().map(read).collect::<Vec<_>>(), published, "{method} {path}");
    }
}
