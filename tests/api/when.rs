//! Ready predicates, and putting predicates together.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stamina::{Decision, Retry, StopReason, when};

/// What everything below is caused by, or not.
#[derive(Debug, PartialEq)]
struct Lost;

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("connection lost")
    }
}

impl Error for Lost {}

/// An enum as libraries have them, with sources of every kind.
#[derive(Debug)]
enum Query {
    Lost(Lost),
    Boxed(Box<Lost>),
    Shared(Arc<Lost>),
    Io(io::Error),
    Dynamic(Box<dyn Error + Send + Sync>),
    Nested(Box<Query>),
    Syntax,
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("query failed")
    }
}

impl Error for Query {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Lost(source) => Some(source),
            Self::Boxed(source) => Some(source),
            Self::Shared(source) => Some(source),
            Self::Io(source) => Some(source),
            Self::Dynamic(source) => Some(&**source),
            Self::Nested(source) => Some(source),
            Self::Syntax => None,
        }
    }
}

impl Query {
    fn is_syntax(&self) -> bool {
        matches!(self, Self::Syntax)
    }
}

/// Whether a policy retries an error.
#[track_caller]
fn retries<E: fmt::Debug>(policy: &Retry<E>, error: &E, expected: bool) {
    let decided = policy.start().decide(error);
    if expected {
        assert!(decided.is_ok(), "{error:?}: {decided:?}");
    } else {
        assert_eq!(decided, Err(StopReason::NotRetryable), "{error:?}");
    }
}

#[test]
fn these_kinds_of_io_errors_are_transient() {
    for kind in [
        ErrorKind::ConnectionRefused,
        ErrorKind::ConnectionReset,
        ErrorKind::ConnectionAborted,
        ErrorKind::NotConnected,
        ErrorKind::BrokenPipe,
        ErrorKind::AddrInUse,
        ErrorKind::TimedOut,
        ErrorKind::Interrupted,
        ErrorKind::WouldBlock,
        ErrorKind::UnexpectedEof,
        ErrorKind::HostUnreachable,
        ErrorKind::NetworkUnreachable,
        ErrorKind::NetworkDown,
        ErrorKind::ResourceBusy,
    ] {
        assert!(when::transient_io(&kind.into()), "{kind}");
        assert!(
            when::transient_io(&io::Error::new(kind, "with a text")),
            "{kind}"
        );
    }
}

#[test]
fn these_kinds_of_io_errors_are_permanent() {
    for kind in [
        ErrorKind::NotFound,
        ErrorKind::PermissionDenied,
        ErrorKind::AlreadyExists,
        ErrorKind::InvalidInput,
        ErrorKind::InvalidData,
        ErrorKind::AddrNotAvailable,
        ErrorKind::WriteZero,
        ErrorKind::StorageFull,
        ErrorKind::Unsupported,
        ErrorKind::OutOfMemory,
        ErrorKind::Other,
    ] {
        assert!(!when::transient_io(&kind.into()), "{kind}");
    }
}

#[test]
fn a_real_refusal_is_transient() {
    let free =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let refused =
        std::net::TcpStream::connect(free.expect("a free port")).expect_err("nobody listens");
    retries(&Retry::on().when(when::transient_io), &refused, true);
    let missing = std::fs::File::open("/no/such/file").expect_err("no such file");
    retries(&Retry::on().when(when::transient_io), &missing, false);
}

#[test]
fn a_cause_is_found_in_boxes() {
    let policy = Retry::on::<Box<dyn Error>>().when(|error| when::caused_by::<Lost>(&**error));
    retries(&policy, &Lost.into(), true);
    retries(&policy, &Query::Lost(Lost).into(), true);
    retries(&policy, &"connection lost".into(), false);

    let policy =
        Retry::on::<Box<dyn Error>>().when(|error| when::caused_by::<Lost>(error.as_ref()));
    retries(&policy, &Lost.into(), true);

    let policy =
        Retry::on::<Box<dyn Error + Send + Sync>>().when(|error| when::caused_by::<Lost>(&**error));
    retries(&policy, &Lost.into(), true);
    retries(
        &policy,
        &Query::Nested(Box::new(Query::Lost(Lost))).into(),
        true,
    );
    retries(&policy, &Query::Syntax.into(), false);

    let policy = Retry::on::<Box<dyn Error + Send + Sync>>()
        .when(|error| when::caused_by::<Lost>(error.as_ref()));
    retries(&policy, &Lost.into(), true);

    let policy = Retry::on::<Arc<dyn Error>>().when(|error| when::caused_by::<Lost>(&**error));
    retries(&policy, &(Arc::new(Lost) as Arc<dyn Error>), true);
}

