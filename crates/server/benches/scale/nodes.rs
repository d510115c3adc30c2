//! What a request costs at one node, and where two share its kind: the processes' CPU, and what PostgreSQL counts.

use std::time::Duration;

use db::Db;

use crate::load::{Pace, Run, Target, run};
use crate::running::Program;
use crate::scenarios;

const CONNECTIONS: usize = 16;
const FOR: Duration = Duration::from_secs(4);
const NAMES: [&str; 4] = ["client_credentials", "refresh", "GET /users/{id}", "PATCH /users/{id}"];

/// Prints the table.
pub async fn compare(program: &mut Program, url: &str) {
    program.invite(CONNECTIONS).await;
    let second = program.another_node().await;
    println!("\n| endpoint | nodes | rate/s | p50 ms | errors | CPU of the nodes, µs | transactions |");
    println!("|---|---|---|---|---|---|---|");
    for name in NAMES {
        for nodes in [1, 2] {
            let mut callers = scenarios::callers(program, name, CONNECTIONS, FOR).await;
            let others = if nodes == 2 { callers.split_off(CONNECTIONS / 2) } else { Vec::new() };
            let first = Target::plain(program.address, program.pid());
            let other = Target::plain(second.address, second.pid());
            let before = transactions(url).await;
            let (here, there) = tokio::join!(
                run(&first, callers, Pace::AnswerByAnswer, FOR),
                run(&other, others, Pace::AnswerByAnswer, FOR)
            );
            let counted = transactions(url).await - before;
            let all = sum(&here, &there);
            let each = counted as f64 / (all.rate * FOR.as_secs_f64());
            println!(
                "| {name} | {nodes} | {:.0} | {:.2} | {} | {:.0} | {each:.1} |",
                all.rate, all.p50, all.errors, all.cpu
            );
        }
    }
}

fn sum(here: &Run, there: &Run) -> Run {
    let rate = here.rate + there.rate;
    let weighed = |one: f64, other: f64| (one * here.rate + other * there.rate) / rate.max(1.0);
    Run {
        rate,
        p50: weighed(here.p50, there.p50),
        p99: here.p99.max(there.p99),
        errors: here.errors + there.errors,
        cpu: weighed(here.cpu, there.cpu),
    }
}

/// The transactions of this database so far. A server tells within a second.
async fn transactions(url: &str) -> i64 {
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let db = Db::open(url).await.expect("the database opens");
    let sql = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()";
    let row = db.read_one(sql, vec![]).await.expect("reads");
    db.close().await;
    row.expect("a row").take().expect("is a number")
}
