//! A Redis server of one's own, which writes every change to its file before it answers.

use std::net::TcpStream;
use std::process::Command;

use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use crate::process::Process;
use crate::{port, program};

#[derive(Debug)]
pub struct Redis {
    server: Process,
    program: PathBuf,
    port: u16,
    folder: TempDir,
}

impl Redis {
    /// A new, empty server that answers; `None` (and a word about it) where Redis is not installed.
    pub fn start(test: &str) -> Option<Redis> {
        let [program] = program::find_all(test, "redis-server", ["redis-server"])?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = port::free();
        let server = launch(&program, port, &folder);
        Some(Redis {
            server,
            program,
            port,
            folder,
        })
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Starts the server after it was killed, and waits until it has read its data and answers.
    pub fn start_again(&mut self) {
        self.server = launch(&self.program, self.port, &self.folder);
    }

    pub fn pause(&self) {
        self.server.pause();
    }

    pub fn unpause(&self) {
        self.server.unpause();
    }
}

fn launch(program: &PathBuf, port: u16, folder: &TempDir) -> Process {
    let mut command = Command::new(program);
    command
        .current_dir(folder.path())
        .arg("--port")
        .arg(port.to_string());
    command.args([
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
    ]);
    command.arg("--dir").arg(folder.path());
    let mut server = Process::start(&mut command, &folder.path().join("log"));
    server.wait_until_ready(|| answers(port).unwrap_or(false));
    server
}

fn answers(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.write_all(b"PING\r\n")?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer)?;
    // While it loads its data the answer is `-LOADING`.
    Ok(&answer == b"+PONG")
}
