//! ```sh
//! cargo run --example code_block
//! ```
//!
//! A closure that is called again and again can't hand out `&mut` to what it borrows, nor `return` or `break` for you.
//! A loop of your own can: `start()`, and `again(error)?` after each failure. In async code: `again_async(error).await?`.

use std::io::{self, ErrorKind};
use std::time::Duration;

use stamina::Retry;

static READ: Retry<io::Error> = Retry::on::<io::Error>()
    .wait_initial(Duration::from_millis(10))
    .wait_jitter(Duration::from_millis(10));

/// Reads all lines, through lost connections; each attempt goes on where the last one stopped.
fn read_all(server: &mut Server, lines: &mut Vec<String>) -> io::Result<usize> {
    let mut attempts = READ.start();
    loop {
        match server.line(lines.len()) {
            Ok(Some(line)) => lines.push(line), // `&mut`: no closure in the way
            Ok(None) => return Ok(attempts.succeed(lines.len())), // tells budget and metrics that it ended well
            Err(error) => {
                println!("attempt {}: {error} after {lines:?}", attempts.number());
                attempts.again(error)?; // waits, or hands the error back when it is enough
                *server = Server::connect();
            }
        }
    }
}

fn main() -> io::Result<()> {
    let mut lines = Vec::new();
    let count = read_all(&mut Server::connect(), &mut lines)?;
    println!("  => {count} lines, {lines:?}");
    assert_eq!(lines, ["line 0", "line 1", "line 2", "line 3", "line 4"]);
    Ok(())
}

/// Loses each connection after two lines.
struct Server {
    lines_left: u32,
}

impl Server {
    fn connect() -> Self {
        Self { lines_left: 2 }
    }

    fn line(&mut self, number: usize) -> io::Result<Option<String>> {
        let left = self.lines_left.checked_sub(1);
        self.lines_left = left.ok_or(ErrorKind::ConnectionReset)?;
        Ok((number < 5).then(|| format!("line {number}")))
    }
}
