//! The same service under another exporter, which pushes instead of being asked: nothing depends on Prometheus.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::process::Command;
use std::time::{Duration, Instant};

use stamina_systems::process::Process;
use stamina_systems::wait;

const ERROR: &str = "error_type:metered_service::Unavailable";

#[test]
fn another_exporter_sends_the_same_metrics() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket
        .set_read_timeout(Some(Duration::from_millis(200)))
        .expect("a timeout");
    let port = socket.local_addr().expect("its address").port();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_metered-service"));
    let service = Process::start(
        command.arg("dogstatsd").arg(port.to_string()),
        &folder.path().join("log"),
    );

    let expected: BTreeMap<String, u64> = [
        (
            format!("stamina_retries_total callable:fetch_page,{ERROR},retry_num:1"),
            3,
        ),
        (
            format!("stamina_retries_total callable:fetch_page,{ERROR},retry_num:2"),
            3,
        ),
        (
            format!("stamina_retries_total callable:poll_job,{ERROR},retry_num:>20"),
            5,
        ),
        (
            format!(
                "stamina_retries_total callable:metered_service::send_mail,{ERROR},retry_num:1"
            ),
            1,
        ),
        (
            format!("stamina_gave_up_total callable:charge_card,{ERROR},reason:attempts_exhausted"),
            1,
        ),
        (
            format!("stamina_gave_up_total callable:slow_query,{ERROR},reason:timed_out"),
            1,
        ),
        (
            format!("stamina_gave_up_total callable:call_payments,{ERROR},reason:budget_exhausted"),
            1,
        ),
        ("stamina_recovered_total callable:fetch_page".to_owned(), 3),
        ("stamina_recovered_total callable:poll_job".to_owned(), 1),
        // A histogram's values are counted, not added up.
        ("stamina_wait_seconds callable:fetch_page".to_owned(), 6),
        ("stamina_wait_seconds callable:poll_job".to_owned(), 25),
    ]
    .into();

    let start = Instant::now();
    let mut seen = BTreeMap::new();
    while !expected
        .iter()
        .all(|(series, value)| seen.get(series) == Some(value))
    {
        assert!(
            start.elapsed() < wait::PATIENCE,
            "expected {expected:#?}\nseen {seen:#?}\n{}",
            service.log()
        );
        let mut packet = vec![0; 65_536];
        let Ok(length) = socket.recv(&mut packet) else {
            continue;
        };
        for line in String::from_utf8_lossy(&packet[..length]).lines() {
            count(line, &mut seen);
        }
    }
}

/// `name:1:2|c|#label:value,label:value|T123`: a counter's values are increments, a histogram's observations.
fn count(line: &str, seen: &mut BTreeMap<String, u64>) {
    let mut parts = line.split('|');
    let (Some(head), Some(kind)) = (parts.next(), parts.next()) else {
        return;
    };
    let mut labels: Vec<&str> = parts
        .find_map(|part| part.strip_prefix('#'))
        .unwrap_or_default()
        .split(',')
        .collect();
    labels.sort_unstable();
    let Some((name, values)) = head.split_once(':') else {
        return;
    };
    let amount = if kind == "c" {
        values
            .split(':')
            .map(|value| value.parse::<u64>().expect("a whole number"))
            .sum()
    } else {
        values.split(':').count() as u64
    };
    *seen
        .entry(format!("{name} {}", labels.join(",")))
        .or_default() += amount;
}
