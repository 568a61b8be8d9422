//! HAProxy in front of back ends, which can be taken out and put back through its runtime API.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use tempfile::TempDir;

use crate::process::Process;
use crate::{port, program};

#[derive(Debug)]
pub struct Haproxy {
    // Dropped first, so that nothing writes into the folder while it is removed.
    _server: Process,
    port: u16,
    admin: u16,
    _folder: TempDir,
}

impl Haproxy {
    /// HAProxy in front of `back_ends`, called `s1`, `s2`.. in turn. It answers 503 with `Retry-After: 1` when none is
    /// left, and leaves a Retry-After of theirs alone. `None` (and a word about it) where HAProxy is not installed.
    pub fn start(test: &str, back_ends: &[SocketAddr]) -> Option<Haproxy> {
        let [program] = program::find_all(test, "haproxy", ["haproxy"])?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (port, admin) = (port::free(), port::free());
        let servers: Vec<String> = (1..)
            .zip(back_ends)
            .map(|(number, address)| format!("    server s{number} {address}\n"))
            .collect();
        let servers = servers.concat();
        // No retries of its own: what fails has to reach the client.
        let configuration = format!(
            "global
    stats socket ipv4@127.0.0.1:{admin} level admin
    maxconn 200
defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    timeout queue 1s
    retries 0
frontend front
    bind 127.0.0.1:{port}
    http-after-response set-header retry-after 1 if {{ status 503 }} !{{ res.hdr(retry-after) -m found }}
    default_backend back
backend back
    balance roundrobin
{servers}"
        );
        let file = folder.path().join("haproxy.cfg");
        std::fs::write(&file, configuration).expect("the configuration can be written");
        let mut command = Command::new(program);
        command.arg("-db").arg("-f").arg(&file);
        let mut server = Process::start(&mut command, &folder.path().join("log"));
        server.wait_until_ready(|| TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(Haproxy {
            _server: server,
            port,
            admin,
            _folder: folder,
        })
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// `"drain"` (no new requests, those under way end), `"maint"` (out at once) or `"ready"` (back again).
    pub fn set_state(&self, server: &str, state: &str) {
        let answer = self.tell(&format!("set server back/{server} state {state}"));
        assert_eq!(answer.trim(), "", "HAProxy sets {server} to {state}");
    }

    fn tell(&self, command: &str) -> String {
        let mut stream =
            TcpStream::connect(("127.0.0.1", self.admin)).expect("HAProxy's runtime API");
        stream
            .write_all(format!("{command}\n").as_bytes())
            .expect("HAProxy's runtime API");
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .expect("HAProxy's runtime API");
        answer
    }
}
