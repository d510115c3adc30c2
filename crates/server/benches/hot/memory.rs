//! What the server holds in memory.

use crate::figures::{Bound, Figures};
use crate::load::memory;
use crate::running::Program;

/// Connections that are open and ask for nothing.
const IDLE: usize = 10_000;

/// Opens ten thousand connections that say nothing, and measures what they hold.
pub async fn idle_connections(program: &Program, figures: &mut Figures) {
    let mut open = Vec::with_capacity(IDLE);
    for _ in 0..IDLE {
        match tokio::net::TcpStream::connect(program.address).await {
            Ok(stream) => open.push(stream),
            Err(error) => {
                return figures.fail(format!("idle connections: {} opened, then {error}", open.len()));
            }
        }
    }
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let (resident, _) = memory(program.pid());
    figures.line("resident with 10,000 idle connections", resident, " MiB", Bound::AtMost(400.0));
    // They were open all the time, or the figure would be one of fewer.
    let closed = open.iter().filter(|stream| stream.try_read(&mut [0]).is_ok()).count();
    if closed > 0 {
        figures.fail(format!("{closed} of the idle connections were closed meanwhile"));
    }
}
