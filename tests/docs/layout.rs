//! The rooms of `src/`: which may import which, how long their files and functions are, and who knows the time.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room and the rooms that it may import, leaves first: a room imports only what stands above it.
const ROOMS: &[(&str, &[&str])] = &[
    // Leaves.
    ("docs", &[]),
    ("message", &[]),
    ("sync", &[]),
    ("scope", &["sync"]),
    ("depth", &[]),
    ("time", &["sync"]),
    ("decision", &[]),
    ("when", &["decision"]),
    ("http", &[]),
    ("settings", &["message"]),
    ("backoff", &["settings"]),
    ("instrument", &["decision", "scope", "sync"]),
    ("watch", &["instrument"]),
    ("budget", &["backoff", "message", "sync", "time", "watch"]),
    ("switch", &["message", "scope", "sync"]),
    // The policy, and the judge of its calls.
    (
        "retry",
        &[
            "backoff",
            "budget",
            "decision",
            "instrument",
            "settings",
            "time",
        ],
    ),
    (
        "standing",
        &[
            "backoff",
            "budget",
            "decision",
            "depth",
            "instrument",
            "retry",
            "scope",
            "switch",
            "time",
        ],
    ),
    (
        "judge",
        &[
            "backoff",
            "budget",
            "decision",
            "instrument",
            "retry",
            "standing",
            "switch",
            "time",
        ],
    ),
    // The drivers.
    (
        "call",
        &[
            "budget",
            "decision",
            "depth",
            "instrument",
            "judge",
            "retry",
            "scope",
            "standing",
            "time",
        ],
    ),
    (
        "attempts",
        &[
            "budget",
            "decision",
            "instrument",
            "judge",
            "retry",
            "standing",
        ],
    ),
    ("operation", &["time"]),
    // `call_async_with` is a loop round `Attempts`, and a report is one noun in one place.
    (
        "future",
        &[
            "attempts",
            "budget",
            "call",
            "decision",
            "depth",
            "instrument",
            "judge",
            "operation",
            "retry",
            "standing",
            "time",
        ],
    ),
    (
        "tower",
        &["budget", "instrument", "judge", "retry", "standing", "time"],
    ),
    // For tests. The fleet drives policies as any caller would.
    ("testing/clock", &["time"]),
    (
        "testing/fleet",
        &[
            "attempts",
            "backoff",
            "budget",
            "decision",
            "instrument",
            "message",
            "retry",
            "switch",
            "testing",
            "time",
        ],
    ),
    ("testing", &["switch"]),
];

/// The only room that may read a clock or sleep.
const CLOCKS: &str = "time";

/// Longest file and function, in lines of code: neither blank nor comment nor tests.
const FILE: usize = 450;
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
    code: Vec<String>,
}

impl Source {
    fn all() -> Vec<Self> {
        let src = root().join("src");
        let mut found = Vec::new();
        files(&src, &mut found);
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
            path: path.trim_end_matches("/mod").to_owned(),
            code,
        }
    }

    /// Where the file's room stands in the table.
    fn room(&self) -> usize {
        let holds = |room: &str| {
            self.path == room
                || self
                    .path
                    .strip_prefix(room)
                    .is_some_and(|rest| rest.starts_with('/'))
        };
        ROOMS
            .iter()
            .position(|(room, _)| holds(room))
            .unwrap_or_else(|| panic!("src/{}.rs has no row in the table", self.path))
    }

    /// The rooms that it imports, other than its own.
    fn imports(&self) -> BTreeSet<String> {
        let mut imports = BTreeSet::new();
        let code = self.code.join("\n");
        for (_, after) in code
            .match_indices("crate::")
            .map(|(at, found)| code.split_at(at + found.len()))
        {
            let names = match after.strip_prefix('{') {
                Some(list) => list.split('}').next().unwrap_or_default(),
                None => after
                    .split(|c: char| !c.is_alphanumeric() && c != '_')
                    .next()
                    .unwrap_or_default(),
            };
            for name in names.split(',') {
                let name = name.trim().split("::").next().unwrap_or_default();
                imports.insert(name.trim().to_owned());
            }
        }
        imports.remove("");
        imports.remove(self.path.split('/').next().unwrap_or_default());
        imports
    }
}

#[test]
fn imports_point_one_way() {
    for source in Source::all() {
        if source.path == "lib" {
            continue;
        }
        let room = source.room();
        let (name, allowed) = ROOMS[room];
        for import in source.imports() {
            assert!(
                allowed.contains(&import.as_str()),
                "src/{}.rs imports {import}, and {name} may import {allowed:?}",
                source.path
            );
        }
    }
    for (at, (room, imports)) in ROOMS.iter().enumerate() {
        for import in *imports {
            let above = ROOMS[..at].iter().any(|(above, _)| above == import);
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
        "Delay",
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
        ("log::", "instrument/log"),
        ("metrics::", "instrument/metrics"),
    ] {
        for source in Source::all() {
            // There the names are those of its own rooms.
            if source.path == "instrument" || source.path == room {
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
        let marked = ["tests/real_time.rs", "tests/layout.rs"].contains(&name);
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

#[test]
fn mutants_meet_every_test() {
    let listed = include_str!("mutants.rs");
    let without = ["layout", "mutants", "pages", "public_api", "readme", "soak"];
    for entry in fs::read_dir(root().join("tests")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        if path.extension().is_none_or(|extension| extension != "rs") || without.contains(&name) {
            continue;
        }
        let module = format!("#[path = \"{name}.rs\"]\nmod {name};");
        assert!(
            listed.contains(&module),
            "tests/mutants.rs is without {name}"
        );
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
            "log", "metrics", "http", "httpdate", "serde", "tokio", "tower"
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
            "default", "log", "metrics", "tokio", "fleet", "serde", "http", "tower"
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
