//! The rooms of `src/`: which may import which, how long their files and functions are, and who knows the time.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room of `src/` and the rooms that it may import, leaves first: a room imports only what stands above it. A room is a
/// file or a folder; the longest path that fits counts.
const ROOMS: &[(&str, &[&str])] = &[
    // Leaves, and what a setting is.
    ("docs", &[]),
    ("message", &[]),
    ("sync", &[]),
    ("http", &[]),
    ("policy/decision", &[]),
    ("policy/settings", &["message"]),
    ("when", &["policy/decision"]),
    ("time", &["sync"]),
    ("backoff", &["policy/settings", "time"]),
    ("testing/scope", &["sync"]),
    ("testing/mode", &["message", "sync", "testing/scope"]),
    ("testing/clock", &["time"]),
    ("telemetry", &["policy/decision", "sync", "testing/scope"]),
    ("instrument", &["telemetry"]),
    ("budget", &["message", "sync", "time"]),
    // The policy is a value; the engine decides and never sleeps.
    (
        "policy",
        &[
            "backoff",
            "budget",
            "message",
            "policy/decision",
            "policy/settings",
            "telemetry",
            "time",
        ],
    ),
    ("schedule", &["backoff", "policy", "policy/settings"]),
    (
        "engine",
        &[
            "backoff",
            "budget",
            "policy",
            "policy/decision",
            "telemetry",
            "testing/mode",
            "testing/scope",
            "time",
        ],
    ),
    // What several drivers are made of.
    ("drivers/report", DRIVER),
    ("drivers/pause", DRIVER),
    ("drivers/cutoff", DRIVER),
    ("drivers/async_phase", DRIVER),
    // The drivers do not know each other. One is a loop around another on purpose: lending state is a code block.
    ("drivers/async_loop", DRIVER),
    ("drivers/blocking", DRIVER),
    ("drivers/future", DRIVER),
    ("drivers/attempts", DRIVER),
    ("drivers/lent", DRIVER),
    ("drivers/tower", DRIVER),
    ("drivers", &[]),
    // For tests. The fleet drives policies as any caller would.
    (
        "testing/fleet",
        &[
            "budget",
            "drivers",
            "engine",
            "instrument",
            "message",
            "policy",
            "policy/decision",
            "testing",
            "testing/clock",
            "time",
        ],
    ),
    (
        "testing",
        &["testing/clock", "testing/mode", "testing/scope"],
    ),
];

/// What every driver may import.
const DRIVER: &[&str] = &[
    "engine",
    "policy",
    "policy/decision",
    "telemetry",
    "testing/mode",
    "testing/scope",
    "time",
];

/// What a driver may import of its folder.
const PARTS: &[(&str, &[&str])] = &[
    (
        "drivers/async_loop",
        &["drivers/async_phase", "drivers/cutoff", "drivers/report"],
    ),
    ("drivers/blocking", &["drivers/report"]),
    (
        "drivers/future",
        &[
            "drivers/async_loop",
            "drivers/async_phase",
            "drivers/report",
        ],
    ),
    ("drivers/attempts", &["drivers/cutoff", "drivers/pause"]),
    ("drivers/lent", &["drivers/attempts"]),
    ("drivers/tower", &["drivers/cutoff"]),
];

/// Where a name of a room's front page stands.
const EXPORTS: &[(&str, &str)] = &[
    ("policy::Decision", "policy/decision"),
    ("policy::StopReason", "policy/decision"),
    ("policy::Settings", "policy/settings"),
    ("policy::InvalidSettings", "policy/settings"),
    ("Attempts", "drivers"),
    ("Budget", "budget"),
    ("Retry", "policy"),
];

/// The only room that may read a clock or sleep.
const CLOCKS: &str = "time";

/// Longest file and function, in lines of code: neither blank nor comment nor tests.
const FILE: usize = 300;
const FUNCTION: usize = 70;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// A file of the library: its path below `src/` without `.rs`, and its code without comments and tests.
struct Source {
    path: String,
    /// The `mod.rs` of a folder.
    is_front: bool,
    code: Vec<String>,
}

