//! The public API as it stands in the sources, held against `tests/public-api.txt`: a change must update it knowingly.
//!
//! `STAMINA_BLESS=1 cargo test --test docs public_api` writes the file anew. It is a reading of the text, which needs no
//! tool and runs everywhere; `cargo public-api` says the same with all types resolved.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// What else stands before an item and belongs to its contract.
fn counts(attribute: &str) -> bool {
    [
        "#[cfg(feature",
        "#[derive(",
        "#[non_exhaustive]",
        "#[must_use",
    ]
    .iter()
    .any(|start| attribute.starts_with(start))
}

/// What no user can see: only the model checker sets it.
const CHECKER: &str = "#[cfg(shuttle";

/// Whether a line begins an item that users can see.
fn is_public(line: &str, inside: Option<&str>) -> bool {
    line.starts_with("pub ")
        || line.starts_with("impl")
        || match inside {
            Some("enum") => line.starts_with(|first: char| first.is_ascii_uppercase()),
            Some("trait") => line.starts_with("fn ") || line.starts_with("type "),
            _ => false,
        }
}

/// The public items of a file, one to a line, without bodies.
fn items(source: &str) -> Vec<String> {
    let mut items = Vec::new();
    let mut attributes = String::new();
    // The `impl`, struct, enum or trait that what follows is in.
    let mut owner = String::new();
    // The body of a public enum or trait, and the indentation that ends it.
    let mut body: Option<(&str, usize)> = None;
    let mut lines = source.lines().take_while(|line| *line != "#[cfg(test)]");
    while let Some(line) = lines.next() {
        let indent = line.len().saturating_sub(line.trim_start().len());
        let line = line.trim();
        if line.starts_with("//") || line.is_empty() {
            continue;
        }
        if line.starts_with("#[") {
            if counts(line) || line.starts_with(CHECKER) {
                attributes += line;
                attributes.push(' ');
            }
            continue;
        }
        if body.is_some_and(|(_, outer)| line == "}" && indent == outer) {
            body = None;
        }
        let attributes = std::mem::take(&mut attributes);
        let inside =
            body.and_then(|(kind, outer)| (indent == outer.saturating_add(4)).then_some(kind));
        if !is_public(line, inside) || attributes.contains(CHECKER) {
            if indent == 0 && line.ends_with('{') {
                owner.clear();
            }
            continue;
        }
        // rustfmt ends a signature with a brace, a semicolon or, for fields and variants, a comma.
        let mut item = line.to_owned();
        let field = |item: &str| {
            let item = item.trim_start_matches("pub ");
            item.ends_with(',')
                && !item.starts_with("fn ")
                && !item.starts_with("const fn ")
                && !item.starts_with("impl")
        };
        while !item.ends_with(['{', ';', '}']) && !field(&item) {
            let Some(next) = lines.next() else { break };
            let next = next.trim();
            if next.starts_with("//") {
                continue;
            }
            if !item.ends_with('(') && !item.ends_with('<') {
                item.push(' ');
            }
            item += next;
        }
        for kind in ["enum", "trait"] {
            if item.starts_with(&format!("pub {kind} ")) && item.ends_with('{') {
                body = Some((kind, indent));
            }
        }
        let item = item.trim_end_matches(['{', ',', ' ']);
        if owner.is_empty() && indent > 0 {
            // Inside of a macro, which is no owner.
            items.push(format!("{attributes}{item}"));
        } else if indent == 0 {
            item.clone_into(&mut owner);
            items.push(format!("{attributes}{item}"));
        } else {
            items.push(format!("{owner} > {attributes}{item}"));
        }
    }
    items
}

/// Whether an item is the head of an `impl` for a type that users can't see.
fn is_hidden(item: &str, types: &[String]) -> bool {
    item.starts_with("impl")
        && !item
            .split(|part: char| !part.is_alphanumeric() && part != '_')
            .any(|word| types.iter().any(|name| name == word))
}

#[test]
fn the_public_api_is_the_one_that_was_written_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    files.sort();

    let items: Vec<String> = files
        .iter()
        .flat_map(|file| items(&fs::read_to_string(file).unwrap()))
        .collect();
    // What a public struct, enum or trait is called.
    let types: Vec<String> = items
        .iter()
        .filter_map(|item| {
            ["pub struct ", "pub enum ", "pub trait "]
                .iter()
                .find_map(|kind| item.split_once(kind))
        })
        .map(|(_, rest)| {
            rest.chars()
                .take_while(|part| part.is_alphanumeric())
                .collect()
        })
        .collect();
    // In order of their text: in which file they stand is nobody's concern.
    let mut items: Vec<String> = items
        .into_iter()
        .filter(|item| !is_hidden(item, &types))
        .collect();
    items.sort();
    let api = items.join("\n") + "\n";

    let snapshot = root.join("tests/public-api.txt");
    if std::env::var_os("STAMINA_BLESS").is_some() {
        fs::write(&snapshot, &api).unwrap();
    }
    let written = fs::read_to_string(&snapshot).unwrap_or_default();
    for (line, (now, then)) in api.lines().zip(written.lines()).enumerate() {
        assert_eq!(
            now,
            then,
            "line {}: if this is meant, bless it (STAMINA_BLESS=1) and say so in the changelog",
            line.saturating_add(1)
        );
    }
    assert_eq!(
        api.lines().count(),
        written.lines().count(),
        "bless it (STAMINA_BLESS=1) if this is meant"
    );
}
