//! Instructions of every case, and the chart.

use std::collections::HashMap;

use plotters::coord::Shift;
use plotters::prelude::*;
use stamina_peers::case::{self, ALONE, PLAIN, SCENARIOS, STAMINA, Scenario, WHO, find};
use stamina_peers::count::Counter;

use crate::page::{Table, path, ratio};
use crate::programs::build;

type Counts = HashMap<(&'static str, &'static str), u64>;

pub fn section() -> Result<String, String> {
    let program = build("case", &[])?;
    let counter = Counter::new(&program)?;
    let mut counts = Counts::new();
    for scenario in SCENARIOS {
        for case in WHO.iter().filter_map(|who| find(scenario.id, who)) {
            counts.insert(
                (scenario.id, case.who),
                counter.count(scenario.id, case.who)?,
            );
        }
    }
    chart(&counts).map_err(|error| format!("the chart: {error}"))?;
    Ok([table(&counts, "sync"), table(&counts, "async")].join("\n"))
}

fn table(counts: &Counts, kind: &str) -> String {
    let scenarios = SCENARIOS
        .iter()
        .filter(|scenario| scenario.id.starts_with(kind));
    let who: Vec<&str> = WHO
        .into_iter()
        .filter(|who| {
            counts
                .keys()
                .any(|(id, name)| id.starts_with(kind) && name == who)
        })
        .collect();
    let mut table = Table::new([kind].iter().chain(&who));
    for scenario in scenarios {
        let plain = counts[&(scenario.id, PLAIN)] as f64;
        let title = scenario
            .title
            .strip_prefix(&format!("{kind}, "))
            .unwrap_or(scenario.title);
        let mut cells = vec![title.to_owned()];
        for who in &who {
            cells.push(match counts.get(&(scenario.id, who)) {
                Some(count) if *who == PLAIN || *who == ALONE => count.to_string(),
                Some(count) => format!("{count} ({})", ratio(*count as f64, plain)),
                None => "-".to_owned(),
            });
        }
        table.row(cells);
    }
    table.finish()
}

const CHARTED: [Scenario; 4] = [
    case::SYNC_SUCCESS_DEADLINE,
    case::SYNC_FAILURES_DEADLINE,
    case::ASYNC_SUCCESS_DEADLINE,
    case::ASYNC_FAILURES_DEADLINE,
];

fn chart(counts: &Counts) -> Result<(), Box<dyn std::error::Error>> {
    let path = path("docs/images/performance.svg");
    let root = SVGBackend::new(&path, (1000, 680)).into_drawing_area();
    root.fill(&WHITE)?;
    let root = root.titled(
        "Instructions of one call (less is better)",
        ("sans-serif", 22),
    )?;
    for (area, scenario) in root.split_evenly((2, 2)).iter().zip(CHARTED) {
        bars(area, scenario, counts)?;
    }
    root.present()?;
    Ok(())
}

fn bars(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    scenario: Scenario,
    counts: &Counts,
) -> Result<(), Box<dyn std::error::Error>> {
    let bars: Vec<(&str, i64)> = WHO
        .into_iter()
        .filter_map(|who| Some((who, *counts.get(&(scenario.id, who))? as i64)))
        .collect();
    let longest = bars.iter().map(|(_, count)| *count).max().unwrap_or(1);
    let rows = bars.len() as i64;
    let mut chart = ChartBuilder::on(area)
        .caption(scenario.title, ("sans-serif", 16))
        .margin(12)
        .set_label_area_size(LabelAreaPosition::Left, 110)
        .build_cartesian_2d(0..longest * 115 / 100, (0..rows).into_segmented())?;
    chart
        .configure_mesh()
        .disable_mesh()
        .disable_x_axis()
        .y_labels(bars.len())
        .y_label_formatter(&|row| match row {
            SegmentValue::CenterOf(row) => usize::try_from(rows - 1 - row)
                .ok()
                .and_then(|row| bars.get(row))
                .map_or("", |bar| bar.0)
                .to_owned(),
            _ => String::new(),
        })
        .draw()?;
    for (row, (who, count)) in bars.iter().enumerate() {
        let row = rows - 1 - row as i64;
        let color = match *who {
            STAMINA => RGBColor(0x1f, 0x6f, 0xb4),
            who if who.starts_with("by hand") => RGBColor(0x77, 0x77, 0x77),
            _ => RGBColor(0xbb, 0xbb, 0xbb),
        };
        chart.draw_series([Rectangle::new(
            [
                (0, SegmentValue::Exact(row)),
                (*count, SegmentValue::Exact(row + 1)),
            ],
            color.filled(),
        )])?;
        chart.draw_series([Text::new(
            format!(" {count}"),
            (*count, SegmentValue::CenterOf(row)),
            ("sans-serif", 12).into_font(),
        )])?;
    }
    Ok(())
}