impl Source {
    fn all() -> Vec<Self> {
        let src = root().join("src");
        let mut found = Vec::new();
        files(&src, &mut found);
        found.retain(|path| !path.ends_with("tests.rs"));
        assert!(found.len() > 20, "{found:?}");
        found.iter().map(|path| Self::read(&src, path)).collect()
    }

    fn read(src: &Path, path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let code = text
            .lines()
            .take_while(|line| *line != "#[cfg(test)]")
            .filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with("//"))
            .map(str::to_owned)
            .collect();
        let path = path.strip_prefix(src).unwrap().with_extension("");
        let path = path.to_str().unwrap().replace('\\', "/");
        Self {
            is_front: path.ends_with("/mod"),
            path: path.trim_end_matches("/mod").to_owned(),
            code,
        }
    }

    /// The paths that it imports from the crate, e.g. `policy::Decision`.
    fn paths(&self) -> Vec<String> {
        let code = self.code.join("\n");
        let parent = match self.path.rsplit_once('/') {
            Some((folder, _)) if !self.is_front => folder.replace('/', "::"),
            _ => self.path.replace('/', "::"),
        };
        let mut paths = Vec::new();
        for (word, base) in [("crate::", ""), ("use super::", parent.as_str())] {
            for (at, found) in code.match_indices(word) {
                let path = &code[at + found.len()..];
                let end = path.find(|c: char| !c.is_alphanumeric() && !"_:".contains(c));
                let (head, rest) = path.split_at(end.unwrap_or(path.len()));
                let list = rest
                    .strip_prefix('{')
                    .filter(|_| head.is_empty() || head.ends_with("::"));
                let names = list.map_or("", |list| list.split('}').next().unwrap_or_default());
                for name in names.split(',') {
                    let parts = [base, head.trim_matches(':'), name.trim()];
                    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
                    paths.push(parts.join("::"));
                }
            }
        }
        paths.retain(|path| !path.is_empty());
        paths
    }

    /// The rooms that it imports, other than its own.
    fn imports(&self) -> BTreeSet<&'static str> {
        let paths = self.paths();
        let rooms = paths
            .iter()
            .map(|path| match EXPORTS.iter().find(|(name, _)| name == path) {
                Some((_, room)) => room,
                None => room(&path.replace("::", "/")),
            });
        rooms.filter(|import| *import != room(&self.path)).collect()
    }
}

/// The room that a path is in.
fn room(path: &str) -> &'static str {
    let is_in = |room: &str| {
        let rest = path.strip_prefix(room);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let rooms = ROOMS
        .iter()
        .map(|(room, _)| *room)
        .filter(|room| is_in(room));
    rooms
        .max_by_key(|room| room.len())
        .unwrap_or_else(|| panic!("{path} has no row in the table"))
}

#[test]
fn imports_point_one_way() {
    let allowed = |name: &str| -> Vec<&str> {
        let find = |table: &'static [(&str, &'static [&str])]| {
            table
                .iter()
                .find(|(room, _)| *room == name)
                .map_or(&[][..], |(_, imports)| *imports)
        };
        [find(ROOMS), find(PARTS)].concat()
    };
    for source in Source::all() {
        // They put the parts together.
        if ["lib", "drivers", "testing"].contains(&source.path.as_str()) {
            continue;
        }
        let name = room(&source.path);
        for import in source.imports() {
            assert!(
                allowed(name).contains(&import),
                "src/{}.rs imports {import}, and {name} may import {:?}",
                source.path,
                allowed(name)
            );
        }
    }
    for (at, (room, _)) in ROOMS.iter().enumerate() {
        for import in allowed(room) {
            let above = ROOMS[..at].iter().any(|(above, _)| *above == import);
            // The fleet is a room of `testing` itself.
            assert!(
                above || room.starts_with(import),
                "{room} imports {import}, which stands below it"
            );
        }
    }
}