#[test]
fn a_cause_is_found_through_anyhow() {
    use anyhow::Context as _;
    let lost = || Err::<(), _>(Lost);
    let errors = [
        (anyhow::Error::new(Lost), true),
        (lost().context("reading").expect_err("fails"), true),
        (
            lost()
                .context("reading")
                .context("the page")
                .expect_err("fails"),
            true,
        ),
        (anyhow::Error::new(Query::Boxed(Box::new(Lost))), true),
        (anyhow::anyhow!("connection lost"), false),
        (anyhow::Error::new(Query::Syntax).context("reading"), false),
    ];
    let by_deref = Retry::on::<anyhow::Error>().when(|error| when::caused_by::<Lost>(&**error));
    let by_ref = Retry::on::<anyhow::Error>().when(|error| when::caused_by::<Lost>(error.as_ref()));
    for (error, expected) in &errors {
        retries(&by_deref, error, *expected);
        retries(&by_ref, error, *expected);
    }
}

#[test]
fn a_cause_is_found_in_every_kind_of_source() {
    let policy = Retry::on::<Query>().when(|error| when::caused_by::<Lost>(error));
    for error in [
        Query::Lost(Lost),
        Query::Boxed(Box::new(Lost)),
        Query::Shared(Arc::new(Lost)),
        Query::Io(io::Error::other(Lost)),
        Query::Io(io::Error::other(Query::Lost(Lost))),
        Query::Io(io::Error::other(io::Error::other(Lost))),
        Query::Dynamic(Lost.into()),
        Query::Dynamic(Box::new(Query::Io(io::Error::other(Lost)))),
        Query::Nested(Box::new(Query::Nested(Box::new(Query::Shared(Arc::new(
            Lost,
        )))))),
    ] {
        retries(&policy, &error, true);
    }
    for error in [
        Query::Syntax,
        Query::Io(ErrorKind::ConnectionReset.into()),
        Query::Io(io::Error::other("connection lost")),
        Query::Dynamic("connection lost".into()),
        Query::Nested(Box::new(Query::Syntax)),
    ] {
        retries(&policy, &error, false);
    }
}

/// An error with any other as its source.
#[derive(Debug)]
struct Outer<S>(S);

impl<S> fmt::Display for Outer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("outer")
    }
}

impl<S: Error + 'static> Error for Outer<S> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

type Dynamic = Box<dyn Error + Send + Sync>;

fn shared(error: impl Error + Send + Sync + 'static) -> Arc<dyn Error + Send + Sync> {
    Arc::new(error)
}

#[test]
fn a_cause_is_found_in_every_holder() {
    let local: Arc<dyn Error> = Arc::new(Lost);
    let send: Arc<dyn Error + Send> = Arc::new(Lost);
    let sync: Arc<dyn Error + Sync> = Arc::new(Lost);
    let anyhow_io = anyhow::Error::new(io::Error::other(Lost)).context("reading");
    let errors: [(&str, Box<dyn Error>); 17] = [
        ("arc of dyn Send + Sync", Outer(shared(Lost)).into()),
        ("arc of dyn", Outer(local).into()),
        ("arc of dyn Send", Outer(send).into()),
        ("arc of dyn Sync", Outer(sync).into()),
        ("arc of dyn, at the top", shared(Lost).into()),
        ("boxed arc of dyn", Outer(Box::new(shared(Lost))).into()),
        ("arc of arc of dyn", Outer(Arc::new(shared(Lost))).into()),
        ("arc of dyn of arc of dyn", shared(shared(Lost)).into()),
        ("boxed io", Outer(Box::new(io::Error::other(Lost))).into()),
        ("shared io", Outer(Arc::new(io::Error::other(Lost))).into()),
        ("io of box", io::Error::other(Dynamic::from(Lost)).into()),
        ("io of boxed T", io::Error::other(Box::new(Lost)).into()),
        ("io of arc of dyn", io::Error::other(shared(Lost)).into()),
        (
            "arc of dyn io",
            Outer(shared(io::Error::other(Lost))).into(),
        ),
        (
            "io of boxed io",
            io::Error::other(Box::new(io::Error::other(Lost))).into(),
        ),
        ("io of io in arc of dyn of io", {
            let inner = shared(io::Error::other(io::Error::other(Lost)));
            io::Error::other(Outer(inner)).into()
        }),
        ("anyhow of io, boxed", anyhow_io.into()),
    ];
    for (name, error) in &errors {
        assert!(when::caused_by::<Lost>(&**error), "{name}");
        // Not just any error.
        assert!(!when::caused_by::<fmt::Error>(&**error), "{name}");
    }
}

#[test]
fn an_io_error_is_found_in_every_holder() {
    let io = || io::Error::from(ErrorKind::TimedOut);
    let errors: [Box<dyn Error>; 5] = [
        Outer(Box::new(io())).into(),
        Outer(Arc::new(io())).into(),
        Outer(shared(io())).into(),
        shared(shared(io())).into(),
        Outer(io::Error::other(Outer(shared(io())))).into(),
    ];
    for error in &errors {
        assert!(when::caused_by::<io::Error>(&**error), "{error:?}");
        assert!(!when::caused_by::<Lost>(&**error), "{error:?}");
    }
    // What is asked for may be the holder.
    type Shared = Arc<dyn Error + Send + Sync>;
    assert!(when::caused_by::<Shared>(&Outer(shared(Lost))));
}

