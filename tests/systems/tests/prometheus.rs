//! A Prometheus server scrapes a service; its query API gives back every metric and label that is promised.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Instant;

use serde_json::Value;
use stamina_systems::process::Process;
use stamina_systems::prometheus::Prometheus;
use stamina_systems::{port, run, wait};

const ERROR: &str = "metered_service::Unavailable";

/// What `metered-service` does, counted by hand: series and value.
fn expected() -> BTreeMap<String, f64> {
    let mut series = BTreeMap::new();
    let mut put = |text: String, value: f64| assert!(series.insert(text, value).is_none());
    let retries = |callable: &str, number: &str| {
        format!(
            "stamina_retries_total{{callable={callable},error_type={ERROR},retry_num={number}}}"
        )
    };
    put(retries("fetch_page", "1"), 3.0);
    put(retries("fetch_page", "2"), 3.0);
    put(retries("charge_card", "1"), 1.0);
    put(retries("charge_card", "2"), 1.0);
    put(retries("metered_service::send_mail", "1"), 1.0);
    for number in 1..=20 {
        put(retries("poll_job", &number.to_string()), 1.0);
    }
    put(retries("poll_job", ">20"), 5.0);

    let gave_up = |callable: &str, reason: &str| {
        format!("stamina_gave_up_total{{callable={callable},error_type={ERROR},reason={reason}}}")
    };
    put(gave_up("charge_card", "attempts_exhausted"), 1.0);
    put(gave_up("slow_query", "timed_out"), 1.0);
    put(gave_up("call_payments", "budget_exhausted"), 1.0);

    for (callable, calls) in [
        ("fetch_page", 3.0),
        ("poll_job", 1.0),
        ("metered_service::send_mail", 1.0),
    ] {
        put(
            format!("stamina_recovered_total{{callable={callable}}}"),
            calls,
        );
    }

    let waits = [
        ("fetch_page", 6.0, 0.01),
        ("charge_card", 2.0, 0.01),
        ("poll_job", 25.0, 0.0),
        ("metered_service::send_mail", 1.0, 0.01),
    ];
    for (callable, count, each) in waits {
        put(
            format!("stamina_wait_seconds_count{{callable={callable}}}"),
            count,
        );
        put(
            format!("stamina_wait_seconds_sum{{callable={callable}}}"),
            count * each,
        );
        for (bucket, bound) in [
            ("0.005", 0.005),
            ("0.05", 0.05),
            ("0.5", 0.5),
            ("5", 5.0),
            ("+Inf", f64::INFINITY),
        ] {
            let inside = if each <= bound { count } else { 0.0 };
            put(
                format!("stamina_wait_seconds_bucket{{callable={callable},le={bucket}}}"),
                inside,
            );
        }
    }
    series
}

#[test]
fn the_query_api_returns_every_metric_with_its_labels() {
    let target = port::free();
    let Some(prometheus) = Prometheus::start(
        "prometheus::the_query_api_returns_every_metric_with_its_labels",
        target,
    ) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_metered-service"));
    let service = Process::start(
        command.arg("prometheus").arg(target.to_string()),
        &folder.path().join("log"),
    );

    run(async {
        let expected = expected();
        let start = Instant::now();
        let mut seen = BTreeMap::new();
        // The last call of the service is in the last series to come.
        while !same(&seen, &expected) {
            assert!(
                start.elapsed() < wait::PATIENCE,
                "{}\n{}",
                difference(&seen, &expected),
                service.log()
            );
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            seen = query(&prometheus).await;
        }

        let metadata = get(&prometheus.url("/api/v1/metadata")).await;
        for (metric, kind) in [
            ("stamina_retries_total", "counter"),
            ("stamina_gave_up_total", "counter"),
            ("stamina_recovered_total", "counter"),
            ("stamina_wait_seconds", "histogram"),
        ] {
            let entry = &metadata["data"][metric][0];
            assert_eq!(entry["type"], kind, "{metric}: {entry}");
            assert!(
                entry["help"].as_str().is_some_and(|help| help.len() > 10),
                "{metric} has a help text: {entry}"
            );
        }
    });
}

/// All series whose name begins with `stamina_`, with their labels but those that Prometheus itself adds.
async fn query(prometheus: &Prometheus) -> BTreeMap<String, f64> {
    // {__name__=~"stamina_.+"}
    let answer =
        get(&prometheus.url("/api/v1/query?query=%7B__name__%3D~%22stamina_.%2B%22%7D")).await;
    let mut series = BTreeMap::new();
    for sample in answer["data"]["result"].as_array().into_iter().flatten() {
        let labels = sample["metric"].as_object().expect("labels");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let name = text(&labels["__name__"]);
        let own: Vec<String> = labels
            .iter()
            .filter(|(label, _)| !["__name__", "job", "instance"].contains(&label.as_str()))
            .map(|(label, value)| format!("{label}={}", text(value)))
            .collect();
        let value = text(&sample["value"][1]).parse().expect("a number");
        series.insert(format!("{name}{{{}}}", own.join(",")), value);
    }
    series
}

async fn get(url: &str) -> Value {
    // While the server starts it answers 503 and the text is no JSON: then there is nothing to see yet.
    let Ok(response) = reqwest::get(url).await else {
        return Value::Null;
    };
    let Ok(text) = response.text().await else {
        return Value::Null;
    };
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

fn same(seen: &BTreeMap<String, f64>, expected: &BTreeMap<String, f64>) -> bool {
    seen.len() == expected.len()
        && expected.iter().all(|(series, value)| {
            seen.get(series)
                .is_some_and(|seen| (seen - value).abs() < 1e-6)
        })
}

fn difference(seen: &BTreeMap<String, f64>, expected: &BTreeMap<String, f64>) -> String {
    let mut lines = Vec::new();
    for (here, there, title) in [(expected, seen, "expected"), (seen, expected, "seen    ")] {
        for (series, value) in here {
            if there
                .get(series)
                .is_none_or(|other| (other - value).abs() >= 1e-6)
            {
                lines.push(format!("{title} {series} {value}"));
            }
        }
    }
    lines.join("\n")
}
