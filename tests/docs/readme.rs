//! What the README and the crate's first page say in tables, held against the code.

use stamina::Settings;

/// The second cell of the table row whose first cell is `setting`.
#[track_caller]
fn row<'a>(page: &'a str, setting: &str) -> &'a str {
    let mut rows = page
        .lines()
        .filter_map(|line| line.trim_start_matches("//! ").strip_prefix("| "));
    rows.find_map(|row| {
        row.strip_prefix(setting)?
            .strip_prefix(" | ")?
            .split(" |")
            .next()
    })
    .unwrap_or_else(|| panic!("no row `{setting}`"))
}

#[test]
fn the_tables_of_defaults_tell_the_truth() {
    let Settings {
        attempts,
        timeout,
        attempt_timeout,
        wait_initial,
        wait_max,
        wait_jitter,
        wait_exp_base,
        full_jitter,
    } = Settings::DEFAULT;
    // The maximum and the jitter fit the other settings: these are what they come to.
    assert_eq!((attempt_timeout, wait_max, wait_jitter), (None, None, None));
    let last_wait = stamina::Retry::on::<()>().schedule().last();
    let (shortest, longest) = last_wait.expect("ten attempts");
    for page in [
        include_str!("../../README.md"),
        include_str!("../../src/lib.rs"),
    ] {
        assert_eq!(
            Some(row(page, "attempts, the first included")),
            attempts.map(|n| n.to_string()).as_deref()
        );
        assert_eq!(
            Some(row(page, "deadline of the whole call")),
            timeout.map(|d| format!("{} s", d.as_secs())).as_deref()
        );
        assert_eq!(
            row(page, "first wait, before jitter"),
            format!("{} ms", wait_initial.as_millis())
        );
        assert_eq!(row(page, "growth of the wait"), wait_exp_base.to_string());
        // What follows the comma is about other settings.
        let default = |setting| row(page, setting).split(',').next();
        assert_eq!(
            default("longest wait, jitter included"),
            Some(format!("{} s", longest.as_secs()).as_str())
        );
        assert_eq!(
            default("jitter on each wait"),
            Some(format!("{} s", (longest - shortest).as_secs()).as_str())
        );
    }
    assert!(!full_jitter);
}

#[test]
fn the_waits_in_the_readme_are_those_of_the_schedule() {
    let seconds = |wait: std::time::Duration| wait.as_secs_f64();
    let waits: Vec<String> = stamina::Retry::on::<()>()
        .schedule()
        .take(6)
        .map(|(shortest, longest)| format!("{} - {}", seconds(shortest), seconds(longest)))
        .collect();
    let readme = include_str!("../../README.md").replace('\n', " ");
    let expected = format!("{}, then 4 - 5.", waits.join(", "));
    assert!(
        readme.contains(&expected),
        "the README does not say: {expected}"
    );
}

#[test]
fn each_link_of_the_readme_leads_somewhere() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for link in include_str!("../../README.md").split("](").skip(1) {
        let target = link.split([')', '#']).next().unwrap_or_default();
        if !target.is_empty() && !target.contains("://") {
            assert!(root.join(target).exists(), "{target} does not exist");
        }
    }
}

#[test]
fn the_readme_names_every_example() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let mut examples = 0;
    for entry in std::fs::read_dir(root.join("examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        let command = source.lines().nth(1).unwrap();
        let arguments = command
            .strip_prefix("//! cargo run --example ")
            .unwrap_or_else(|| panic!("{} does not begin with its command", path.display()));
        assert!(
            readme.contains(&format!("`{arguments}`")),
            "the README does not name {arguments}"
        );
        examples += 1;
    }
    assert!(examples > 10, "{examples} examples found");
}
