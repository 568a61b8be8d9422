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
    static POLICY: Retry<io::Error> =
        Retry::on::<io::Error>().when_fn(|error| when::transient_io(error).into());
    retries(&POLICY, &ErrorKind::TimedOut.into(), true);
}
