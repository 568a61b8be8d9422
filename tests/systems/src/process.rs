//! A child process that does not outlive the value that stands for it.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

/// A running server or worker. Dropping it kills it and all its descendants.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`, with all its output appended to `log`.
    pub fn start(command: &mut Command, log: &Path) -> Process {
        let output = File::options()
            .create(true)
            .append(true)
            .open(log)
            .expect("the log can be opened");
        let errors = output.try_clone().expect("the log can be opened");
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} starts: {error}"));
        Process {
            child,
            log: log.to_owned(),
        }
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        std::fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Waits until `ready` says so.
    pub fn wait_until_ready(&mut self, mut ready: impl FnMut() -> bool) {
        let start = std::time::Instant::now();
        while !ready() {
            let ended = self.ended();
            assert!(
                ended.is_none() && start.elapsed() < wait::PATIENCE,
                "not ready after {:?} (ended: {ended:?}); it wrote:\n{}",
                start.elapsed(),
                self.log(),
            );
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    pub fn signal(&self, signal: Signal) {
        // It may have died of itself by now, which is as good.
        let _ = kill_process(pid(self.child.id()), signal);
    }

    /// SIGKILL to this process alone, and how it ended: it may have been quicker. Its children learn of it in their own ways.
    pub fn kill(&mut self) -> ExitStatus {
        self.signal(Signal::KILL);
        self.child.wait().expect("a child can be waited for")
    }

    /// SIGKILL to this process and all its descendants, as when the machine loses its power. Returns when all are gone.
    pub fn kill_family(&mut self) {
        let family = descendants(self.child.id());
        self.signal(Signal::KILL);
        for &member in &family {
            let _ = kill_process(pid(member), Signal::KILL);
        }
        let _ = self.child.wait();
        wait::until("the killed processes are gone", || {
            family.iter().all(|&member| is_gone(member))
        });
    }

    /// SIGKILL to one direct child whose command line begins with `text`. Tells whether there was any.
    pub fn kill_child(&self, text: &str) -> bool {
        children(self.child.id()).into_iter().any(|child| {
            let line = std::fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
            line.starts_with(text.as_bytes()) && kill_process(pid(child), Signal::KILL).is_ok()
        })
    }

    /// SIGSTOP: the process stays, its connections stay, and nothing answers.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    pub fn unpause(&self) {
        self.signal(Signal::CONT);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Not `kill_family`: a drop during a panic must neither wait for long nor panic.
        let family = descendants(self.child.id());
        self.signal(Signal::KILL);
        for member in family {
            let _ = kill_process(pid(member), Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

fn pid(id: u32) -> Pid {
    i32::try_from(id)
        .ok()
        .and_then(Pid::from_raw)
        .expect("a process id")
}

/// A zombie is as good as gone: it holds no socket and no memory.
fn is_gone(id: u32) -> bool {
    stat(id).is_none_or(|(_, state)| state == 'Z')
}

/// Parent and state of a process.
fn stat(id: u32) -> Option<(u32, char)> {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name may hold blanks and brackets; what counts comes after the last bracket.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((fields.next()?.parse().ok()?, state))
}

fn all() -> Vec<u32> {
    std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

fn children(parent: u32) -> Vec<u32> {
    all()
        .into_iter()
        .filter(|&id| stat(id).is_some_and(|(of, _)| of == parent))
        .collect()
}

fn descendants(root: u32) -> HashSet<u32> {
    let parents: Vec<(u32, u32)> = all()
        .into_iter()
        .filter_map(|id| Some((id, stat(id)?.0)))
        .collect();
    let mut family = HashSet::new();
    let mut todo = vec![root];
    while let Some(parent) = todo.pop() {
        for &(id, of) in &parents {
            if of == parent && family.insert(id) {
                todo.push(id);
            }
        }
    }
    family
}
