//! The charts, as SVG files.

use std::error::Error;
use std::fs;
use std::path::Path;

use plotters::chart::SeriesAnno;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use stamina::testing::fleet::Outcome;

use crate::herd;

type Fallible = Result<(), Box<dyn Error>>;

const SIZE: (u32, u32) = (860, 520);
const LOAD: RGBColor = RGBColor(200, 60, 40);
const GOODPUT: RGBColor = RGBColor(30, 130, 70);
/// Texts, axes and lines: legible on a white and on a black ground, as the charts have none of their own.
const LINE: RGBColor = RGBColor(125, 125, 125);
const SHADE: f64 = 0.25;

fn text(size: i32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&LINE)
}

/// Load and goodput over time.
pub(crate) struct Panel {
    title: &'static str,
    /// Attempts and successful calls of each second.
    seconds: Vec<(f64, f64)>,
    /// When the server, or the network, was down.
    down: Vec<(f64, f64)>,
    down_label: &'static str,
}

impl Panel {
    #[allow(clippy::cast_precision_loss, reason = "counts of a chart")]
    pub(crate) fn of(title: &'static str, outcome: &Outcome) -> Self {
        let seconds = outcome.seconds.iter();
        let cut_off = outcome.phases.iter().any(|phase| phase.cut_off);
        let phases = outcome.phases.iter();
        Self {
            title,
            seconds: seconds
                .map(|second| (second.attempts as f64, second.goodput as f64))
                .collect(),
            down: phases
                .filter(|phase| phase.cut_off || phase.failure >= 0.5)
                .map(|phase| {
                    (
                        phase.start.as_secs_f64(),
                        (phase.start + phase.length).as_secs_f64(),
                    )
                })
                .collect(),
            down_label: if cut_off {
                "the network holds all messages"
            } else {
                "attempts fail"
            },
        }
    }
}

/// Runs `draw` on an area without a ground, in a file whose directory is made.
fn file(
    path: &Path,
    draw: impl FnOnce(&DrawingArea<SVGBackend<'_>, Shift>) -> Fallible,
) -> Fallible {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)
            .map_err(|error| format!("{}: {error}", directory.display()))?;
    }
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        draw(&area)?;
        area.present()?;
    }
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// Load and goodput, one panel above the other on the same scales.
pub(crate) fn load(path: &Path, panels: &[Panel], mark: (&str, f64), end: f64) -> Fallible {
    let most = panels
        .iter()
        .flat_map(|panel| &panel.seconds)
        .fold(mark.1, |most, (load, goodput)| {
            most.max(*load).max(*goodput)
        });
    // Room for the legend above the curves.
    let top = most * 1.8;
    file(path, |area| {
        for (panel, area) in panels.iter().zip(area.split_evenly((panels.len(), 1))) {
            let mut chart = ChartBuilder::on(&area)
                .caption(panel.title, text(18))
                .margin(8)
                .margin_right(20)
                .x_label_area_size(34)
                .y_label_area_size(56)
                .build_cartesian_2d(0.0..end, 0.0..top)?;
            let down = panel.down.iter().map(|(from, to)| {
                Rectangle::new([(*from, 0.0), (*to, top)], LINE.mix(SHADE).filled())
            });
            chart
                .draw_series(down)?
                .label(panel.down_label)
                .legend(|(x, y)| {
                    Rectangle::new([(x, y - 5), (x + 18, y + 5)], LINE.mix(SHADE).filled())
                });
            chart
                .configure_mesh()
                .disable_x_mesh()
                .light_line_style(TRANSPARENT)
                .x_desc("seconds")
                .y_desc("per second")
                .x_label_formatter(&|x| format!("{x:.0}"))
                .y_label_formatter(&|y| format!("{y:.0}"))
                .label_style(text(13))
                .axis_style(LINE)
                .bold_line_style(LINE.mix(0.3))
                .draw()?;
            let points = |of: fn(&(f64, f64)) -> f64| {
                let seconds = panel.seconds.iter().map(of).enumerate();
                #[allow(clippy::cast_precision_loss, reason = "seconds of a chart")]
                seconds
                    .map(|(second, value)| (second as f64 + 0.5, value))
                    .filter(|(second, _)| *second <= end)
                    .collect::<Vec<_>>()
            };
            let dashes =
                DashedLineSeries::new([(0.0, mark.1), (end, mark.1)], 6, 4, LINE.stroke_width(1));
            chart.draw_series(dashes)?.label(mark.0).legend(|(x, y)| {
                EmptyElement::at((x, y))
                    + PathElement::new([(0, 0), (7, 0)], LINE.stroke_width(1))
                    + PathElement::new([(11, 0), (18, 0)], LINE.stroke_width(1))
            });
            let load = LineSeries::new(points(|(load, _)| *load), LOAD.stroke_width(2));
            legend(chart.draw_series(load)?.label("load (attempts)"), LOAD);
            let goodput = LineSeries::new(points(|(_, goodput)| *goodput), GOODPUT.stroke_width(2));
            legend(
                chart
                    .draw_series(goodput)?
                    .label("goodput (calls that succeed)"),
                GOODPUT,
            );
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperRight)
                .label_font(text(13))
                .draw()?;
        }
        Ok(())
    })
}

