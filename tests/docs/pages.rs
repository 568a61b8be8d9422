//! The pages of docs/ and the README: their links lead somewhere, and each page's code is doctested.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All pages with their texts.
fn pages() -> BTreeMap<PathBuf, String> {
    let docs = fs::read_dir(root().join("docs")).unwrap();
    docs.map(|entry| entry.unwrap().path())
        .chain(["README.md", "CONTRIBUTING.md"].map(|page| root().join(page)))
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

#[test]
fn each_page_is_doctested() {
    let included = fs::read_to_string(root().join("src/docs.rs")).unwrap();
    for (path, page) in pages() {
        let name = path.file_name().unwrap().to_str().unwrap();
        if page.contains("```rust") && path.starts_with(root().join("docs")) {
            let include = format!("\"../docs/{name}\"");
            assert!(included.contains(&include), "{name} is not in src/docs.rs");
        }
        assert!(
            !page.contains("```rust,ignore") && !page.contains("```ignore"),
            "{name} has code that nobody runs"
        );
    }
}

/// In the API documentation there are no files beside a page. `src/docs.rs` gives references another target there.
#[test]
fn pages_link_each_other_by_references_that_lead_to_modules_in_rustdoc() {
    let module = |page: &str| format!("crate::docs::{page}");
    let redirected = references(&fs::read_to_string(root().join("src/docs.rs")).unwrap());
    let mut links = 0;
    for (path, page) in &pages() {
        if !path.starts_with(root().join("docs")) {
            continue;
        }
        let name = path.display();
        let prose = prose(page);
        for inline in prose.split("](").skip(1) {
            let target = inline.split([')', '#']).next().unwrap();
            assert!(
                !target.ends_with(".md"),
                "{name}: write `[{target}]` and define it below"
            );
        }
        for (reference, target) in references(&prose) {
            let Some(page) = target.strip_suffix(".md") else {
                continue;
            };
            let same = |(other, target): &(String, String)| {
                other.eq_ignore_ascii_case(&reference) && *target == module(page)
            };
            assert!(
                redirected.iter().any(same),
                "{name}: src/docs.rs does not lead [{reference}] to {page}"
            );
            links += 1;
        }
    }
    assert!(links > 10, "{links} links found");
}
