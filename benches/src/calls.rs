//! `tools/call` through no hop, nginx and weir.

use crate::bench::Bench;
use crate::drive::Load;
use crate::error::BenchError;
use crate::message::{Era, Target};
use crate::process::Program;
use crate::report::{FIGURES, Goal, Medians, Section, Series, Table};

const CONNECTIONS: [usize; 3] = [1, 16, 64];
/// How many tools each backend lists, and how many backends weir has.
const TOOLS: usize = 60;
const BACKENDS: usize = 3;
/// Processor time per call, weir's to nginx's.
const CPU_GOAL: f64 = 2.0;
/// Latency added at one connection, weir's to nginx's.
const LATENCY_GOAL: f64 = 1.5;

/// Measures every era, number of connections and variant, the variants in turn.
///
/// # Errors
/// When a program fails.
pub async fn measure(bench: &Bench) -> Result<Section, BenchError> {
    let mut section = Section { title: "tools/call".to_owned(), ..Section::default() };
    for era in &bench.eras {
        measure_era(bench, *era, &mut section).await?;
    }
    if bench.pins.hop != bench.pins.peers {
        section.text.push_str(
            "With one connection, waking sleeping processors dominates every hop's figures and draws the ratios towards 1; \
             `--placement together` shows the work alone.\n",
        );
    }
    Ok(section)
}

async fn measure_era(bench: &Bench, era: Era, section: &mut Section) -> Result<(), BenchError> {
    let echo = bench.start_echo(era, TOOLS).await?;
    let nginx = bench.start_nginx(echo.port, b"{}").await?;
    let weir = bench.start_weir(echo.port, era, BACKENDS).await?;
    let plain = || vec!["echo".to_owned()];
    let path = "/b0/mcp".to_owned();
    let mut variants: Vec<(&str, Target, Vec<String>, Option<&Program>)> = vec![
        ("direct", Target::new(echo.port, &*path), plain(), None),
        ("nginx", nginx.target(&path), plain(), Some(&nginx.program)),
    ];
    if let Some(weir) = &weir {
        variants.push(("weir", weir.target.clone(), weir.tools(), Some(&weir.program)));
    }
    let mut table = Table::new(["client → backend", "connections", "variant"].into_iter().chain(FIGURES));
    for connections in CONNECTIONS {
        let mut series = vec![Series::default(); variants.len()];
        for round in 1..=bench.rounds {
            for ((name, target, tools, hop), series) in variants.iter().zip(&mut series) {
                (bench.progress)(&format!("calls, {}, {connections}, {name}, round {round}", era.name()));
                let drive = bench.drive(target.clone(), era, Load::Call(tools.clone()), connections);
                series.push(bench.measure(&drive, *hop).await?);
            }
        }
        for ((name, ..), series) in variants.iter().zip(&series) {
            let path = format!("{0} → {0}", era.name());
            table.row([path, connections.to_string(), (*name).to_owned()].into_iter().chain(series.cells()));
            section.failed |= series.failure().is_some();
        }
        let medians: Vec<Option<Medians>> = series.iter().map(Series::medians).collect();
        section.goals.extend(goals(era, connections, &medians));
    }
    section.text.push_str(&table.render());
    section.text.push('\n');
    for program in
        [Some(nginx.program), weir.map(|weir| weir.program), Some(echo.program)].into_iter().flatten()
    {
        program.stop().await?;
    }
    Ok(())
}

/// What the medians of direct, nginx and weir, in this order, mean.
fn goals(era: Era, connections: usize, medians: &[Option<Medians>]) -> Vec<Goal> {
    let of = |index: usize, figure: fn(&Medians) -> f64| {
        medians.get(index).and_then(Option::as_ref).map_or(f64::NAN, figure)
    };
    let cpu = |index| of(index, |medians| medians.cpu);
    let p50 = |index| of(index, |medians| medians.p50);
    let era = era.name();
    let mut goals = vec![Goal {
        figure: format!("CPU per call, weir/nginx, {era}, connections: {connections}"),
        value: cpu(2) / cpu(1),
        limit: Some(CPU_GOAL),
    }];
    if connections == 1 {
        goals.push(Goal {
            figure: format!("added p50, (weir − direct)/(nginx − direct), {era}, connections: 1"),
            // Where nginx seems to take time away, the programs were moved between processors and it means nothing.
            value: if p50(1) > p50(0) { (p50(2) - p50(0)) / (p50(1) - p50(0)) } else { f64::NAN },
            limit: Some(LATENCY_GOAL),
        });
    }
    goals
}