#[test]
fn the_first_page_has_no_logic() {
    let sources = Source::all();
    let lib = sources.iter().find(|source| source.path == "lib").unwrap();
    for line in &lib.code {
        let starts = [
            "mod ",
            "pub mod ",
            "pub use ",
            "#[cfg(",
            "#![",
            "    clippy::",
            ")]",
            "    reason",
            "}",
            "#[doc",
            "#[path",
        ];
        assert!(
            starts.iter().any(|start| line.starts_with(start)) || line.starts_with("    "),
            "{line}"
        );
        assert!(!line.contains("fn "), "{line}");
    }
}

#[test]
fn a_file_is_read_in_one_sitting() {
    for source in Source::all() {
        let length = source.code.len();
        assert!(
            length <= FILE,
            "src/{}.rs has {length} lines of code",
            source.path
        );
    }
}

#[test]
fn a_function_is_read_at_a_glance() {
    for source in Source::all() {
        let mut started: Option<(usize, String)> = None;
        for (at, line) in source.code.iter().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let heads =
                line.contains("fn ") && line.trim_start().starts_with(|c: char| c.is_alphabetic());
            match &started {
                None if heads && !line.ends_with(';') && !line.ends_with('}') => {
                    started = Some((at, " ".repeat(indent) + "}"));
                }
                Some((from, end)) if line == end => {
                    let length = at - from + 1;
                    let head = source.code[*from].trim();
                    assert!(
                        length <= FUNCTION,
                        "src/{}.rs: {head} has {length} lines",
                        source.path
                    );
                    started = None;
                }
                // A method that a trait only declares, over several lines.
                Some((_, end)) if line.ends_with(';') && indent + 1 == end.len() => started = None,
                _ => {}
            }
        }
    }
}

#[test]
fn only_one_room_knows_the_time() {
    let readers = [
        "Instant::now",
        "SystemTime::now",
        ".elapsed()",
        "thread::sleep",
        "park_timeout",
        "Delay::",
        "tokio::",
        "futures_timer::",
    ];
    for source in Source::all() {
        if source.path.split('/').next() == Some(CLOCKS) {
            continue;
        }
        for line in &source.code {
            // `elapsed` of our own nouns is no clock.
            let line = line
                .replace("self.elapsed()", "")
                .replace("clock.elapsed()", "");
            for reader in readers {
                assert!(
                    !line.contains(reader),
                    "src/{}.rs reads a clock or sleeps: {line}",
                    source.path
                );
            }
        }
    }
}

#[test]
fn each_facade_is_in_one_room() {
    for (facade, room) in [
        ("log::", "telemetry/log"),
        ("metrics::", "telemetry/metrics"),
        ("tracing::", "telemetry/tracing"),
    ] {
        for source in Source::all() {
            // There the names are those of its own rooms; with both features on, tracing's hook knows the other's.
            let front = ["telemetry", "telemetry/dispatch", "telemetry/tracing"];
            if front.contains(&source.path.as_str()) || source.path == room {
                continue;
            }
            let uses = |line: &String| {
                let at = line.find(facade);
                at.is_some_and(|at| {
                    !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
                })
            };
            assert!(
                !source.code.iter().any(uses),
                "src/{}.rs uses {facade}",
                source.path
            );
        }
    }
}

#[test]
fn tests_wait_in_one_file_only() {
    let mut found = Vec::new();
    files(&root().join("tests"), &mut found);
    for path in found {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap();
        let marked = ["tests/real_time.rs", "tests/docs/layout.rs"].contains(&name);
        if marked
            || name.starts_with("tests/systems")
            || name.starts_with("tests/fuzz")
            || name.starts_with("tests/wasm")
        {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for sleeper in ["thread::sleep", "Delay::new"] {
            assert!(!text.contains(sleeper), "{name} waits in real time");
        }
    }
}

/// A binary of its own costs a link; each says why it has to be alone in its process.
#[test]
fn a_test_binary_of_its_own_says_why() {
    for entry in fs::read_dir(root().join("tests")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let head = text.lines().take_while(|line| line.starts_with("//!"));
            let says = head
                .into_iter()
                .any(|line| line.starts_with("//! Alone in its process: "));
            assert!(says, "{} does not say why it is alone", path.display());
        }
    }
}

