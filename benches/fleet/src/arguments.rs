//! The command line.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use stamina::testing::fleet::{Fleet, Server};
use stamina::{Budget, Retry, Settings};

use crate::Down;

/// Shows on a simulated fleet of clients what a retry policy does to a failing or overloaded server.
#[derive(Debug, Parser)]
#[command(name = "stamina-fleet", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// What does an outage make of the load? Without and with a budget; writes outage.svg.
    Outage(Outage),
    /// Does an overloaded server come back? Without and with a budget; writes overload.svg.
    Overload(Overload),
    /// Do clients that failed together come back together? Without and with jitter; writes waits.svg.
    Waits(Waits),
    /// What can a budget not give clients that call rarely? By floor; writes limits.svg.
    Limits(Limits),
    /// The tables of amplification, recovery, contention and waits at the cap, next to the reference.
    Tables(Tables),
}

/// The retry policy.
#[derive(Args, Debug)]
#[command(next_help_heading = "Policy")]
pub(crate) struct PolicyArguments {
    /// Most attempts, the first included; 0 for no limit
    #[arg(long, default_value_t = 3)]
    attempts: u32,
    /// Deadline of the whole call; 0s for none
    #[arg(long, default_value = "45s", value_parser = duration)]
    timeout: Duration,
    /// First wait
    #[arg(long, default_value = "100ms", value_parser = duration)]
    wait_initial: Duration,
    /// Longest wait
    #[arg(long, default_value = "5s", value_parser = duration)]
    wait_max: Duration,
    /// Width of the random part on top of each wait [default: the whole wait is random]
    #[arg(long, value_parser = duration)]
    wait_jitter: Option<Duration>,
    /// Growth of the wait
    #[arg(long, default_value_t = 2.0, value_parser = growth)]
    wait_exp_base: f64,
    /// What a success adds to a client's budget
    #[arg(long, default_value_t = 0.2, value_parser = ratio)]
    ratio: f64,
    /// Time constant in which a surplus is forgotten
    #[arg(long, default_value = "10s", value_parser = decay)]
    decay: Duration,
    /// A failure that took this long is only retried from the surplus; 0s for off
    #[arg(long, default_value = "0s", value_parser = duration)]
    earned_after: Duration,
    /// Retries that a client has to begin with
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    floor: u32,
}

impl PolicyArguments {
    /// The policy, without its budget.
    pub(crate) fn policy(&self) -> Retry<Down> {
        Retry::on::<Down>().with_settings(Settings {
            attempts: (self.attempts > 0).then_some(self.attempts),
            timeout: (!self.timeout.is_zero()).then_some(self.timeout),
            wait_initial: self.wait_initial,
            attempt_timeout: None,
            wait_max: Some(self.wait_max),
            wait_jitter: Some(self.wait_jitter.unwrap_or_default()),
            wait_exp_base: self.wait_exp_base,
            full_jitter: self.wait_jitter.is_none(),
        })
    }

    pub(crate) fn budget(&self) -> Budget {
        let budget = Budget::new()
            .ratio(self.ratio)
            .decay(self.decay)
            .floor(self.floor);
        if self.earned_after.is_zero() {
            return budget;
        }
        budget.earned_after(self.earned_after)
    }

    pub(crate) fn describe_budget(&self) -> String {
        let earned = if self.earned_after.is_zero() {
            String::new()
        } else {
            format!(", earned after {:?}", self.earned_after)
        };
        format!(
            "ratio {}, decay {:?}, floor {}{earned}",
            self.ratio, self.decay, self.floor
        )
    }
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Fleet")]
pub(crate) struct FleetArguments {
    /// Clients, each with a budget of its own
    #[arg(long, default_value = "1000", value_parser = clap::value_parser!(u32).range(1..))]
    clients: u32,
    /// Calls a second of the whole fleet
    #[arg(long, default_value = "1000", value_parser = rate)]
    pub(crate) rate: f64,
    /// Mean time of a message, each way
    #[arg(long, default_value = "10ms", value_parser = duration)]
    latency: Duration,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl FleetArguments {
    pub(crate) fn apply(&self, fleet: Fleet<Down>) -> Fleet<Down> {
        fleet
            .clients(self.clients)
            .rate(self.rate)
            .latency(self.latency)
            .seed(self.seed)
    }
}

impl fmt::Display for FleetArguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "fleet: {} clients, {} calls/s, {:?} each way",
            self.clients, self.rate, self.latency
        )
    }
}

