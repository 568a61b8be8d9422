//! The picture of the default schedule in docs/motivation.md, drawn from `Retry::schedule()`.
//!
//! `UPDATE_PICTURES=1 cargo test --test docs picture` draws it anew.

use stamina::Retry;

const LEFT: f64 = 64.0;
const TOP: f64 = 40.0;
const SECOND: f64 = 44.0;
const SLOT: f64 = 56.0;
const BAR: f64 = 30.0;

/// Mid-grey text and lines, so that the picture can be read on white and on black.
const STYLE: &str = "text{font:13px sans-serif;fill:#808080}\
    .grid{stroke:#808080;stroke-opacity:.3}\
    .limit{stroke:#c2410c;stroke-dasharray:5 4}\
    .band{fill:#3b82f6;fill-opacity:.55}\
    .edge{stroke:#2563eb;stroke-width:2}";

fn picture() -> String {
    let policy = Retry::on::<()>();
    let waits: Vec<(u32, f64, f64)> = (1..)
        .zip(policy.schedule())
        .map(|(retry, (shortest, longest))| (retry, shortest.as_secs_f64(), longest.as_secs_f64()))
        .collect();
    let left = |retry: u32| LEFT + (f64::from(retry) - 1.0) * SLOT;
    let cap = waits.last().map_or(0.0, |wait| wait.2);
    let height = TOP + cap * SECOND;
    let width = LEFT + SLOT * waits.last().map_or(0.0, |wait| f64::from(wait.0));
    let y = |seconds: f64| height - seconds * SECOND;

    let mut svg = String::new();
    let mut line = |text: String| {
        svg.push_str(&text);
        svg.push('\n');
    };
    line(format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" role="img">"#,
        width + 100.0,
        height + 52.0
    ));
    line("<title>Waits of the default policy</title>".into());
    line(format!("<style>{STYLE}</style>"));
    line(format!(r#"<text x="{LEFT}" y="18">wait, s</text>"#));
    for seconds in (0_u32..).take_while(|seconds| f64::from(*seconds) <= cap) {
        let y = y(f64::from(seconds));
        line(format!(
            r#"<line class="grid" x1="{LEFT}" y1="{y:.1}" x2="{width}" y2="{y:.1}"/>"#
        ));
        line(format!(
            r#"<text x="{}" y="{:.1}" text-anchor="end">{seconds}</text>"#,
            LEFT - 10.0,
            y + 4.5
        ));
    }
    for (retry, shortest, longest) in waits {
        let x = left(retry) + (SLOT - BAR) / 2.0;
        let (top, bottom) = (y(longest), y(shortest));
        line(format!(
            r#"<rect class="band" x="{x}" y="{top:.1}" width="{BAR}" height="{:.1}"><title>retry {retry}: {shortest:.1} to {longest:.1} s</title></rect>"#,
            bottom - top,
        ));
        for edge in [top, bottom] {
            line(format!(
                r#"<line class="edge" x1="{x}" y1="{edge:.1}" x2="{}" y2="{edge:.1}"/>"#,
                x + BAR
            ));
        }
        line(format!(
            r#"<text x="{}" y="{:.1}" text-anchor="middle">{retry}</text>"#,
            x + BAR / 2.0,
            height + 20.0
        ));
    }
    line(format!(
        r#"<line class="limit" x1="{LEFT}" y1="{:.1}" x2="{width}" y2="{:.1}"/>"#,
        y(cap),
        y(cap)
    ));
    line(format!(
        r#"<text x="{}" y="{:.1}">wait_max</text>"#,
        width + 8.0,
        y(cap) + 4.5
    ));
    line(format!(
        r#"<text x="{:.1}" y="{:.1}" text-anchor="middle">retry</text>"#,
        f64::midpoint(LEFT, width),
        height + 42.0
    ));
    line("</svg>".into());
    svg
}

#[test]
fn the_committed_picture_is_what_the_code_draws() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/images/schedule.svg");
    let drawn = picture();
    if std::env::var_os("UPDATE_PICTURES").is_some() {
        std::fs::write(path, &drawn).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == drawn,
        "docs/images/schedule.svg is not what the schedule is: \
         draw it anew with `UPDATE_PICTURES=1 cargo test --test picture`"
    );
}
