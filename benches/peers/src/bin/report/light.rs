//! What a crate brings along: other crates, build time, text in a release binary, and the compile
//! time of many call sites. Each is measured in a package made for it in the target directory.
//! Processor time is steadier than the wall clock where other programs run too; both are given.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::page::{Table, median, path, ratio};
use crate::programs::{output, target};

const ROUNDS: usize = 3;
const CALL_SITES: usize = 200;
const CALL_SITE_ROUNDS: usize = 7;

/// A crate, how it is depended on, and one call.
struct Subject {
    name: &'static str,
    dependencies: &'static str,
    prelude: &'static str,
    blocking: Option<&'static str>,
    asynchronous: Option<&'static str>,
}

const SUBJECTS: [Subject; 9] = [
    Subject {
        name: "stamina",
        dependencies: "stamina = { path = \"STAMINA\" }",
        prelude: "static POLICY: stamina::Retry<Failure> = stamina::Retry::on::<Failure>();",
        blocking: Some("POLICY.call(|| operation(N))"),
        asynchronous: Some("POLICY.call_async(|| async { future(N).await }).await"),
    },
    Subject {
        name: "stamina, no default features",
        dependencies: "stamina = { path = \"STAMINA\", default-features = false }",
        prelude: "static POLICY: stamina::Retry<Failure> = stamina::Retry::on::<Failure>();",
        blocking: Some("POLICY.call(|| operation(N))"),
        asynchronous: Some("POLICY.call_async(|| async { future(N).await }).await"),
    },
    Subject {
        name: "by hand, fastrand and futures-timer",
        dependencies: "fastrand = \"2\"\nfutures-timer = \"3\"",
        prelude: BY_HAND,
        blocking: Some("retry(|| operation(N))"),
        asynchronous: Some("retry_async(|| async { future(N).await }).await"),
    },
    Subject {
        name: "backon",
        dependencies: "backon = \"1.6\"",
        prelude: "static POLICY: backon::ExponentialBuilder = backon::ExponentialBuilder::new().with_jitter();",
        blocking: Some(
            "{ use backon::BlockingRetryable; (|| operation(N)).retry(&POLICY).call() }",
        ),
        asynchronous: Some(
            "{ use backon::Retryable; (|| async { future(N).await }).retry(&POLICY).await }",
        ),
    },
    Subject {
        name: "backoff",
        dependencies: "backoff = { version = \"0.4\", features = [\"tokio\"] }",
        prelude: "",
        blocking: Some(
            "backoff::retry(backoff::ExponentialBackoff::default(), || operation(N).map_err(backoff::Error::transient)).map_err(|error| match error { backoff::Error::Permanent(error) | backoff::Error::Transient { err: error, .. } => error })",
        ),
        asynchronous: Some(
            "backoff::future::retry(backoff::ExponentialBackoff::default(), || async { future(N).await.map_err(backoff::Error::transient) }).await",
        ),
    },
    Subject {
        name: "retry",
        dependencies: "retry = \"2.2\"",
        prelude: "",
        blocking: Some(
            "retry::retry(retry::delay::Exponential::from_millis_with_factor(100, 2.0).map(retry::delay::jitter).take(9), || operation(N)).map_err(|error| error.error)",
        ),
        asynchronous: None,
    },
    Subject {
        name: "tokio-retry2",
        dependencies: "tokio-retry2 = { version = \"0.9\", features = [\"jitter\"] }",
        prelude: "",
        blocking: None,
        asynchronous: Some(
            "tokio_retry2::Retry::spawn(tokio_retry2::strategy::ExponentialFactorBackoff::from_millis(100, 2.0).map(tokio_retry2::strategy::jitter).take(9), || async { future(N).await.map_err(tokio_retry2::RetryError::transient) }).await",
        ),
    },
    Subject {
        name: "relentless",
        dependencies: "relentless = { version = \"0.18\", features = [\"tokio-clock\"] }",
        prelude: "",
        blocking: Some(
            "{ use relentless::Wait; relentless::retry(|_| operation(N)).wait(relentless::wait::exponential(std::time::Duration::from_millis(100)).full_jitter()).stop(relentless::stop::attempts(10)).call().map_err(|error| error.into_last_error().unwrap()) }",
        ),
        asynchronous: Some(
            "{ use relentless::Wait; relentless::retry_async(|_| async { future(N).await }).wait(relentless::wait::exponential(std::time::Duration::from_millis(100)).full_jitter()).stop(relentless::stop::attempts(10)).clock(relentless::clock::TokioClock::new()).call().await.map_err(|error| error.into_last_error().unwrap()) }",
        ),
    },
    Subject {
        name: "mettle",
        dependencies: "mettle = \"0.5\"",
        prelude: "",
        blocking: Some(
            "mettle::blocking::retry(|| operation(N)).call().map_err(mettle::RetryError::into_error)",
        ),
        asynchronous: Some(
            "mettle::retry(|| async { future(N).await }).await.map_err(mettle::RetryError::into_error)",
        ),
    },
];

