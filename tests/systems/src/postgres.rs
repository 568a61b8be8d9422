//! A PostgreSQL server of one's own.

use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::Process;
use crate::{port, program, wait};

#[derive(Debug)]
pub struct Postgres {
    // Dropped first, so that nothing writes into the folder while it is removed.
    server: Option<Process>,
    programs: Programs,
    port: u16,
    folder: TempDir,
}

#[derive(Debug)]
struct Programs {
    postgres: PathBuf,
    pg_isready: PathBuf,
    owner: Option<(u32, u32)>,
}

impl Postgres {
    /// A new, empty server that answers; `None` (and a word about it) where PostgreSQL is not installed.
    pub fn start(test: &str) -> Option<Postgres> {
        let [initdb, postgres, pg_isready] =
            program::find_all(test, "postgresql", ["initdb", "postgres", "pg_isready"])?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let programs = Programs {
            postgres,
            pg_isready,
            owner: owner(),
        };
        if let Some((user, group)) = programs.owner {
            chown(folder.path(), Some(user), Some(group)).expect("root may give the folder away");
        }
        let made = programs
            .command(&initdb, folder.path())
            .args([
                "--auth=trust",
                "--username=stamina",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "--pgdata",
            ])
            .arg(folder.path().join("data"))
            .output()
            .expect("initdb runs");
        assert!(
            made.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&made.stderr)
        );

        let mut server = Postgres {
            server: None,
            programs,
            port: port::free(),
            folder,
        };
        server.start_again();
        Some(server)
    }

    pub fn url(&self) -> String {
        format!("postgres://stamina@127.0.0.1:{}/postgres", self.port)
    }

    /// Starts the server after it was killed, and waits until it takes connections.
    pub fn start_again(&mut self) {
        let Postgres {
            server,
            programs,
            port,
            folder,
        } = self;
        let log = folder.path().join("log");
        wait::until("PostgreSQL takes connections", || {
            // A new postmaster refuses to start as long as a child of the old one lives, so it may need a few tries.
            if server
                .as_mut()
                .is_none_or(|process| process.ended().is_some())
            {
                *server = Some(Process::start(
                    &mut programs.server(folder.path(), *port),
                    &log,
                ));
            }
            programs.is_ready(folder.path(), *port)
        });
    }

    /// SIGKILL to the postmaster and all its children at once.
    pub fn kill_all(&mut self) {
        self.server().kill_family();
        self.server = None;
    }

    /// SIGKILL to the postmaster only. Its children notice and go.
    pub fn kill_postmaster(&mut self) {
        self.server().kill();
        self.server = None;
    }

    /// SIGKILL to one of the processes that serve connections, if there is any. The postmaster lives, ends all the others
    /// and goes through recovery by itself.
    pub fn kill_backend(&mut self) -> bool {
        self.server().kill_child("postgres: stamina ")
    }

    fn server(&mut self) -> &mut Process {
        self.server.as_mut().expect("the server runs")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            // An immediate shutdown lets it remove its shared memory. What is left after that is killed.
            server.signal(Signal::QUIT);
            for _ in 0..250 {
                if server.ended().is_some() {
                    return;
                }
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        }
    }
}

impl Programs {
    fn server(&self, folder: &Path, port: u16) -> Command {
        let mut command = self.command(&self.postgres, folder);
        command
            .arg("-D")
            .arg(folder.join("data"))
            .arg("-p")
            .arg(port.to_string());
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=40",
            "shared_buffers=16MB",
            // In files of the data folder, so that a killed server leaves nothing behind in /dev/shm.
            "dynamic_shared_memory_type=mmap",
            // What was handed to the kernel survives SIGKILL; only a power cut needs more. An acknowledged commit has
            // been handed over: `synchronous_commit` stays on.
            "fsync=off",
        ] {
            command.arg("-c").arg(setting);
        }
        command
    }

    fn is_ready(&self, folder: &Path, port: u16) -> bool {
        self.command(&self.pg_isready, folder)
            .args(["--quiet", "--host=127.0.0.1", "--dbname=postgres", "--port"])
            .arg(port.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    fn command(&self, program: &Path, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(folder).env("LC_ALL", "C");
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        command
    }
}

/// Whom PostgreSQL runs as when the tests run as root: the user that Debian's package makes, else nobody.
fn owner() -> Option<(u32, u32)> {
    let root = std::fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0);
    if !root {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let id_of = |name: &str| {
        let mut fields = users
            .lines()
            .map(|line| line.split(':'))
            .find(|line| line.clone().next() == Some(name))?;
        Some((fields.nth(2)?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    id_of("postgres")
        .or_else(|| id_of("nobody"))
        .or(Some((65_534, 65_534)))
}
