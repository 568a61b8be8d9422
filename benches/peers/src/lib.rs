//! What retrying costs. Every crate compared runs the same scenarios on the same operation, set to
//! the same semantics as far as it can; the notes at the head of each file in `rows` say where it
//! cannot. `docs/performance.md` is written by `cargo run --release -p stamina-peers --bin report`.

pub mod allocations;
pub mod case;
pub mod count;
pub mod gates;
pub mod operation;
pub mod rows;
pub mod settings;
pub mod sizes;
pub mod telemetry;

/// Installs the Prometheus recorder, for the rest of the process.
///
/// # Panics
/// The second time, and without the feature `peers`.
pub fn install_recorder() {
    #[cfg(feature = "peers")]
    metrics::set_global_recorder(
        metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder(),
    )
    .expect("no recorder is installed yet");
    #[cfg(not(feature = "peers"))]
    panic!("needs the feature `peers`");
}

/// Enters a tokio runtime whose clock stands still, for the rest of the thread.
///
/// # Panics
/// Without the feature `peers`.
pub fn enter_paused_runtime() -> tokio::runtime::EnterGuard<'static> {
    #[cfg(feature = "peers")]
    {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime with a timer alone can be built");
        Box::leak(Box::new(runtime)).enter()
    }
    #[cfg(not(feature = "peers"))]
    panic!("needs the feature `peers`");
}