/// Ten attempts, an exponential wait with jitter, and no more.
const BY_HAND: &str = "
use std::time::Duration;
fn wait(number: u32) -> Duration {
    let wait = (100 << (number - 1)).min(4_000);
    Duration::from_millis(wait + fastrand::u64(0..=1_000))
}
fn retry<T, E>(mut operation: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    for number in 1..10 {
        if let Ok(value) = operation() {
            return Ok(value);
        }
        std::thread::sleep(wait(number));
    }
    operation()
}
async fn retry_async<T, E, F: Future<Output = Result<T, E>>>(mut operation: impl FnMut() -> F) -> Result<T, E> {
    for number in 1..10 {
        if let Ok(value) = operation().await {
            return Ok(value);
        }
        futures_timer::Delay::new(wait(number)).await;
    }
    operation().await
}
";

pub fn section() -> Result<String, String> {
    let bare = Package::new("bare", "", &program("", &[])?)?;
    bare.build(true)?;
    let bare_text = text(&bare.binary(true))?;

    let mut table = Table::new([
        "crate",
        "crates besides itself",
        "clean build: wall s",
        "CPU s",
        "text of one blocking call, KiB",
        "text of one async call, KiB",
    ]);
    for subject in &SUBJECTS {
        let package = Package::new(
            "light",
            subject.dependencies,
            &program(subject.prelude, &calls(subject, 1))?,
        )?;
        let (mut wall, mut cpu) = (f64::INFINITY, Vec::new());
        for _ in 0..ROUNDS {
            package.clean();
            let took = package.build(false)?;
            wall = wall.min(took.wall);
            cpu.push(took.cpu);
        }
        // A loop by hand is in no crate.
        let itself = usize::from(subject.prelude != BY_HAND);
        let others = package.crates()?.saturating_sub(itself);
        let mut cells = vec![
            subject.name.to_owned(),
            others.to_string(),
            format!("{wall:.1}"),
            format!("{:.1}", median(cpu)),
        ];
        for call in [blocking(subject, 1), asynchronous(subject, 1)] {
            cells.push(if call.is_empty() {
                "-".to_owned()
            } else {
                package.write(&program(subject.prelude, &call)?)?;
                package.build(true)?;
                let added = text(&package.binary(true))?.saturating_sub(bare_text);
                format!("{:.1}", added as f64 / 1024.0)
            });
        }
        table.row(cells);
    }
    let light = table.finish();

    let mut table = Table::new([
        &format!("{CALL_SITES} call sites, CPU s"),
        "blocking, debug",
        "async, debug",
        "blocking, release",
        "async, release",
    ]);
    let mut all = Vec::new();
    for subject in SUBJECTS
        .iter()
        .filter(|subject| ["backon", "stamina"].contains(&subject.name))
    {
        let package = Package::new("many", subject.dependencies, &program("", &[])?)?;
        let mut cells = vec![subject.name.to_owned()];
        for release in [false, true] {
            package.build(release)?;
            for calls in [
                blocking(subject, CALL_SITES),
                asynchronous(subject, CALL_SITES),
            ] {
                let program = program(subject.prelude, &calls)?;
                let mut seconds = Vec::new();
                for round in 0..CALL_SITE_ROUNDS {
                    // Another text each time, or nothing is compiled.
                    package.write(&format!("{program}// {round}\n"))?;
                    seconds.push(package.build(release)?.cpu);
                }
                let seconds = median(seconds);
                all.push(seconds);
                cells.push(format!("{seconds:.2}"));
            }
        }
        table.row(cells);
    }
    let (ours, backon) = all.split_at(all.len() / 2);
    let ratios = ours
        .iter()
        .zip(backon)
        .map(|(ours, backon)| ratio(*ours, *backon));
    table.row(["stamina / backon".to_owned()].into_iter().chain(ratios));
    Ok([light, table.finish()].join("\n"))
}

fn blocking(subject: &Subject, sites: usize) -> Vec<String> {
    let site = |call: &str| {
        (0..sites)
            .map(|n| {
                format!(
                    "fn blocking{n}() -> Result<u64, Failure> {{ {} }}\n//RUN blocking{n}()",
                    call.replace("(N)", &format!("({n})"))
                )
            })
            .collect()
    };
    subject.blocking.map(site).unwrap_or_default()
}

fn asynchronous(subject: &Subject, sites: usize) -> Vec<String> {
    let site = |call: &str| {
        (0..sites)
            .map(|n| {
                format!(
                    "async fn async{n}() -> Result<u64, Failure> {{ {} }}\n//RUN poll(async{n}())",
                    call.replace("(N)", &format!("({n})"))
                )
            })
            .collect()
    };
    subject.asynchronous.map(site).unwrap_or_default()
}

fn calls(subject: &Subject, sites: usize) -> Vec<String> {
    [blocking(subject, sites), asynchronous(subject, sites)].concat()
}

