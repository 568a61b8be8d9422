use stamina::{Decision, Report, StopReason};

fn decided(decision: Decision) -> u8 {
    match decision {
        Decision::Retry => 1,
        Decision::RetryAfter(_) => 2,
        Decision::RetryExactly(_) => 3,
        Decision::Stop => 4,
    }
}

fn stopped(report: Report<u8, String>) -> Option<StopReason> {
    let Report { result: _, attempts: _, waited: _, elapsed: _, stop_reason } = report;
    stop_reason
}

fn main() {
    let _ = (decided, stopped);
}
