//! The text that a real Prometheus exporter makes of our metrics.

use metrics_exporter_prometheus::PrometheusBuilder;
use stamina::testing::VirtualClock;
use stamina::{Budget, Retry, Timer, instrument};
use std::time::Duration;

fn scraped(describe: bool, calls: impl FnOnce(&'static VirtualClock)) -> Vec<String> {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::with_local_recorder(&recorder, || {
        if describe {
            instrument::describe_metrics();
        }
        calls(Box::leak(Box::default()));
    });
    handle.run_upkeep();
    let text = handle.render();
    text.lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

fn policy(clock: &'static VirtualClock) -> Retry<&'static str> {
    Retry::on()
        .named("fetch \"page\"")
        .attempts(3)
        .wait_jitter(Duration::ZERO)
        .timer(Timer::custom(clock))
}

#[track_caller]
fn has(lines: &[String], line: &str) {
    assert!(
        lines.iter().any(|found| found == line),
        "no {line} in\n{}",
        lines.join("\n")
    );
}

#[test]
fn the_text() {
    static EMPTY: Budget = Budget::new().floor(0);
    let lines = scraped(true, |clock| {
        let mut errors = ["down"].into_iter();
        assert!(policy(clock).call(|| Err::<(), _>("down")).is_err());
        assert!(
            policy(clock)
                .call(|| errors.next().map_or(Ok(()), Err))
                .is_ok()
        );
        assert!(
            policy(clock)
                .timeout(Duration::ZERO)
                .call(|| Err::<(), _>("down"))
                .is_err()
        );
        assert!(
            policy(clock)
                .budget(&EMPTY)
                .call(|| Err::<(), _>("down"))
                .is_err()
        );
    });
    for line in [
        r#"stamina_retries_total{callable="fetch \"page\"",retry_num="1",error_type="&str"} 2"#,
        r#"stamina_retries_total{callable="fetch \"page\"",retry_num="2",error_type="&str"} 1"#,
        r#"stamina_gave_up_total{callable="fetch \"page\"",reason="attempts_exhausted",error_type="&str"} 1"#,
        r#"stamina_gave_up_total{callable="fetch \"page\"",reason="timed_out",error_type="&str"} 1"#,
        r#"stamina_gave_up_total{callable="fetch \"page\"",reason="budget_exhausted",error_type="&str"} 1"#,
        r#"stamina_recovered_total{callable="fetch \"page\""} 1"#,
        r#"stamina_wait_seconds_count{callable="fetch \"page\""} 3"#,
        r#"stamina_wait_seconds_sum{callable="fetch \"page\""} 0.4"#,
        "# TYPE stamina_retries_total counter",
        "# TYPE stamina_gave_up_total counter",
        "# TYPE stamina_recovered_total counter",
        "# TYPE stamina_wait_seconds summary",
    ] {
        has(&lines, line);
    }
    for metric in [
        "stamina_retries_total",
        "stamina_gave_up_total",
        "stamina_recovered_total",
        "stamina_wait_seconds",
    ] {
        let help = format!("# HELP {metric} ");
        let text = lines.iter().find_map(|line| line.strip_prefix(&help));
        assert!(
            text.is_some_and(|text| text.len() > 10),
            "no help for {metric} in\n{}",
            lines.join("\n")
        );
    }
}

#[test]
fn descriptions_are_not_needed() {
    let lines = scraped(false, |clock| {
        assert!(policy(clock).call(|| Err::<(), _>("down")).is_err());
    });
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("stamina_retries_total{"))
    );
    assert!(!lines.iter().any(|line| line.starts_with("# HELP")));
}

#[test]
fn a_thousand_retries_make_no_thousand_series() {
    let lines = scraped(true, |clock| {
        let policy = policy(clock).attempts(1001).no_timeout();
        assert!(policy.call(|| Err::<(), _>("down")).is_err());
    });
    assert_eq!(
        lines
            .iter()
            .filter(|line| line.starts_with("stamina_retries_total{"))
            .count(),
        21
    );
    has(
        &lines,
        r#"stamina_retries_total{callable="fetch \"page\"",retry_num="20",error_type="&str"} 1"#,
    );
    has(
        &lines,
        r#"stamina_retries_total{callable="fetch \"page\"",retry_num=">20",error_type="&str"} 980"#,
    );
}

#[test]
fn a_quiet_process_exports_nothing() {
    let lines = scraped(true, |clock| {
        assert!(policy(clock).call(|| Ok(())).is_ok());
        assert!(
            policy(clock)
                .when(|_| false)
                .call(|| Err::<(), _>("down"))
                .is_err()
        );
    });
    assert!(
        !lines.iter().any(|line| line.starts_with("stamina_")),
        "{lines:?}"
    );
}