/// A program with these functions, each run from `main`.
fn program(prelude: &str, functions: &[String]) -> Result<String, String> {
    let runs: String = functions
        .iter()
        .filter_map(|function| function.split_once("//RUN "))
        .map(|(_, run)| format!("    std::hint::black_box({run}.is_ok());\n"))
        .collect();
    Ok(format!(
        "#![allow(dead_code)]
#[derive(Debug)]
struct Failure(u64);
{prelude}
#[inline(never)]
fn operation(n: u64) -> Result<u64, Failure> {{
    if std::hint::black_box(n) == u64::MAX {{ Err(Failure(n)) }} else {{ Ok(n) }}
}}
async fn future(n: u64) -> Result<u64, Failure> {{
    operation(n)
}}
#[inline(never)]
fn poll<T>(future: impl std::future::Future<Output = Result<T, Failure>>) -> Result<T, Failure> {{
    let mut future = std::pin::pin!(future);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut cx) {{
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => Err(Failure(0)),
    }}
}}
{}
fn main() {{
    std::hint::black_box(poll(future(1)).is_ok());
{runs}}}
",
        functions.join("\n")
    ))
}

struct Package {
    root: PathBuf,
}

impl Package {
    fn new(name: &str, dependencies: &str, program: &str) -> Result<Self, String> {
        let root = target().join("light").join(name);
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("src")).map_err(|error| error.to_string())?;
        let stamina = path("").canonicalize().map_err(|error| error.to_string())?;
        let dependencies = dependencies.replace("STAMINA", &stamina.display().to_string());
        let manifest = format!(
            "[package]\nname = \"light\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n{dependencies}\n\n[workspace]\n"
        );
        // The same versions as everywhere here.
        let package = Self { root };
        fs::copy(path("Cargo.lock"), package.root.join("Cargo.lock"))
            .map_err(|error| error.to_string())?;
        fs::write(package.root.join("Cargo.toml"), manifest).map_err(|error| error.to_string())?;
        package.write(program)?;
        // Resolves and downloads, so that a build is a build.
        output(package.cargo().arg("fetch"))?;
        Ok(package)
    }

    fn cargo(&self) -> Command {
        let mut command = Command::new(env!("CARGO"));
        command
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", self.root.join("target"));
        command
    }

    fn write(&self, program: &str) -> Result<(), String> {
        fs::write(self.root.join("src/main.rs"), program).map_err(|error| error.to_string())
    }

    fn clean(&self) {
        let _ = fs::remove_dir_all(self.root.join("target"));
    }

    fn build(&self, release: bool) -> Result<Took, String> {
        let mut command = self.cargo();
        command.arg("build");
        if release {
            command.arg("--release");
        }
        let (start, cpu) = (Instant::now(), children_seconds()?);
        output(&mut command)?;
        Ok(Took {
            wall: start.elapsed().as_secs_f64(),
            cpu: children_seconds()? - cpu,
        })
    }

    fn binary(&self, release: bool) -> PathBuf {
        self.root
            .join("target")
            .join(if release { "release" } else { "debug" })
            .join("light")
    }

    /// Crates that are built besides this package.
    fn crates(&self) -> Result<usize, String> {
        let tree = output(self.cargo().args([
            "tree",
            "--prefix=none",
            "--edges=normal,build",
            "--no-dedupe",
        ]))?;
        let mut lines: Vec<&str> = tree.lines().collect();
        lines.sort_unstable();
        lines.dedup();
        Ok(lines.len().saturating_sub(1))
    }
}

/// Seconds.
struct Took {
    wall: f64,
    cpu: f64,
}

/// User and system time of all child processes that have ended, and of theirs.
fn children_seconds() -> Result<f64, String> {
    let stat = fs::read_to_string("/proc/self/stat").map_err(|error| error.to_string())?;
    let after_name = stat
        .rsplit_once(')')
        .ok_or("/proc/self/stat is not understood")?
        .1;
    let ticks = after_name
        .split_whitespace()
        .skip(13)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok());
    Ok(ticks.sum::<u64>() as f64 / 100.0)
}

/// Bytes of the section `.text` of a 64-bit ELF file.
fn text(binary: &Path) -> Result<u64, String> {
    let bytes = fs::read(binary).map_err(|error| format!("{}: {error}", binary.display()))?;
    let number = |at: usize, length: usize| -> Option<u64> {
        let slice = bytes.get(at..at.checked_add(length)?)?;
        Some(
            slice
                .iter()
                .rev()
                .fold(0, |number, byte| number << 8 | u64::from(*byte)),
        )
    };
    let find = || {
        let (table, size) = (number(0x28, 8)? as usize, number(0x3A, 2)? as usize);
        let (count, names) = (number(0x3C, 2)? as usize, number(0x3E, 2)? as usize);
        let names = number(table + names * size + 0x18, 8)? as usize;
        (0..count)
            .map(|section| table + section * size)
            .find_map(|header| {
                let name = names + number(header, 4)? as usize;
                (bytes.get(name..name + 6)? == b".text\0").then(|| number(header + 0x20, 8))?
            })
    };
    find().ok_or_else(|| format!("{} has no .text", binary.display()))
}
