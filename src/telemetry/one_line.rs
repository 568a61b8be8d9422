//! An error in one line of limited length.

use std::fmt::{self, Debug, Write};

use super::contain;

/// The most bytes of an error that telemetry shows.
const LIMIT: usize = 1024;
/// Follows an error that is not shown whole; part of the limit.
const CUT: &str = "...";

fn is_line_break(byte: u8) -> bool {
    byte == b'\n' || byte == b'\r'
}

/// Shows the first line of an error, cut at [`LIMIT`] bytes. Formatting stops there, so an error of megabytes costs no
/// more than its first line.
///
/// An error whose `Debug` fails or panics is shown as far as it came.
pub(crate) struct OneLine<'a>(pub(crate) &'a dyn Debug);

impl Debug for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = FirstLine::default();
        // Not the caller's formatter, which may ask for the alternate form of many lines.
        let written = contain(|| write!(line, "{:?}", self.0));
        if line.cut || !matches!(written, Some(Ok(()))) {
            line.text
                .truncate(char_boundary(&line.text, LIMIT.saturating_sub(CUT.len())));
            line.text.push_str(CUT);
        }
        f.write_str(&line.text)
    }
}

/// Takes the first line of what is written, and fails as soon as there is more.
#[derive(Default)]
struct FirstLine {
    text: String,
    /// The first line is complete.
    complete: bool,
    /// Something else followed.
    cut: bool,
}

impl Write for FirstLine {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        let mut rest = piece;
        if !self.complete {
            let room = LIMIT.saturating_sub(self.text.len());
            let fitting = &piece[..char_boundary(piece, room)];
            let end = fitting.bytes().position(is_line_break);
            let end = end.unwrap_or(fitting.len());
            self.text.push_str(&piece[..end]);
            rest = &piece[end..];
            self.complete = !rest.is_empty();
        }
        // A line break at the very end leaves nothing out.
        self.cut |= !rest.bytes().all(is_line_break);
        if self.cut { Err(fmt::Error) } else { Ok(()) }
    }
}

/// The last boundary between characters at or before `index`.
fn char_boundary(text: &str, index: usize) -> usize {
    let mut candidates = (0..=index.min(text.len())).rev();
    candidates
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{CUT, LIMIT, OneLine};
    use std::cell::Cell;
    use std::fmt::{self, Debug, Formatter};

    /// Writes as a test says.
    struct Writes<F>(F);

    impl<F: Fn(&mut Formatter<'_>) -> fmt::Result> Debug for Writes<F> {
        fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
            (self.0)(f)
        }
    }

    fn shown(write: impl Fn(&mut Formatter<'_>) -> fmt::Result) -> String {
        format!("{:?}", OneLine(&Writes(write)))
    }

    #[track_caller]
    fn text(text: &str, expected: &str) {
        assert_eq!(shown(|f| f.write_str(text)), expected);
        // Written in pieces it is the same.
        let in_pieces = shown(|f| text.chars().try_for_each(|char| write!(f, "{char}")));
        assert_eq!(in_pieces, expected);
    }

    #[test]
    fn the_first_line() {
        text("", "");
        text("down", "down");
        text("down\n", "down");
        text("down\r\n\r\n", "down");
        text("down\nCaused by: rain", "down...");
        text("down\r\nCaused by: rain", "down...");
        text("down\rup", "down...");
        text("\nCaused by: rain", "...");
    }

    #[test]
    fn the_limit() {
        let x = |count| "x".repeat(count);
        text(&x(LIMIT), &x(LIMIT));
        text(&(x(LIMIT) + "\n"), &x(LIMIT));
        text(&x(LIMIT + 1), &(x(LIMIT - 3) + CUT));
        text(&x(12 << 10), &(x(LIMIT - 3) + CUT));
        // Characters of 2, 3 and 4 bytes are kept whole.
        for char in ["\u{e9}", "\u{20ac}", "\u{1f980}"] {
            for shift in 0..4 {
                let text = x(shift) + &char.repeat(LIMIT);
                let shown = shown(|f| f.write_str(&text));
                let whole = shown.strip_suffix(CUT).unwrap();
                assert!(text.starts_with(whole), "{shown}");
                assert!(shown.len() <= LIMIT && shown.len() > LIMIT - char.len());
            }
        }
    }

    #[test]
    fn formatting_is_never_alternate() {
        assert_eq!(format!("{:#?}", OneLine(&Some(1))), "Some(1)");
    }

    #[test]
    fn formatting_stops_when_there_is_enough() {
        let asked = Cell::new(0);
        let megabytes = |f: &mut Formatter<'_>| {
            (0..1 << 20).try_for_each(|_| {
                asked.set(asked.get() + 1);
                f.write_str("twelve bytes")
            })
        };
        assert_eq!(shown(megabytes).len(), LIMIT);
        // 85 pieces fit.
        assert_eq!(asked.get(), 86);
        asked.set(0);
        let lines = |f: &mut Formatter<'_>| {
            (0..1 << 20).try_for_each(|_| {
                asked.set(asked.get() + 1);
                f.write_str("a line\n")
            })
        };
        assert_eq!((shown(lines).as_str(), asked.get()), ("a line...", 2));
    }

    #[test]
    fn what_ignores_that_it_should_stop_is_cut_all_the_same() {
        let stubborn = |f: &mut Formatter<'_>| {
            for _ in 0..1000 {
                let _ = f.write_str("a line\nand more");
            }
            Ok(())
        };
        assert_eq!(shown(stubborn), "a line...");
    }

    #[test]
    fn a_debug_that_fails_or_panics_is_shown_as_far_as_it_came() {
        let fails = |f: &mut Formatter<'_>| f.write_str("half").and(Err(fmt::Error));
        assert_eq!(shown(fails), "half...");
        let panics = |f: &mut Formatter<'_>| {
            f.write_str("half")?;
            panic!("the other half")
        };
        assert_eq!(shown(panics), "half...");
        assert_eq!(shown(|_| Err(fmt::Error)), "...");
    }
}
