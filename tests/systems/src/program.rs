//! Where the servers are, and what a test says when they are not there.

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Looks `name` up in `PATH`, in the folders for servers that an ordinary `PATH` lacks, and where Debian keeps PostgreSQL's
/// own programs (the newest version that is installed).
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from))
        .chain(postgres_folders())
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

fn postgres_folders() -> Vec<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            Some((version(&path)?, path.join("bin")))
        })
        .collect();
    versions.sort();
    versions
        .into_iter()
        .rev()
        .map(|(_, folder)| folder)
        .collect()
}

fn version(folder: &Path) -> Option<u32> {
    folder.file_name()?.to_str()?.parse().ok()
}

/// All of `names`, or `None` after saying on the standard error output that `test` is skipped and why. The output goes
/// past the capture of `cargo test`, because a skipped test that nobody notices is worth nothing.
pub fn find_all<const N: usize>(
    test: &str,
    package: &str,
    names: [&str; N],
) -> Option<[PathBuf; N]> {
    let found = names.map(find);
    for (name, path) in names.iter().zip(&found) {
        if path.is_none() {
            let why = format!("{test}: no `{name}` on this machine (apt-get install -y {package})");
            assert!(
                std::env::var_os("STAMINA_SYSTEMS_REQUIRED").is_none(),
                "{why}"
            );
            // Nothing sensible is left to do when even the standard error output is closed.
            let _ = writeln!(std::io::stderr(), "SKIPPED {why}");
            return None;
        }
    }
    Some(found.map(|path| path.expect("checked above")))
}
