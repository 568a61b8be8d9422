//! The command line from outside: what it prints and writes, and what it refuses.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

fn fleet(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stamina-fleet"))
        .args(arguments)
        .output()
        .unwrap()
}

/// A directory of the test's own, which is removed before and left behind.
fn directory(name: &str) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&directory);
    directory
}

#[track_caller]
fn succeeds(arguments: &[&str]) -> String {
    let output = fleet(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn refused(arguments: &[&str], why: &[&str]) {
    let output = fleet(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
    assert!(output.stdout.is_empty());
    for why in why {
        assert!(errors.contains(why), "{arguments:?}: {errors}");
    }
}

#[track_caller]
fn is_chart(path: &std::path::Path, texts: &[&str]) {
    let chart = fs::read_to_string(path).unwrap();
    assert!(chart.starts_with("<svg") && chart.trim_end().ends_with("</svg>"));
    for text in texts {
        assert!(chart.contains(text), "{text}");
    }
}

#[test]
fn an_outage_without_and_with_a_budget() {
    let out = directory("outage");
    let text = succeeds(&[
        "outage",
        "--rate",
        "50",
        "--clients",
        "10",
        "--before",
        "20s",
        "--outage",
        "20s",
        "--after",
        "1m",
        "--out",
        out.to_str().unwrap(),
    ]);
    assert!(text.contains("10 clients, 50 calls/s"), "{text}");
    assert!(text.contains("x3.00"), "{text}");
    assert!(text.contains("budget_exhausted"), "{text}");
    is_chart(
        &out.join("outage.svg"),
        &["Without a budget", "With a budget", "goodput"],
    );
}

#[test]
fn an_overload_without_and_with_a_budget() {
    let out = directory("overload");
    let text = succeeds(&[
        "overload",
        "--rate",
        "28",
        "--workers",
        "3",
        "--clients",
        "10",
        "--after",
        "250s",
        "--out",
        out.to_str().unwrap(),
    ]);
    let (without, with) = text
        .split_once("with a budget (ratio 0.2, decay 10s, floor 2)")
        .unwrap();
    let last = |table: &str| {
        table
            .lines()
            .rfind(|line| line.starts_with("    3 "))
            .unwrap()
            .to_owned()
    };
    assert!(last(without).contains("never"), "{text}");
    assert!(!last(with).contains("never"), "{text}");
    is_chart(
        &out.join("overload.svg"),
        &[
            "what the server can serve",
            "the network holds all messages",
            "per second",
        ],
    );
}

#[test]
fn the_same_seed_gives_the_same_output_and_charts() {
    let run = |name: &str, seed: &str| {
        let out = directory(name);
        let text = succeeds(&[
            "overload",
            "--rate",
            "9",
            "--workers",
            "1",
            "--after",
            "20s",
            "--seed",
            seed,
            "--out",
            out.to_str().unwrap(),
        ]);
        let text = text.replace(name, "");
        (text, fs::read_to_string(out.join("overload.svg")).unwrap())
    };
    assert_eq!(run("same-1", "5"), run("same-2", "5"));
    assert_ne!(run("same-1", "5"), run("same-2", "6"));
}

#[test]
fn waits_without_and_with_jitter() {
    let out = directory("waits");
    let text = succeeds(&["waits", "--clients", "200", "--out", out.to_str().unwrap()]);
    assert!(text.contains("without jitter       200"), "{text}");
    let with = text
        .lines()
        .find(|line| line.starts_with("with jitter"))
        .unwrap();
    let with: u32 = with.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(with < 60, "{text}");
    is_chart(&out.join("waits.svg"), &["Without jitter", "With jitter"]);
}

#[test]
fn the_tables_on_a_small_configuration() {
    let text = succeeds(&["tables", "c", "d", "--seeds", "2"]);
    for row in [
        "full jitter",
        "796 +- 0.5",
        "decorrelated",
        "exactly at the cap",
    ] {
        assert!(text.contains(row), "{row}: {text}");
    }
    let text = succeeds(&["tables", "B", "--seeds", "1", "--clients", "10"]);
    assert!(text.contains("budget of 20 %"), "{text}");
    assert!(
        text.lines()
            .any(|line| line.contains("no budget") && line.matches("stuck").count() == 2),
        "{text}"
    );
}

#[test]
fn the_table_of_fleet_sizes_has_means_and_errors() {
    let arguments = [
        "tables",
        "f",
        "--rows",
        "bounded",
        "--clients",
        "10",
        "--seeds",
        "2",
    ];
    assert!(!succeeds(&arguments).contains("no retries"));
    let arguments = [
        "tables",
        "f",
        "--rows",
        "blip of",
        "--clients",
        "10",
        "--seeds",
        "2",
    ];
    let text = succeeds(&arguments);
    let of = |name: &str| {
        let line = text.lines().find(|line| line.trim().starts_with(name));
        let cell = line.unwrap().rsplit("  ").next().unwrap().trim();
        let (mean, error) = cell.split_once(" +- ").unwrap();
        (mean.parse::<f64>().unwrap(), error.parse::<f64>().unwrap())
    };
    let (without, with) = (of("no retries"), of("default budget"));
    assert!(without.0 < 10.0 && with.0 > 30.0, "{text}");
    assert!(without.1 > 0.0 && with.1 > 0.0, "{text}");
}

#[test]
fn the_limits_of_a_fleet_of_rare_callers() {
    let out = directory("limits");
    let text = succeeds(&["limits", "--out", out.to_str().unwrap()]);
    assert!(
        text.contains("    2                           1.33"),
        "{text}"
    );
    is_chart(&out.join("limits.svg"), &["measured, floor 0 to 3"]);
}

#[test]
fn bad_arguments_are_refused_with_exit_code_2() {
    refused(&[], &["Usage"]);
    refused(&["outrage"], &["outrage", "outage"]);
    refused(&["outage", "--clients", "0"], &["--clients", "0"]);
    refused(
        &["outage", "--rate", "0"],
        &["--rate", "must be greater than 0"],
    );
    refused(
        &["outage", "--rate", "NaN"],
        &["--rate", "must be greater than 0"],
    );
    refused(
        &["outage", "--failure", "1.5"],
        &["--failure", "at least 0 and at most 1"],
    );
    refused(&["outage", "--failure", "much"], &["is no number"]);
    refused(&["outage", "--ratio", "0"], &["--ratio", "at least 0.001"]);
    refused(&["outage", "--decay", "0s"], &["--decay", "at least 1ms"]);
    refused(&["outage", "--decay", "25h"], &["--decay", "at most a day"]);
    refused(&["outage", "--floor", "1000001"], &["--floor", "1000000"]);
    refused(
        &["outage", "--outage", "0s"],
        &["--outage", "longer than 0"],
    );
    refused(
        &["outage", "--before", "3 weeks"],
        &["--before", "unit of time"],
    );
    refused(
        &["outage", "--before", "9000h"],
        &["--before", "at most a year"],
    );
    refused(
        &["outage", "--wait-exp-base", "0.5"],
        &["--wait-exp-base", "at least 1"],
    );
    refused(&["outage", "--attempts", "-1"], &["-1"]);
    refused(&["overload", "--workers", "0"], &["--workers"]);
    refused(
        &["overload", "--service-time", "0ms"],
        &["--service-time", "longer than 0"],
    );
    refused(&["waits", "--clients", "2000000"], &["1000000"]);
    refused(&["tables", "g"], &["possible values"]);
    refused(&["tables", "--seeds", "0"], &["--seeds"]);
    refused(&["tables", "--clients", "1,zero"], &["--clients"]);
}

#[test]
fn a_directory_that_cannot_be_made_is_an_error() {
    let output = fleet(&["waits", "--clients", "2", "--out", "/dev/null/charts"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/dev/null/charts"));
}