#[derive(Args, Debug)]
pub(crate) struct Outage {
    #[command(flatten)]
    pub(crate) fleet: FleetArguments,
    #[command(flatten)]
    pub(crate) policy: PolicyArguments,
    /// Time before the outage; 0s for none
    #[arg(long, default_value = "60s", value_parser = phase)]
    pub(crate) before: Duration,
    /// How long the outage lasts
    #[arg(long = "outage", default_value = "60s", value_name = "OUTAGE", value_parser = some_phase)]
    pub(crate) length: Duration,
    /// Time after the outage; 0s for none
    #[arg(long, default_value = "60s", value_parser = phase)]
    pub(crate) after: Duration,
    /// Probability with which an attempt fails in the outage
    #[arg(long, default_value_t = 1.0, value_parser = probability)]
    pub(crate) failure: f64,
    /// Probability with which an attempt fails before and after it
    #[arg(long, default_value_t = 0.01, value_parser = probability)]
    pub(crate) hiccups: f64,
    /// Directory for the chart
    #[arg(long, default_value = "fleet-charts")]
    pub(crate) out: PathBuf,
}

#[derive(Args, Debug)]
#[command(mut_arg("clients", |clients| clients.default_value("100")))]
#[command(mut_arg("rate", |rate| rate.default_value("280")))]
pub(crate) struct Overload {
    #[command(flatten)]
    pub(crate) fleet: FleetArguments,
    #[command(flatten)]
    pub(crate) policy: PolicyArguments,
    /// Requests that the server works on at the same time
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    workers: u32,
    /// How long a worker takes for a request
    #[arg(long, default_value = "100ms", value_parser = some_time)]
    service_time: Duration,
    /// How many requests may wait; the server rejects more at once [default: no limit]
    #[arg(long)]
    queue: Option<u32>,
    /// How long a client waits for a reply
    #[arg(long, default_value = "1s", value_parser = some_time)]
    client_timeout: Duration,
    /// Time before the network fails; 0s for none
    #[arg(long, default_value = "60s", value_parser = phase)]
    pub(crate) before: Duration,
    /// How long the network holds all messages; 0s for not at all
    #[arg(long, default_value = "10s", value_parser = phase)]
    pub(crate) cut_off: Duration,
    /// Time afterwards
    #[arg(long, default_value = "330s", value_parser = some_phase)]
    pub(crate) after: Duration,
    /// Directory for the chart
    #[arg(long, default_value = "fleet-charts")]
    pub(crate) out: PathBuf,
}

impl Overload {
    pub(crate) fn server(&self) -> Server {
        let server = Server::new()
            .workers(self.workers)
            .service_time(self.service_time)
            .client_timeout(self.client_timeout);
        match self.queue {
            Some(limit) => server.queue(limit),
            None => server,
        }
    }

    /// Requests that the server can serve in a second.
    pub(crate) fn capacity(&self) -> f64 {
        f64::from(self.workers) / self.service_time.as_secs_f64()
    }
}

#[derive(Args, Debug)]
#[command(mut_arg("attempts", |attempts| attempts.default_value("10")))]
#[command(mut_arg("wait_jitter", |jitter| jitter.default_value("1s").help("Width of the random part on top of each wait")))]
pub(crate) struct Waits {
    /// Clients that fail at the same time
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) clients: u32,
    /// Seed of the jitter
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) policy: PolicyArguments,
    /// Directory for the chart
    #[arg(long, default_value = "fleet-charts")]
    pub(crate) out: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct Limits {
    /// Directory for the chart
    #[arg(long, default_value = "fleet-charts")]
    pub(crate) out: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct Tables {
    /// Only these tables: a (outage), b (recovery), c (contention), d (waits at the cap), e (settings of the budget), f (a budget in fleets of all sizes)
    #[arg(value_parser = ["a", "b", "c", "d", "e", "f"], ignore_case = true)]
    pub(crate) only: Vec<String>,
    /// Clients in tables A, B (up to 1,000), E and F
    #[arg(long, value_delimiter = ',', default_value = "1,10,100,1000,10000", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) clients: Vec<u32>,
    /// Runs of table B with different seeds; table C makes about three times as many, table E an eighth, most rows of table F a sixth
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) seeds: u64,
    /// Only the rows of table F whose title contains this text: recovery, blip, ..
    #[arg(long, default_value = "")]
    pub(crate) rows: String,
}

