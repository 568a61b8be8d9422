//! docs/grafana-dashboard.json and docs/alerts.yml name metrics and labels that exist.
#![cfg(feature = "metrics")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::Command;
use std::sync::Mutex;

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    with_local_recorder,
};

const DASHBOARD: &str = include_str!("../../docs/grafana-dashboard.json");
const ALERTS: &str = include_str!("../../docs/alerts.yml");
const ALERTS_TEST: &str = include_str!("../../docs/alerts_test.yml");
const OPERATIONS: &str = include_str!("../../docs/operations.md");
const INSTRUMENTATION: &str = include_str!("../../docs/instrumentation.md");

/// Remembers what was described.
#[derive(Default)]
struct Described(Mutex<BTreeMap<String, &'static str>>);

impl Described {
    fn note(&self, name: &KeyName, kind: &'static str) {
        self.0.lock().unwrap().insert(name.as_str().into(), kind);
    }
}

impl Recorder for Described {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        self.note(&name, "counter");
    }
    fn describe_gauge(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        self.note(&name, "gauge");
    }
    fn describe_histogram(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        self.note(&name, "histogram");
    }
    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// The library's metrics, by name, with their kinds.
fn library() -> BTreeMap<String, &'static str> {
    let described = Described::default();
    with_local_recorder(&described, stamina::instrument::describe_metrics);
    described.0.into_inner().unwrap()
}

/// The words that begin with `stamina_`.
fn named(text: &str) -> BTreeSet<&str> {
    text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
        .filter(|word| word.starts_with("stamina_"))
        .collect()
}