#[test]
fn mutants_meet_every_test() {
    let config = include_str!("../../.ci/mutants.toml");
    for entry in fs::read_dir(root().join("tests")).unwrap() {
        let path = entry.unwrap().path();
        let is_test = path.extension().is_some_and(|extension| extension == "rs")
            || path.join("main.rs").exists();
        let name = path.file_stem().unwrap().to_str().unwrap();
        // They read texts, or take their time.
        if is_test && !["docs", "soak"].contains(&name) {
            let listed = config.contains(&format!("\"--test\", \"{name}\""));
            assert!(listed, ".ci/mutants.toml is without {name}");
        }
    }
}

#[test]
fn nothing_else_lies_at_the_top() {
    let belongs = [
        ".ci",
        ".gitignore",
        "CONTRIBUTING.md",
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "benches",
        "docs",
        "examples",
        "src",
        "tests",
    ];
    for entry in fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        // What tools leave there is not of the repository.
        let left = [".git", "target"].contains(&name.as_str())
            || ["mutants.out", "callgrind.out"]
                .iter()
                .any(|tool| name.starts_with(tool));
        assert!(
            left || belongs.contains(&name.as_str()),
            "{name} does not belong at the top"
        );
    }
}

/// What a program takes in with the library, and which features it has, is a promise.
#[test]
fn the_manifest_keeps_its_promises() {
    let manifest = include_str!("../../Cargo.toml");
    let keys = |section: &str, holds: fn(&str) -> bool| -> Vec<&str> {
        let lines = manifest.lines().skip_while(|line| *line != section);
        let lines = lines.skip(1).take_while(|line| !line.starts_with('['));
        let lines = lines.filter(|line| !line.starts_with('#') && holds(line));
        lines
            .filter_map(|line| Some(line.split_once(" =")?.0))
            .collect()
    };
    let optional = |line: &str| line.contains("optional = true");
    assert_eq!(
        keys("[dependencies]", |line| !line.contains("optional = true")),
        ["fastrand", "futures-timer", "pin-project-lite"]
    );
    assert_eq!(
        keys("[dependencies]", optional),
        [
            "log", "metrics", "http", "httpdate", "serde", "tokio", "tower", "tracing"
        ]
    );
    let browser =
        "[target.'cfg(all(target_arch = \"wasm32\", target_os = \"unknown\"))'.dependencies]";
    assert_eq!(
        keys(browser, |_| true),
        ["fastrand", "futures-timer", "web-time"]
    );
    assert_eq!(
        keys("[features]", |_| true),
        [
            "default", "log", "metrics", "tracing", "tokio", "fleet", "serde", "http", "tower"
        ]
    );
    for promise in [
        "edition = \"2024\"",
        "rust-version = \"1.85\"",
        "default = [\"log\", \"metrics\"]",
        // Earlier ones panic on `Duration::MAX`.
        "futures-timer = \"3.0.4\"",
        "unsafe_code = \"forbid\"",
    ] {
        assert!(manifest.lines().any(|line| line == promise), "{promise}");
    }
}

#[test]
fn maps_name_files_that_exist() {
    for (map, folder, more_than) in [
        (include_str!("../README.md"), "tests", 50),
        (include_str!("../../CONTRIBUTING.md"), "src", 25),
        (include_str!("../../docs/design.md"), "src", 5),
    ] {
        let sources = map.split('`').skip(1).step_by(2).filter(|name| {
            let is_source = Path::new(name).extension().is_some_and(|end| end == "rs");
            is_source && !name.contains(['*', ' '])
        });
        let mut named = 0;
        for name in sources {
            let found = [folder, "."].map(|folder| root().join(folder).join(name).exists());
            assert!(found.contains(&true), "{name}");
            named += 1;
        }
        assert!(named > more_than, "{named}");
    }
}
