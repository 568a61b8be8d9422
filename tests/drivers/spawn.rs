//! Every driver, with every kind of error and argument, awaited inside of a spawned `async` block. There the compiler
//! forgets which lifetime stood where, and a bound that needs two of them to be equal fails: most of this only has to
//! compile.
//!
//! What the language forbids there, and the way round, is a section of `docs/cookbook_closures.md`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::error::Error;
use std::fmt::{Debug, Display};
use std::future::{Future, ready};
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use crate::support::{ms, secs};
use stamina::testing::VirtualClock;
use stamina::{Attempts, Retry, Timer};

static CLOCK: VirtualClock = VirtualClock::new();

const fn policy<E: Debug>() -> Retry<E> {
    Retry::on::<E>().attempts(2).timer(Timer::custom(&CLOCK))
}

type BoxError = Box<dyn Error + Send + Sync>;

#[allow(dead_code, reason = "only its type matters")]
#[derive(Clone, Debug)]
enum OwnError {
    Io(Arc<io::Error>),
    Text(Cow<'static, str>),
}

/// An error with a parameter.
#[allow(dead_code, reason = "only its type matters")]
#[derive(Debug)]
struct Wrapped<T>(T);

/// A client whose attempts need it for themselves.
struct Client {
    sent: u32,
}

impl Client {
    async fn send<E>(&mut self, path: &str, error: fn() -> E) -> Result<usize, E> {
        tokio::task::yield_now().await;
        self.sent += 1;
        if self.sent % 2 == 1 {
            Err(error())
        } else {
            Ok(path.len())
        }
    }

    /// The method that users write.
    async fn get<E: Debug + Send + 'static>(
        &mut self,
        policy: &Retry<E>,
        path: &str,
        error: fn() -> E,
    ) -> Result<usize, E> {
        let mut state = (self, path);
        let call = policy.call_async_with_boxed(&mut state, move |(client, path)| {
            Box::pin(client.send(path, error))
        });
        call.await
    }
}

/// An attempt that fails the first time and borrows its argument.
async fn send<E>(path: &str, attempt: &AtomicU32, error: fn() -> E) -> Result<usize, E> {
    tokio::task::yield_now().await;
    match attempt.fetch_add(1, Relaxed) % 2 {
        0 => Err(error()),
        _ => Ok(path.len()),
    }
}

/// Spawns a block that awaits the driver: `$attempt` makes the future of an attempt that fails the first time, and borrows
/// from the block.
macro_rules! spawn {
    (|$attempt:ident, $client:ident, $path:ident| $driver:expr) => {
        tokio::spawn(async move {
            let $path = String::from("/path");
            #[allow(unused_variables, unused_mut, reason = "each driver uses a part of it")]
            let (asked, mut $client) = (AtomicU32::new(0), Client { sent: 0 });
            #[allow(unused_variables, reason = "each driver uses a part of it")]
            let $attempt = || send(&$path, &asked, MAKE);
            $driver
        })
    };
}