fn legend(series: &mut SeriesAnno<'_, SVGBackend<'_>>, color: RGBColor) {
    series.legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
}

/// How many requests come in each tenth of a second, one panel above the other, each on its own scale.
pub(crate) fn herd(path: &Path, panels: [(&str, &Vec<f64>); 2]) -> Fallible {
    let bars: Vec<(&str, Vec<u32>)> = panels
        .into_iter()
        .map(|(title, requests)| (title, herd::tenths(requests)))
        .collect();
    let tenths = bars
        .iter()
        .map(|(_, tenths)| tenths.len())
        .max()
        .unwrap_or(0);
    #[allow(clippy::cast_precision_loss, reason = "at most 450")]
    let end = (tenths.max(1) as f64) / 10.0;
    let most = bars
        .iter()
        .flat_map(|(_, tenths)| tenths)
        .max()
        .copied()
        .unwrap_or(1);
    file(path, |area| {
        for ((title, tenths), area) in bars.iter().zip(area.split_evenly((bars.len(), 1))) {
            let peak = tenths.iter().max().copied().unwrap_or(0);
            let mut chart = ChartBuilder::on(&area)
                .caption(title, text(18))
                .margin(8)
                .margin_right(20)
                .x_label_area_size(34)
                .y_label_area_size(56)
                .build_cartesian_2d(0.0..end, 0.0..f64::from(most) * 1.1)?;
            chart
                .configure_mesh()
                .disable_x_mesh()
                .light_line_style(TRANSPARENT)
                .x_desc("seconds after the failure")
                .y_desc("retries in 0.1 s")
                .x_label_formatter(&|x| format!("{x:.1}"))
                .y_label_formatter(&|y| format!("{y:.0}"))
                .label_style(text(13))
                .axis_style(LINE)
                .bold_line_style(LINE.mix(0.3))
                .draw()?;
            chart.draw_series(
                tenths
                    .iter()
                    .enumerate()
                    .filter(|(_, count)| **count > 0)
                    .map(|(tenth, count)| {
                        #[allow(clippy::cast_precision_loss, reason = "at most 450")]
                        let from = tenth as f64 / 10.0;
                        Rectangle::new(
                            [(from, 0.0), (from + 0.1, f64::from(*count))],
                            LOAD.filled(),
                        )
                    }),
            )?;
            let style = text(13).pos(Pos::new(HPos::Right, VPos::Top));
            chart.draw_series([Text::new(
                format!("most in 0.1 s: {peak}"),
                (end, f64::from(most) * 1.08),
                style,
            )])?;
        }
        Ok(())
    })
}

/// What a floor can and can't give a fleet of rare callers: the curve, and what was measured at each floor.
pub(crate) fn limits(path: &Path, curve: &[(f64, f64)], points: &[(u32, f64, f64)]) -> Fallible {
    file(path, |area| {
        let mut chart = ChartBuilder::on(area)
            .caption("10,000 clients that call every ten seconds", text(18))
            .margin(8)
            .margin_right(20)
            .x_label_area_size(40)
            .y_label_area_size(56)
            .build_cartesian_2d(1.0..1.55, 89.0..101.0)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .x_desc("attempts per call in a minute of total outage")
            .y_desc("success at 10 % failing, %")
            .x_label_formatter(&|x| format!("{x:.2}"))
            .y_label_formatter(&|y| format!("{y:.0}"))
            .label_style(text(13))
            .axis_style(LINE)
            .bold_line_style(LINE.mix(0.3))
            .draw()?;
        let line = LineSeries::new(curve.iter().copied(), LINE.stroke_width(2));
        legend(
            chart
                .draw_series(line)?
                .label("by the number of blind retries"),
            LINE,
        );
        let dots = points
            .iter()
            .map(|(_, outage, success)| Circle::new((*outage, *success), 5, LOAD.filled()));
        chart
            .draw_series(dots)?
            .label("measured, floor 0 to 3")
            .legend(|(x, y)| Circle::new((x + 9, y), 5, LOAD.filled()));
        chart.draw_series(points.iter().map(|(floor, outage, success)| {
            Text::new(
                format!("{floor}"),
                (*outage + 0.008, *success - 0.35),
                text(13),
            )
        }))?;
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .label_font(text(13))
            .draw()?;
        Ok(())
    })
}
