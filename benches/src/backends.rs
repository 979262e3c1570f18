//! What a call through weir costs with more and more backends.

use crate::bench::Bench;
use crate::drive::Load;
use crate::error::BenchError;
use crate::message::Era;
use crate::report::{FIGURES, Goal, Section, Series, Table};

const CONNECTIONS: usize = 16;
/// Tools of each backend: few enough that one page holds those of all backends.
const TOOLS: usize = 10;
const COUNTS: [usize; 3] = [1, 10, 100];

/// Measures every era and number of backends; calls go to all backends in turn.
///
/// # Errors
/// When a program fails.
pub async fn measure(bench: &Bench) -> Result<Section, BenchError> {
    let mut section = Section { title: "tools/call by number of backends".to_owned(), ..Section::default() };
    if bench.weir.is_none() {
        section.text = "Left out: no weir.\n".to_owned();
        return Ok(section);
    }
    let mut table = Table::new(["era", "backends"].into_iter().chain(FIGURES));
    for era in &bench.eras {
        measure_era(bench, *era, &mut table, &mut section).await?;
    }
    section.text = table.render();
    Ok(section)
}

async fn measure_era(
    bench: &Bench,
    era: Era,
    table: &mut Table,
    section: &mut Section,
) -> Result<(), BenchError> {
    let echo = bench.start_echo(era, TOOLS).await?;
    let mut weirs = Vec::new();
    for count in COUNTS {
        weirs.extend(bench.start_weir(echo.port, era, count).await?);
    }
    let mut series = vec![Series::default(); COUNTS.len()];
    for round in 1..=bench.rounds {
        for ((weir, count), series) in weirs.iter().zip(COUNTS).zip(&mut series) {
            (bench.progress)(&format!("backends, {}, {count}, round {round}", era.name()));
            let drive = bench.drive(weir.target.clone(), era, Load::Call(weir.tools()), CONNECTIONS);
            series.push(bench.measure(&drive, Some(&weir.program)).await?);
        }
    }
    for (count, series) in COUNTS.iter().zip(&series) {
        table.row([era.name().to_owned(), count.to_string()].into_iter().chain(series.cells()));
        section.failed |= series.failure().is_some();
    }
    let cpu =
        |index: usize| series.get(index).and_then(Series::medians).map_or(f64::NAN, |medians| medians.cpu);
    for (index, count) in COUNTS.iter().enumerate().skip(1) {
        section.goals.push(Goal {
            figure: format!("CPU per call, {count} backends/1 backend, {}", era.name()),
            value: cpu(index) / cpu(0),
            limit: None,
        });
    }
    for program in weirs.into_iter().map(|weir| weir.program).chain([echo.program]) {
        program.stop().await?;
    }
    Ok(())
}