impl fmt::Display for PolicyArguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = self.policy().settings();
        match settings.attempts {
            Some(attempts) => write!(f, "policy: {attempts} attempts")?,
            None => write!(f, "policy: any number of attempts")?,
        }
        match settings.timeout {
            Some(timeout) => write!(f, ", timeout {timeout:?}")?,
            None => write!(f, ", no timeout")?,
        }
        let (from, to) = (settings.wait_initial, self.wait_max);
        write!(
            f,
            ", waits from {from:?} times {} to {to:?}",
            settings.wait_exp_base
        )?;
        match self.wait_jitter {
            Some(jitter) => write!(f, ", jitter {jitter:?}"),
            None => write!(f, ", full jitter"),
        }
    }
}

/// `1.5s`, `100ms`, `2m`; a number alone is in seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let split = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let scale = match unit {
        "ns" => 1e-9,
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" | "" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => {
            return Err(format!(
                "`{unit}` is no unit of time; write 100ms, 1.5s, 2m or 1h"
            ));
        }
    };
    let number: f64 = number
        .trim()
        .parse()
        .map_err(|_| "write a number and a unit: 100ms, 1.5s, 2m or 1h".to_owned())?;
    Duration::try_from_secs_f64(number * scale).map_err(|error| error.to_string())
}

fn some_time(text: &str) -> Result<Duration, String> {
    duration(text).and_then(|time| {
        if time.is_zero() {
            return Err("must be longer than 0".to_owned());
        }
        Ok(time)
    })
}

fn decay(text: &str) -> Result<Duration, String> {
    duration(text).and_then(|time| {
        if time < Duration::from_millis(1) || time > Duration::from_secs(86_400) {
            return Err("must be at least 1ms and at most a day".to_owned());
        }
        Ok(time)
    })
}

fn phase(text: &str) -> Result<Duration, String> {
    duration(text).and_then(|time| {
        if time > Duration::from_secs(365 * 24 * 3600) {
            return Err("must be at most a year".to_owned());
        }
        Ok(time)
    })
}

fn some_phase(text: &str) -> Result<Duration, String> {
    some_time(text).and_then(|_| phase(text))
}

fn number(text: &str, range: &str, fits: impl Fn(f64) -> bool) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if fits(number) => Ok(number),
        Ok(_) => Err(format!("must be {range}")),
        Err(_) => Err(format!("is no number; it must be {range}")),
    }
}

fn probability(text: &str) -> Result<f64, String> {
    number(text, "at least 0 and at most 1", |number| {
        (0.0..=1.0).contains(&number)
    })
}

fn ratio(text: &str) -> Result<f64, String> {
    number(text, "at least 0.001 and at most 1", |number| {
        (0.001..=1.0).contains(&number)
    })
}

fn growth(text: &str) -> Result<f64, String> {
    number(text, "finite and at least 1", |number| {
        number >= 1.0 && number.is_finite()
    })
}

fn rate(text: &str) -> Result<f64, String> {
    number(text, "greater than 0 and at most 1e9", |number| {
        number > 0.0 && number <= 1e9
    })
}

#[cfg(test)]
mod tests {
    use super::{Arguments, duration};
    use clap::CommandFactory;
    use std::time::Duration;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("100ms"), Ok(Duration::from_millis(100)));
        assert_eq!(duration("1.5 s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("2"), Ok(Duration::from_secs(2)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["", "s", "-1s", "NaN", "1e300s", "3 weeks", "1,5s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
