//! ```sh
//! cargo run --example code_block
//! ```
//!
//! Write the loop yourself if a closure is in the way: `break`, `?`, `return` and `&mut` borrows all work. Call `start()`
//! before the loop and `again(error)?` after each failure; in async code it is `again_async(error).await?`.

use std::io::{self, ErrorKind};
use std::time::Duration;

use stamina::Retry;

/// Two attempts for each line. The whole text needs three connections.
static READ: Retry<io::Error> = Retry::on::<io::Error>()
    .attempts(2)
    .wait_initial(Duration::from_millis(10))
    .wait_jitter(Duration::from_millis(10));

/// Reads all lines, across lost connections. Each attempt continues at the line where the last one failed.
fn read_all(server: &mut Server, lines: &mut Vec<String>) -> io::Result<usize> {
    let mut attempts = READ.start();
    loop {
        match server.line(lines.len()) {
            // Progress: the next failure is a new one, with all attempts and the first wait.
            Ok(Some(line)) => lines.push(attempts.succeed(line)),
            Ok(None) => return Ok(attempts.succeed(lines.len())),
            Err(error) => {
                println!("attempt {}: {error} after {lines:?}", attempts.number());
                attempts.again(error)?; // waits, or returns the error if the call has ended
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