/// The queries of the dashboard, as they are once Grafana has put its variables in.
fn queries() -> Vec<String> {
    DASHBOARD
        .lines()
        .filter_map(|line| line.trim().strip_prefix(r#""expr": ""#))
        .map(|line| line.trim_end_matches(',').trim_end_matches('"'))
        .map(|query| query.replace(r#"\""#, r#"""#))
        .map(|query| query.replace("$__rate_interval", "5m"))
        .map(|query| query.replace("$job", ".*").replace("$callable", ".*"))
        .collect()
}

#[track_caller]
fn assert_known(text: &str) {
    let library = library();
    for name in named(text) {
        // The parts of which a histogram is made.
        let histogram = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|part| name.strip_suffix(part));
        let known = library.contains_key(name)
            || histogram.is_some_and(|name| library.get(name) == Some(&"histogram"));
        assert!(known, "{name} is none of {:?}", library.keys());
    }
}

#[test]
fn dashboard_and_rules_only_name_metrics_that_exist() {
    assert_known(DASHBOARD);
    assert_known(ALERTS);
    assert_known(ALERTS_TEST);
}

#[test]
fn each_metric_is_in_the_dashboard_and_on_the_page() {
    for (name, kind) in library() {
        assert!(DASHBOARD.contains(&name), "{name} is not in the dashboard");
        let row = format!("| `{name}` | {kind} |");
        assert!(
            INSTRUMENTATION.contains(&row),
            "no `{row}` in instrumentation.md"
        );
    }
}

#[test]
fn each_alert_and_each_panel_is_explained() {
    let alerts: Vec<_> = ALERTS
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert_eq!(alerts.len(), 7);
    for alert in alerts {
        assert!(
            OPERATIONS.contains(&format!("### {alert} (")),
            "{alert} is not explained"
        );
        assert!(ALERTS_TEST.contains(alert), "{alert} is not tested");
    }
    let lines: Vec<_> = DASHBOARD.lines().map(str::trim).collect();
    let mut panels = 0;
    for pair in lines.windows(2) {
        let graph = pair[0] == r#""type": "timeseries","# || pair[0] == r#""type": "stat","#;
        if let (true, Some(title)) = (graph, pair[1].strip_prefix(r#""title": ""#)) {
            let title = title.trim_end_matches("\",");
            assert!(
                OPERATIONS.contains(&format!("**{title}**")),
                "{title} is not explained"
            );
            panels += 1;
        }
    }
    assert_eq!(panels, 12);
}

#[test]
fn labels_are_those_of_the_library() {
    let labels = BTreeSet::from([
        "callable",
        "retry_num",
        "error_type",
        "reason",
        "budget", // the library's
        "job",
        "le", // Prometheus' own
    ]);
    let lists = queries().join("\n") + ALERTS;
    let mut seen = BTreeSet::new();
    for list in lists.split(" by (").skip(1) {
        let list = list.split(')').next().unwrap();
        seen.extend(list.split(',').map(|label| label.trim().to_owned()));
    }
    assert!(
        seen.iter().all(|label| labels.contains(&**label)),
        "{seen:?}"
    );
    assert!(seen.len() >= 5, "{seen:?}");
}

/// The links of the panels lead to this dashboard, and set variables that it has.
#[test]
fn links_lead_somewhere() {
    let rows: Vec<_> = DASHBOARD.lines().map(str::trim).collect();
    let links: Vec<_> = rows
        .iter()
        .filter_map(|line| line.strip_prefix(r#""url": ""#))
        .collect();
    assert_eq!(links.len(), 4);
    assert!(rows.contains(&r#""uid": "stamina","#));
    for variable in ["datasource", "job", "callable"] {
        assert!(rows.contains(&&*format!(r#""name": "{variable}","#)));
    }
    for link in links {
        assert_eq!(
            link.trim_end_matches("\","),
            "/d/stamina?${datasource:queryparam}&${job:queryparam}&var-callable=${__field.labels.callable}\
             &${__url_time_range}"
        );
    }
}

/// Runs promtool, if it is installed.
fn promtool(arguments: &[&str]) {
    match Command::new("promtool").args(arguments).output() {
        Err(error) => println!("skipped: promtool can't be run ({error}); Debian: prometheus"),
        Ok(output) => assert!(
            output.status.success(),
            "promtool {arguments:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ),
    }
}

/// Runs promtool on a file of this text.
fn promtool_on(name: &str, arguments: &[&str], text: &str) {
    let file = std::env::temp_dir().join(format!("stamina-{name}-{}.yml", std::process::id()));
    std::fs::write(&file, text).unwrap();
    promtool(&[arguments, &[file.to_str().unwrap()]].concat());
    std::fs::remove_file(file).unwrap();
}

#[test]
fn promtool_accepts_the_queries_of_the_dashboard() {
    let queries = queries();
    assert_eq!(queries.len(), 13);
    let mut rules = "groups:\n- name: dashboard\n  rules:\n".to_owned();
    for (number, query) in queries.iter().enumerate() {
        let _ = write!(
            rules,
            "  - record: panel:query:{number}\n    expr: '{query}'\n"
        );
    }
    promtool_on("queries", &["check", "rules"], &rules);
}

/// Three queries divide. While nothing is retried they have no value, instead of 0/0.
#[test]
fn no_panel_divides_by_zero() {
    let divisions: Vec<_> = queries()
        .into_iter()
        .filter(|query| query.contains(" / ") || query.contains("histogram_quantile"))
        .collect();
    let [share, mean, percentile] = &divisions[..] else {
        panic!("{divisions:#?}");
    };
    let mut test = "tests:\n- interval: 1m\n  input_series:\n".to_owned();
    for (metric, labels, values) in [
        ("recovered_total", "", "0+6x10 60x20"),
        ("gave_up_total", r#", reason="timed_out""#, "0+2x10 20x20"),
        ("wait_seconds_sum", "", "0+12x10 120x20"),
        ("wait_seconds_count", "", "0+8x10 80x20"),
        ("wait_seconds_bucket", r#", le="1""#, "0+4x10 40x20"),
        ("wait_seconds_bucket", r#", le="3""#, "0+8x10 80x20"),
        ("wait_seconds_bucket", r#", le="+Inf""#, "0+8x10 80x20"),
    ] {
        let _ = write!(
            test,
            "  - series: 'stamina_{metric}{{job=\"shop\", callable=\"pay\"{labels}}}'\n    values: '{values}'\n"
        );
    }
    test += "  promql_expr_test:\n";
    for (query, labels, value) in [
        (share, "{}", "0.75"),
        (mean, r#"{callable="pay"}"#, "1.5"),
        (percentile, r#"{callable="pay"}"#, "2.8"),
    ] {
        let _ = write!(
            test,
            "  - expr: '{query}'\n    eval_time: 10m\n    exp_samples: [{{ labels: '{labels}', value: {value} }}]\n\
             \x20 - expr: '{query}'\n    eval_time: 25m\n    exp_samples: []\n"
        );
    }
    promtool_on("divisions", &["test", "rules"], &test);
}

#[test]
fn promtool_accepts_the_rules_and_their_tests() {
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/docs");
    promtool(&["check", "rules", &format!("{docs}/alerts.yml")]);
    promtool(&["test", "rules", &format!("{docs}/alerts_test.yml")]);
}