/// Awaits every driver inside of a spawned block, for one type of error.
macro_rules! spawned {
    ($($name:ident: $error:ty = $make:expr;)+) => {$(
        #[tokio::test]
        async fn $name() {
            const MAKE: fn() -> $error = || $make;
            static POLICY: Retry<$error> = policy();
            static OUTCOMES: Retry<Result<usize, $error>> = policy();
            static CUT: Retry<$error> = policy().attempt_timeout(secs(1), MAKE).timer(Timer::coarse()).wait_initial(ms(1));
            static CUT_OUTCOMES: Retry<Result<usize, $error>> =
                policy().attempt_timeout(secs(1), || Err(MAKE())).timer(Timer::coarse()).wait_initial(ms(1));
            let tasks = [
                // Closures that make futures.
                spawn!(|attempt, client, path| POLICY.call_async(attempt).await),
                spawn!(|attempt, client, path| POLICY.call_async(|| async { attempt().await }).await),
                spawn!(|attempt, client, path| POLICY.call_async(async || attempt().await).await),
                spawn!(|attempt, client, path| POLICY.report_async(attempt).await.result),
                spawn!(|attempt, client, path| OUTCOMES.call_outcome_async(attempt).await),
                // Cut.
                spawn!(|attempt, client, path| CUT.call_async(attempt).await),
                spawn!(|attempt, client, path| CUT.report_async(attempt).await.result),
                spawn!(|attempt, client, path| CUT_OUTCOMES.call_outcome_async(attempt).await),
                spawn!(|attempt, client, path| {
                    let policy = CUT.clone();
                    policy.call_async(attempt).attempt_timeout(secs(2), MAKE).await
                }),
                // Lent state.
                spawn!(|attempt, client, path| {
                    let lent = async |client: &mut Client| client.send("/path", MAKE).await;
                    POLICY.call_async_with(&mut client, lent).await
                }),
                spawn!(|attempt, client, path| {
                    let lent = async |client: &mut Client| client.send("/path", MAKE).await;
                    OUTCOMES.call_outcome_async_with(&mut client, lent).await
                }),
                spawn!(|attempt, client, path| client.get(&POLICY, &path, MAKE).await),
                spawn!(|attempt, client, path| {
                    let mut lent = (&mut client, &*path);
                    let call = POLICY.call_async_with_boxed(&mut lent, |(client, path)| Box::pin(client.send(path, MAKE)));
                    call.await
                }),
                spawn!(|attempt, client, path| {
                    let mut lent = (&mut client, &*path);
                    let call = OUTCOMES.call_outcome_async_with_boxed(&mut lent, |(client, path)| Box::pin(client.send(path, MAKE)));
                    call.await
                }),
                // Closures of one argument.
                spawn!(|attempt, client, path| {
                    let wrapped = POLICY.wrap_async(|()| attempt());
                    wrapped(()).await
                }),
                // Code blocks.
                spawn!(|attempt, client, path| {
                    let mut attempts = CUT.start();
                    loop {
                        match attempts.attempt(attempt()).await {
                            Ok(length) => break Ok(attempts.succeed(length)),
                            Err(error) => match attempts.again_async(error).await {
                                Ok(()) => {}
                                Err(error) => break Err(error),
                            },
                        }
                    }
                }),
                spawn!(|attempt, client, path| {
                    let mut attempts: Attempts<'static, $error> = POLICY.clone().into_attempts();
                    loop {
                        match client.send(&path, MAKE).await {
                            Ok(length) => break Ok(attempts.succeed(length)),
                            Err(error) => match attempts.pause(&error) {
                                Ok(pause) => pause.await,
                                Err(_) => break Err(error),
                            },
                        }
                    }
                }),
                spawn!(|attempt, client, path| {
                    let mut attempts = OUTCOMES.resume(0, secs(1));
                    loop {
                        let outcome = attempts.attempt_outcome(client.send(&path, MAKE)).await;
                        if let ControlFlow::Break(outcome) = attempts.settle_async(outcome).await {
                            break outcome;
                        }
                    }
                }),
                // Blocking calls, as between two awaits.
                spawn!(|attempt, client, path| {
                    let mut made = 0;
                    tokio::task::yield_now().await;
                    let length = POLICY.call(|| {
                        made += 1;
                        if made == 1 { Err(MAKE()) } else { Ok(path.len()) }
                    });
                    tokio::task::yield_now().await;
                    length
                }),
            ];
            for (driver, task) in tasks.into_iter().enumerate() {
                assert_eq!(task.await.unwrap().unwrap(), 5, "driver {driver}");
            }
        }
    )+};
}

