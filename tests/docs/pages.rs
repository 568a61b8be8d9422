//! The pages of docs/ and the README: their links lead somewhere, and each page's code is doctested.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All pages with their texts.
fn pages() -> BTreeMap<PathBuf, String> {
    let mut paths = ["README.md", "CONTRIBUTING.md"]
        .map(|page| root().join(page))
        .to_vec();
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(folder).unwrap();
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                paths.push(path);
            }
        }
    }
    let read = |path: PathBuf| (path.clone(), fs::read_to_string(path).unwrap());
    paths.into_iter().map(read).collect()
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

/// The targets of a page's links: `[..](target)`, and `[reference]: target`.
fn targets(page: &str) -> Vec<String> {
    let prose = prose(page);
    let inline = prose.split("](").skip(1);
    let inline = inline.map(|rest| rest.split(')').next().unwrap());
    let references = references(&prose);
    let references = references.into_iter().map(|(_, target)| target);
    inline.map(str::to_owned).chain(references).collect()
}

/// The definitions of references in a text, each with its target.
fn references(text: &str) -> Vec<(String, String)> {
    let definitions = text
        .lines()
        .filter_map(|line| line.strip_prefix('[')?.split_once("]: "));
    definitions
        .map(|(name, target)| (name.to_owned(), target.to_owned()))
        .collect()
}

#[test]
fn links_lead_somewhere() {
    let pages = pages();
    let mut links = 0;
    for (path, page) in &pages {
        for target in &targets(page) {
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

/// In the API documentation each page is a module, so that its links work there and its code is compiled and run.
#[test]
fn each_page_is_a_module() {
    let included = fs::read_to_string(root().join("src/docs.rs")).unwrap();
    for (path, page) in pages() {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap();
        if name.starts_with("docs/") {
            let module = path.file_stem().unwrap().to_str().unwrap();
            let include = format!("page!({module}, \"../{name}\"");
            assert!(included.contains(&include), "{name} is not in src/docs.rs");
        }
        assert!(
            !page.contains("```rust,ignore") && !page.contains("```ignore"),
            "{name} has code that nobody runs"
        );
    }
}
