//! nginx in front of a back end.

use std::net::TcpStream;
use std::process::Command;

use tempfile::TempDir;

use crate::process::Process;
use crate::{port, program};

#[derive(Debug)]
pub struct Nginx {
    // Dropped first, so that nothing writes into the folder while it is removed.
    _server: Process,
    port: u16,
    _folder: TempDir,
}

impl Nginx {
    /// nginx with `http`, the inside of an `http { .. }` block in which `@PORT@` stands for the port to listen on;
    /// `None` (and a word about it) where nginx is not installed.
    pub fn start(test: &str, http: &str) -> Option<Nginx> {
        let [program] = program::find_all(test, "nginx", ["nginx"])?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = port::free();
        let here = folder.path().display();
        let http = http.replace("@PORT@", &format!("127.0.0.1:{port}"));
        let configuration = format!(
            "daemon off;
            worker_processes 1;
            pid {here}/pid;
            error_log {here}/errors warn;
            events {{ worker_connections 256; }}
            http {{
                access_log off;
                client_body_temp_path {here}/body;
                proxy_temp_path {here}/proxy;
                fastcgi_temp_path {here}/fastcgi;
                uwsgi_temp_path {here}/uwsgi;
                scgi_temp_path {here}/scgi;
                {http}
            }}"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, configuration).expect("the configuration can be written");
        let mut command = Command::new(program);
        command
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(&file)
            .arg("-e")
            .arg(folder.path().join("errors"));
        let mut server = Process::start(&mut command, &folder.path().join("log"));
        server.wait_until_ready(|| TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(Nginx {
            _server: server,
            port,
            _folder: folder,
        })
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}
