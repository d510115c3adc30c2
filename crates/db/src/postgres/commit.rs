//! Committing a batch: `BEGIN` and the statements in one round trip, `COMMIT` or `ROLLBACK` in a second.

use std::pin::pin;

use deadpool_postgres::Client;
use futures_util::future::maybe_done;
use tokio_postgres::Statement as Prepared;

use tokio::time::timeout;

use super::{PATIENCE, Transaction, errors, failed, finished, left, prepare, run, send, silent};
use crate::batch::{Expect, Statement};
use crate::{Error, Outcome};

/// Commits. Preparing comes before `BEGIN`, so that no lock is held meanwhile.
pub(super) async fn commit(client: Client, statements: &[Statement]) -> Result<Outcome, Error> {
    let preparing = async {
        let mut prepared = Vec::with_capacity(statements.len());
        for statement in statements {
            // A guard holds what it finds to the commit.
            let suffix = if statement.expect == Expect::Held { " FOR SHARE" } else { "" };
            prepared.push(prepare(&client, &statement.sql, suffix, &statement.params).await?);
        }
        Ok::<_, Error>(prepared)
    };
    let prepared = match timeout(PATIENCE, preparing).await {
        Ok(Err(Error::Retry)) => return Err(left(client)),
        Ok(prepared) => prepared?,
        Err(_) => return Err(silent(client)),
    };
    match statements {
        [only] if only.expect == Expect::Any => {
            match timeout(PATIENCE, alone(&client, only, &prepared[0])).await {
                Ok(Err(Error::Retry)) => Err(left(client)),
                Ok(answer) => answer,
                // It is its own commit.
                Err(_) => {
                    silent(client);
                    Err(Error::Unknown)
                }
            }
        }
        _ => together(client, statements, &prepared).await,
    }
}

/// One statement of which nothing is expected is its own transaction.
async fn alone(client: &Client, statement: &Statement, prepared: &Prepared) -> Result<Outcome, Error> {
    match run(client, prepared, &statement.params).await {
        Ok((rows, affected)) => Ok(Outcome { affected: vec![affected], rows: vec![rows] }),
        Err(error) if errors::is_stale_plan(&error) => Err(failed(client, &error, &statement.sql)),
        Err(error) => Err(errors::of_commit(&error, &statement.sql)),
    }
}

async fn together(client: Client, statements: &[Statement], prepared: &[Prepared]) -> Result<Outcome, Error> {
    let transaction = Transaction::new(client);
    let client = transaction.client();
    // Without an answer the connection is closed, and the transaction with it.
    let Ok(ran) = timeout(PATIENCE, run_all(client, statements, prepared)).await else {
        return Err(Error::Retry);
    };
    let (end, ran) = match ran {
        Ok(outcome) => ("COMMIT", Ok(outcome)),
        // The connection is closed, and the transaction with it: another may lead to a server that can.
        Err(Error::Retry) => return Err(Error::Retry),
        Err(error) => ("ROLLBACK", Err(error)),
    };
    match (timeout(PATIENCE, client.batch_execute(end)).await, ran) {
        (Ok(Ok(())), ran) => {
            transaction.ended();
            ran
        }
        (Ok(Err(error)), Ok(_)) => Err(errors::of_commit(&error, end)),
        (Err(_), Ok(_)) => Err(Error::Unknown),
        (_, Err(error)) => Err(error),
    }
}

/// Sends everything at once and reads the answers in order. After the first failure the later ones still run, in a transaction
/// that will be rolled back.
async fn run_all(client: &Client, statements: &[Statement], prepared: &[Prepared]) -> Result<Outcome, Error> {
    let mut begin = pin!(maybe_done(client.batch_execute("BEGIN")));
    send(begin.as_mut()).await;
    let mut answers = Vec::with_capacity(statements.len());
    for (statement, prepared) in statements.iter().zip(prepared) {
        let mut answer = Box::pin(maybe_done(run(client, prepared, &statement.params)));
        send(answer.as_mut()).await;
        answers.push(answer);
    }
    finished(begin.as_mut()).await.map_err(|error| failed(client, &error, "BEGIN"))?;
    let mut outcome = Outcome::default();
    for (position, (mut answer, statement)) in answers.into_iter().zip(statements).enumerate() {
        let (rows, affected) =
            finished(answer.as_mut()).await.map_err(|error| failed(client, &error, &statement.sql))?;
        if !statement.expect.holds(affected) {
            return Err(Error::Conflict { statement: position, affected });
        }
        outcome.affected.push(affected);
        outcome.rows.push(rows);
    }
    Ok(outcome)
}
