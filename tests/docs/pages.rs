//! The pages of docs/ and the README: their links lead somewhere, and each page's code is doctested.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All pages with their texts.
fn pages() -> BTreeMap<PathBuf, String> {
    let entries = |folder| fs::read_dir(root().join(folder)).unwrap();
    entries("docs")
        .chain(entries("docs/cookbook"))
        .map(|entry| entry.unwrap().path())
        .chain([root().join("README.md")])
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect()
}

/// A page without its code, in which brackets are no links and `#` no headings.
fn prose(page: &str) -> String {
    page.split("```").step_by(2).collect()
}

/// The anchors of a page, as GitHub makes them of its headings.
fn anchors(page: &str) -> Vec<String> {
    prose(page)
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            let kept = heading
                .chars()
                .filter(|character| character.is_alphanumeric() || " -_".contains(*character));
            kept.collect::<String>().replace(' ', "-")
        })
        .collect()
}

#[test]
fn links_lead_somewhere() {
    let pages = pages();
    let mut links = 0;
    for (path, page) in &pages {
        for target in prose(page).split("](").skip(1) {
            let target = target.split(')').next().unwrap();
            if target.starts_with("http") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = match file {
                "" => path.clone(),
                file => path.parent().unwrap().join(file),
            };
            assert!(file.exists(), "{}: no {target}", path.display());
            if let Some(page) = pages.get(&file).filter(|_| !anchor.is_empty()) {
                assert!(
                    anchors(page).iter().any(|heading| heading == anchor),
                    "{}: no heading for {target}",
                    path.display()
                );
            }
            links += 1;
        }
    }
    assert!(links > 20, "{links} links found");
}

#[test]
fn each_page_is_doctested() {
    let included = fs::read_to_string(root().join("src/docs.rs")).unwrap();
    for (path, page) in pages() {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap();
        if page.contains("```rust") && name.starts_with("docs/") {
            let include = format!("include_str!(\"../{name}\")");
            assert!(included.contains(&include), "{name} is not in src/docs.rs");
        }
        assert!(
            !page.contains("```rust,ignore") && !page.contains("```ignore"),
            "{name} has code that nobody runs"
        );
    }
}