#[test]
fn what_anyhow_hides_is_hidden() {
    // The documented limit: in a `Box`, the error itself has a private type of anyhow's.
    let boxed: Dynamic = anyhow::Error::new(Outer(Lost)).into();
    assert!(!when::caused_by::<Outer<Lost>>(&*boxed));
    assert!(when::caused_by::<Lost>(&*boxed));
}

#[test]
fn a_circle_of_sources_ends() {
    #[derive(Debug)]
    struct Circle;

    impl fmt::Display for Circle {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("circle")
        }
    }

    impl Error for Circle {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(self)
        }
    }

    assert!(when::caused_by::<Circle>(&Circle));
    assert!(!when::caused_by::<Lost>(&Circle));
}

#[test]
fn a_long_chain_is_searched_to_the_documented_depth() {
    let nested = |depth| (0..depth).fold(Query::Lost(Lost), |error, _| Query::Nested(error.into()));
    // The error itself, and the cause at its end, are two of them.
    assert!(when::caused_by::<Lost>(&nested(126)));
    assert!(!when::caused_by::<Lost>(&nested(127)));
}

#[test]
fn an_error_is_its_own_cause() {
    assert!(when::caused_by::<Query>(&Query::Syntax));
    assert!(when::caused_by::<io::Error>(&io::Error::other(Lost)));
    assert!(!when::caused_by::<Query>(&Lost));
}

#[test]
fn any_of_answers_with_the_first_that_does_not_stop() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let ask = |name: &'static str, answer: Decision| {
        let asked = Arc::clone(&asked);
        move |(): &()| {
            asked.lock().expect("no panic").push(name);
            answer
        }
    };
    let (in_1, in_2) = (
        Decision::RetryExactly(Duration::from_secs(1)),
        Decision::RetryExactly(Duration::from_secs(2)),
    );
    for (first, second, expected, both_asked) in [
        (in_1, in_2, in_1, false),
        (Decision::Retry, in_2, Decision::Retry, false),
        (Decision::Stop, in_2, in_2, true),
        (in_1, Decision::Stop, in_1, false),
        (Decision::Stop, Decision::Stop, Decision::Stop, true),
        (
            Decision::Stop,
            Decision::RetryAfter(Duration::ZERO),
            Decision::RetryAfter(Duration::ZERO),
            true,
        ),
    ] {
        let both = when::any_of(ask("first", first), ask("second", second));
        assert_eq!(both(&()), expected);
        let asked = std::mem::take(&mut *asked.lock().expect("no panic"));
        assert_eq!(
            asked,
            if both_asked {
                vec!["first", "second"]
            } else {
                vec!["first"]
            }
        );
    }
}

#[test]
fn not_turns_a_decision_round() {
    let minute = Duration::from_secs(60);
    for decision in [
        Decision::Retry,
        Decision::RetryAfter(minute),
        Decision::RetryExactly(minute),
        Decision::RetryExactly(Duration::ZERO),
    ] {
        assert_eq!(when::not(|(): &()| decision)(&()), Decision::Stop);
        assert_eq!(
            when::not(when::not(|(): &()| decision))(&()),
            Decision::Retry
        );
    }
    assert_eq!(when::not(|(): &()| Decision::Stop)(&()), Decision::Retry);
    assert_eq!(when::not(|(): &()| true)(&()), Decision::Stop);
    assert_eq!(when::not(|(): &()| Duration::ZERO)(&()), Decision::Stop);
}

#[test]
fn predicates_that_answer_differently_go_together() {
    let policy = Retry::on::<u16>().when(when::any_of(
        |status| *status == 503,
        |status| {
            if *status == 429 {
                Decision::RetryExactly(Duration::from_secs(9))
            } else {
                Decision::Stop
            }
        },
    ));
    retries(&policy, &503, true);
    retries(&policy, &404, false);
    assert_eq!(policy.start().decide(&429), Ok(Duration::from_secs(9)));
}

#[test]
fn they_fit_when_in_every_shape() {
    // Ready ones, paths, closures; the first closure that needs the type names it.
    let _ = Retry::on::<io::Error>().when(when::any_of(when::transient_io, |error| {
        error.kind() == ErrorKind::NotFound
    }));
    let _ = Retry::on::<Query>().when(when::not(Query::is_syntax));
    let _ = Retry::on::<Query>().when(when::any_of(
        |error: &Query| error.is_syntax() && error.source().is_none(),
        |error| error.source().is_some(),
    ));
    let _ = Retry::on::<Query>().when(when::not(when::any_of(Query::is_syntax, |error| {
        when::caused_by::<Lost>(error)
    })));

    // A state that a closure owns.
    let codes = Vec::from([429, 503]);
    let policy = Retry::on::<u16>().when(when::any_of(
        move |code| codes.contains(code),
        |code| *code >= 520,
    ));
    retries(&policy, &503, true);
    retries(&policy, &521, true);
    retries(&policy, &504, false);

    // In a static.
    static POLICY: Retry<io::Error> = Retry::on::<io::Error>().when_fn(when::transient_io);
    retries(&POLICY, &ErrorKind::TimedOut.into(), true);
}
