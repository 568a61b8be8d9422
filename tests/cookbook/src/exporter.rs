//! Metrics through `metrics-exporter-prometheus`.

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};

pub fn install() -> Result<(), BuildError> {
    exporter()?.install()?; // serves port 9000
    stamina::instrument::describe_metrics();
    Ok(())
}

fn exporter() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new().set_buckets_for_metric(
        Matcher::Full("stamina_wait_seconds".into()),
        &[0.1, 0.25, 0.5, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0, 60.0],
    )
}

#[cfg(test)]
mod tests {
    use super::exporter;
    use stamina::Retry;
    use stamina::testing::VirtualClock;

    #[test]
    fn waits_fall_into_these_buckets() {
        static CLOCK: VirtualClock = VirtualClock::new();
        let recorder = exporter().unwrap().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            stamina::instrument::describe_metrics();
            let _ = Retry::on::<&str>()
                .named("load_user")
                .attempts(3)
                .timer(stamina::Timer::custom(&CLOCK))
                .call(|| Err::<(), _>("down"));
        });
        let text = recorder.handle().render();
        for line in [
            "# HELP stamina_wait_seconds Time waited before a retry.",
            "# TYPE stamina_wait_seconds histogram",
            r#"stamina_wait_seconds_bucket{callable="load_user",le="1.5"} 2"#,
            r#"stamina_wait_seconds_count{callable="load_user"} 2"#,
        ] {
            assert!(text.contains(line), "{line} is not in:\n{text}");
        }
    }
}
