//! The page: prose stays as it is, what stands between two markers is replaced.

use std::fmt::Display;
use std::fs;
use std::path::PathBuf;

/// A file of the repository.
pub fn path(relative: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(relative)
}

/// Puts `text` between the markers of `section`.
pub fn put(section: &str, text: &str) -> Result<(), String> {
    let path = path("docs/performance.md");
    let page = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let begin = format!("<!-- measured: {section} -->\n");
    let end = format!("<!-- end: {section} -->");
    let (before, rest) = page
        .split_once(&begin)
        .ok_or(format!("the page lacks {begin}"))?;
    let (_, after) = rest
        .split_once(&end)
        .ok_or(format!("the page lacks {end}"))?;
    fs::write(
        &path,
        format!("{before}{begin}\n{}\n\n{end}{after}", text.trim()),
    )
    .map_err(|error| format!("{}: {error}", path.display()))
}

/// A table in Markdown, the first column to the left and the others to the right.
pub struct Table {
    text: String,
}

impl Table {
    pub fn new(head: impl IntoIterator<Item = impl Display>) -> Self {
        let mut table = Self {
            text: String::new(),
        };
        let columns = table.row(head);
        table.text.push_str("|---|");
        table.text.push_str(&"--:|".repeat(columns - 1));
        table.text.push('\n');
        table
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Display>) -> usize {
        self.text.push('|');
        let mut columns = 0;
        for cell in cells {
            self.text.push_str(&format!(" {cell} |"));
            columns += 1;
        }
        self.text.push('\n');
        columns
    }

    pub fn finish(self) -> String {
        self.text
    }
}

/// `1.25x`.
pub fn ratio(value: f64, base: f64) -> String {
    format!("{:.2}x", value / base)
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
