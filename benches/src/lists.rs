//! `tools/list` through weir, and the same bytes from a file through nginx.

use crate::bench::Bench;
use crate::drive::Load;
use crate::error::BenchError;
use crate::message::{Era, Target};
use crate::process::Program;
use crate::report::{FIGURES, Goal, Section, Series, Table};
use crate::weir;
use memchr::memmem;

const CONNECTIONS: usize = 16;
/// How many tools are listed, and the goal for the processor time per list, weir's to nginx's.
const LISTS: [(usize, Option<f64>); 2] = [(60, None), (1000, Some(1.5))];

/// Measures every era and length.
///
/// # Errors
/// When a program fails.
pub async fn measure(bench: &Bench) -> Result<Section, BenchError> {
    let mut section = Section { title: "tools/list".to_owned(), ..Section::default() };
    let mut table = Table::new(["era", "tools", "bytes", "variant"].into_iter().chain(FIGURES));
    for era in &bench.eras {
        for (tools, limit) in LISTS {
            measure_list(bench, *era, tools, limit, &mut table, &mut section).await?;
        }
    }
    section.text = table.render();
    section.text.push_str(
        "\n`nginx file` answers `GET` with the bytes that weir answers (the echo server's, without a weir).\n",
    );
    Ok(section)
}

async fn measure_list(
    bench: &Bench,
    era: Era,
    tools: usize,
    limit: Option<f64>,
    table: &mut Table,
    section: &mut Section,
) -> Result<(), BenchError> {
    let echo = bench.start_echo(era, tools).await?;
    let weir = bench.start_weir(echo.port, era, 1).await?;
    let direct = Target::new(echo.port, "/b0/mcp");
    let bytes = weir::list(weir.as_ref().map_or(&direct, |weir| &weir.target), era).await?;
    if !is_whole(&bytes, tools) {
        return Err(BenchError::Failed(format!("a list of {tools} tools is not whole, or not on one page")));
    }
    let nginx = bench.start_nginx(echo.port, &bytes).await?;
    let mut variants: Vec<(&str, Target, Load, Option<&Program>)> = vec![
        ("direct", direct, Load::List, None),
        ("nginx file", nginx.target("/files/list.json"), Load::Get, Some(&nginx.program)),
    ];
    if let Some(weir) = &weir {
        variants.push(("weir", weir.target.clone(), Load::List, Some(&weir.program)));
    }
    let mut series = vec![Series::default(); variants.len()];
    for round in 1..=bench.rounds {
        for ((name, target, load, hop), series) in variants.iter().zip(&mut series) {
            (bench.progress)(&format!("lists, {}, {tools} tools, {name}, round {round}", era.name()));
            let drive = bench.drive(target.clone(), era, load.clone(), CONNECTIONS);
            series.push(bench.measure(&drive, *hop).await?);
        }
    }
    for ((name, ..), series) in variants.iter().zip(&series) {
        let about = [era.name().to_owned(), tools.to_string(), bytes.len().to_string(), (*name).to_owned()];
        table.row(about.into_iter().chain(series.cells()));
        section.failed |= series.failure().is_some();
    }
    let cpu =
        |index: usize| series.get(index).and_then(Series::medians).map_or(f64::NAN, |medians| medians.cpu);
    section.goals.push(Goal {
        figure: format!("CPU per list of {tools} tools, weir/nginx file, {}", era.name()),
        value: cpu(2) / cpu(1),
        limit,
    });
    for program in
        [Some(nginx.program), weir.map(|weir| weir.program), Some(echo.program)].into_iter().flatten()
    {
        program.stop().await?;
    }
    Ok(())
}

/// Whether a list holds the echo server's last tool and is not followed by another page.
fn is_whole(list: &[u8], tools: usize) -> bool {
    let last = format!("search_records_{:04}\"", tools.saturating_sub(1));
    memmem::find(list, last.as_bytes()).is_some() && memmem::find(list, b"\"nextCursor\"").is_none()
}