spawned! {
    unit: () = ();
    text: &'static str = "down";
    string: String = "down".into();
    cow: Cow<'static, str> = "down".into();
    io_error: io::Error = io::ErrorKind::TimedOut.into();
    boxed: BoxError = "down".into();
    shared: Arc<dyn Error + Send + Sync> = Arc::from(BoxError::from("down"));
    anyhow_error: anyhow::Error = anyhow::anyhow!("down");
    own: OwnError = if CLOCK.elapsed().is_zero() { OwnError::Text("down".into()) } else { OwnError::Io(Arc::new(io::ErrorKind::TimedOut.into())) };
    generic: Wrapped<Option<&'static str>> = Wrapped(Some("down"));
    pair: (u16, &'static [u8]) = (503, b"down");
}

trait Service: Send + Sync {
    fn name(&self) -> &str;
}

struct Named(&'static str);

impl Service for Named {
    fn name(&self) -> &str {
        self.0
    }
}

/// Awaits `wrap_async` inside of a spawned block, for one type of argument.
macro_rules! wrapped {
    ($($name:ident: $argument:ty = $make:expr => $length:expr;)+) => {$(
        #[tokio::test]
        async fn $name() {
            static POLICY: Retry<BoxError> = policy();
            let task = tokio::spawn(async move {
                let failed = AtomicBool::new(false);
                let length: fn($argument) -> usize = $length;
                let fetch = POLICY.wrap_async(|argument: $argument| {
                    let first = !failed.swap(true, Relaxed);
                    async move {
                        tokio::task::yield_now().await;
                        if first { Err(BoxError::from("down")) } else { Ok(length(argument)) }
                    }
                });
                let mut lengths = Vec::new();
                for _ in 0..2 {
                    lengths.push(fetch($make).await.unwrap());
                }
                lengths
            });
            assert_eq!(task.await.unwrap(), [4, 4]);
        }
    )+};
}

wrapped! {
    with_a_number: usize = 4 => |n| n;
    with_a_static_text: &'static str = "path" => str::len;
    with_a_string: String = "path".into() => |s| s.len();
    with_a_cow: Cow<'static, str> = "path".into() => |s| s.len();
    with_a_shared_trait_object: Arc<dyn Service> = Arc::new(Named("path")) => |s| s.name().len();
    with_a_shared_text: Arc<str> = "path".into() => |s| s.len();
    with_a_tuple: (Arc<dyn Service>, &'static str) = (Arc::new(Named("pa")), "th") => |(a, b)| a.name().len() + b.len();
    with_a_map: HashMap<Cow<'static, str>, &'static str> = HashMap::from([("path".into(), "")]) => |m| m.keys().next().unwrap().len();
    with_nothing: () = () => |()| 4;
    with_a_function: fn() -> &'static str = || "path" => |f| f().len();
}

/// An error that is not `Send` works where it is not held while waiting.
#[tokio::test]
async fn errors_that_are_not_send() {
    static POLICY: Retry<Box<dyn Error>> = policy();
    static OUTCOMES: Retry<Result<u32, Box<dyn Error>>> = policy();
    let task = tokio::spawn(async move {
        let mut failed = false;
        let attempt = || {
            failed = !failed;
            let failed = failed;
            async move { if failed { Err("down".into()) } else { Ok(7) } }
        };
        let one = POLICY.call_async(attempt).await.is_ok();
        let outcome = OUTCOMES
            .call_outcome_async(|| async { Ok(7) })
            .await
            .is_ok();
        let wrapped = POLICY.wrap_async(|n: u32| async move { Ok(n) })(7)
            .await
            .is_ok();
        one && outcome && wrapped
    });
    assert!(task.await.unwrap());
}

/// A function over any policy, operation and error.
async fn over_any<E, T, Fut>(policy: &Retry<E>, operation: impl Fn() -> Fut) -> Result<T, E>
where
    E: Debug,
    Fut: Future<Output = Result<T, E>>,
{
    policy.call_async(&operation).await?;
    policy.report_async(&operation).await.result?;
    let mut attempts = policy.start();
    loop {
        match attempts.attempt(operation()).await {
            Ok(value) => break Ok(attempts.succeed(value)),
            Err(error) => attempts.again_async(error).await?,
        }
    }
}

/// A struct over any error, with its policy and its calls in fields.
struct Worker<E: 'static> {
    policy: Retry<E>,
    attempts: Attempts<'static, E>,
}

impl<E: Debug + Display + Send + Sync + 'static> Worker<E> {
    async fn run(&mut self, error: fn() -> E) -> Result<u32, E> {
        let mut made = 0;
        let sum = self.policy.call_async(|| {
            made += 1;
            ready(if made == 1 { Err(error()) } else { Ok(made) })
        });
        let sum = sum.await?;
        self.attempts.again_async(error()).await?;
        Ok(self.attempts.succeed(sum))
    }
}

#[tokio::test]
async fn generic_functions_and_structs() {
    let task = tokio::spawn(async move {
        let text = String::from("path");
        let borrowed = over_any(&policy::<&str>(), || async { Ok(text.len()) }).await;
        let boxed = over_any(&policy::<BoxError>(), || async { Ok(text.len()) }).await;
        let policy = policy::<anyhow::Error>();
        let attempts = policy.clone().into_attempts();
        let worked = Worker { policy, attempts }
            .run(|| anyhow::anyhow!("down"))
            .await;
        (borrowed, boxed.unwrap(), worked.unwrap())
    });
    assert_eq!(task.await.unwrap(), (Ok(4), 4, 2));
}

/// Many tasks share what they call, behind an `Arc<dyn ..>` that makes boxed futures: `async_trait` by hand.
trait Store: Send + Sync {
    fn get<'a>(&'a self, key: &'a str) -> stamina::BoxFuture<'a, Result<usize, BoxError>>;
}

struct Retried<S> {
    inner: S,
    policy: Retry<BoxError>,
}

impl<S: Store> Store for Retried<S> {
    fn get<'a>(&'a self, key: &'a str) -> stamina::BoxFuture<'a, Result<usize, BoxError>> {
        Box::pin(self.policy.call_async(|| self.inner.get(key)))
    }
}

impl Store for AtomicU32 {
    fn get<'a>(&'a self, key: &'a str) -> stamina::BoxFuture<'a, Result<usize, BoxError>> {
        Box::pin(send(key, self, || "down".into()))
    }
}

#[tokio::test]
async fn a_decorator_of_a_trait_object() {
    let inner = AtomicU32::new(0);
    let store: Arc<dyn Store> = Arc::new(Retried {
        inner,
        policy: policy(),
    });
    let task = tokio::spawn(async move {
        let key = String::from("key");
        let first = store.get(&key).await.unwrap();
        first + store.get(&key).await.unwrap()
    });
    assert_eq!(task.await.unwrap(), 6);
}
