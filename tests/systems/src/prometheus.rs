//! A Prometheus server that scrapes one target.

use std::net::TcpStream;
use std::process::Command;

use tempfile::TempDir;

use crate::process::Process;
use crate::{port, program};

#[derive(Debug)]
pub struct Prometheus {
    // Dropped first, so that nothing writes into the folder while it is removed.
    _server: Process,
    port: u16,
    _folder: TempDir,
}

impl Prometheus {
    /// Scrapes `http://127.0.0.1:<target>/metrics` four times a second; `None` (and a word about it) where Prometheus is
    /// not installed.
    pub fn start(test: &str, target: u16) -> Option<Prometheus> {
        let [program] = program::find_all(test, "prometheus", ["prometheus"])?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = port::free();
        let configuration = format!(
            "global:
  scrape_interval: 250ms
  scrape_timeout: 250ms
scrape_configs:
  - job_name: service
    static_configs:
      - targets: ['127.0.0.1:{target}']
"
        );
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, configuration).expect("the configuration can be written");
        let mut command = Command::new(program);
        command.current_dir(folder.path()).arg("--log.level=warn");
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!(
            "--storage.tsdb.path={}",
            folder.path().join("data").display()
        ));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let mut server = Process::start(&mut command, &folder.path().join("log"));
        server.wait_until_ready(|| TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(Prometheus {
            _server: server,
            port,
            _folder: folder,
        })
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}
