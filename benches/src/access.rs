//! What it costs that callers log in and that policies decide: calls and lists under both, next to a weir that asks nobody.

use crate::bench::Bench;
use crate::drive::Load;
use crate::error::BenchError;
use crate::message::{Era, Target};
use crate::process::Program;
use crate::report::{FIGURES, Goal, Medians, Section, Series, Table};
use crate::token::Signer;
use crate::weir::{Guard, Weir};
use std::fmt::Write;

const CONNECTIONS: usize = 16;
const TOOLS: usize = 60;
const BACKENDS: usize = 3;
/// Tools in the long list, and the one of them that the caller does not see.
const LIST: usize = 1000;
const HIDDEN: &str = "b0_search_records_0500";
/// How many policies decide; the goals compare the first two.
const POLICIES: [usize; 2] = [100, 10_000];
/// Processor time per call, with a known token and 100 policies to none of both.
const CALL_GOAL: f64 = 1.25;
/// The same with 10,000 policies to 100.
const MANY_GOAL: f64 = 2.0;
/// Processor time per list for a known class of callers to one for everybody.
const LIST_GOAL: f64 = 1.1;
/// Processor time of a token that is seen for the first time, in microseconds, beyond that of the call.
const TOKEN_GOAL: f64 = 400.0;

/// Measures calls, strangers and lists.
///
/// # Errors
/// When a program fails.
pub async fn measure(bench: &Bench) -> Result<Section, BenchError> {
    let mut section = Section { title: "callers who log in".to_owned(), ..Section::default() };
    if bench.weir.is_none() {
        section.text.push_str("Not measured: no weir was given.\n");
        return Ok(section);
    }
    let signer = Signer::new()?;
    let mut table = Table::new(["era", "load", "variant"].into_iter().chain(FIGURES));
    for era in &bench.eras {
        calls(bench, *era, &signer, &mut table, &mut section).await?;
        lists(bench, *era, &signer, &mut table, &mut section).await?;
    }
    section.text = table.render();
    Ok(section)
}

/// One variant: what is asked of which weir.
struct Variant<'a> {
    name: String,
    weir: &'a Weir,
    load: Load,
}

async fn calls(
    bench: &Bench,
    era: Era,
    signer: &Signer,
    table: &mut Table,
    section: &mut Section,
) -> Result<(), BenchError> {
    let echo = bench.start_issuer(era, TOOLS, &signer.keys().to_string()).await?;
    let mut weirs = vec![bench.start_weir(echo.port, era, BACKENDS).await?];
    for count in POLICIES {
        let guard = Guard { token: signer.token("known")?, policies: policies(count) };
        weirs.push(bench.start_guarded_weir(echo.port, era, BACKENDS, &guard).await?);
    }
    let weirs: Vec<Weir> = weirs.into_iter().flatten().collect();
    let names = ["open", "100 policies", "10,000 policies"];
    let mut variants: Vec<Variant<'_>> = weirs
        .iter()
        .zip(names)
        .map(|(weir, name)| Variant { name: name.to_owned(), weir, load: Load::Call(weir.tools()) })
        .collect();
    // In the legacy era a session is its opener's, so that nobody comes for the first time in one.
    if let (Some(weir), Era::Modern) = (weirs.get(1), era) {
        let load = Load::Strangers("b0_echo".to_owned(), signer.text().to_owned());
        variants.push(Variant { name: "100 policies, new tokens".to_owned(), weir, load });
    }
    let medians = run(bench, era, "calls", &variants, table, section).await?;
    let cpu = |at: usize| medians.get(at).and_then(Option::as_ref).map_or(f64::NAN, |medians| medians.cpu);
    let era = era.name();
    section.goals.push(Goal {
        figure: format!("CPU per call, JWT and 100 policies/open, {era}"),
        value: cpu(1) / cpu(0),
        limit: Some(CALL_GOAL),
    });
    section.goals.push(Goal {
        figure: format!("CPU per call, 10,000 policies/100, {era}"),
        value: cpu(2) / cpu(1),
        limit: Some(MANY_GOAL),
    });
    if variants.len() > 3 {
        section.goals.push(Goal {
            figure: format!("CPU µs of a token's first sight, {era}"),
            value: cpu(3) - cpu(1),
            limit: Some(TOKEN_GOAL),
        });
    }
    drop(variants);
    stop(weirs, echo.program).await
}

async fn lists(
    bench: &Bench,
    era: Era,
    signer: &Signer,
    table: &mut Table,
    section: &mut Section,
) -> Result<(), BenchError> {
    let echo = bench.start_issuer(era, LIST, &signer.keys().to_string()).await?;
    let hides =
        format!("{}forbid(principal, action, resource == Tool::\"{HIDDEN}\");\n", policies(POLICIES[0]));
    let guard = Guard { token: signer.token("known")?, policies: hides };
    let weirs = [
        bench.start_weir(echo.port, era, 1).await?,
        bench.start_guarded_weir(echo.port, era, 1, &guard).await?,
    ];
    let weirs: Vec<Weir> = weirs.into_iter().flatten().collect();
    let variants: Vec<Variant<'_>> = weirs
        .iter()
        .zip(["open", "a known class, one tool hidden"])
        .map(|(weir, name)| Variant { name: name.to_owned(), weir, load: Load::List })
        .collect();
    let medians = run(bench, era, "list of 1,000 tools", &variants, table, section).await?;
    let cpu = |at: usize| medians.get(at).and_then(Option::as_ref).map_or(f64::NAN, |medians| medians.cpu);
    section.goals.push(Goal {
        figure: format!("CPU per list of {LIST} tools, a known class/everybody, {}", era.name()),
        value: cpu(1) / cpu(0),
        limit: Some(LIST_GOAL),
    });
    drop(variants);
    stop(weirs, echo.program).await
}

async fn run(
    bench: &Bench,
    era: Era,
    load: &str,
    variants: &[Variant<'_>],
    table: &mut Table,
    section: &mut Section,
) -> Result<Vec<Option<Medians>>, BenchError> {
    let mut series = vec![Series::default(); variants.len()];
    for round in 1..=bench.rounds {
        for (Variant { name, weir, load: asked }, series) in variants.iter().zip(&mut series) {
            (bench.progress)(&format!("{load}, {}, {name}, round {round}", era.name()));
            let target: Target = weir.target.clone();
            let drive = bench.drive(target, era, asked.clone(), CONNECTIONS);
            let hop: Option<&Program> = Some(&weir.program);
            series.push(bench.measure(&drive, hop).await?);
        }
    }
    for (Variant { name, .. }, series) in variants.iter().zip(&series) {
        let about = [era.name().to_owned(), load.to_owned(), name.clone()];
        table.row(about.into_iter().chain(series.cells()));
        section.failed |= series.failure().is_some();
    }
    Ok(series.iter().map(Series::medians).collect())
}

async fn stop(weirs: Vec<Weir>, echo: Program) -> Result<(), BenchError> {
    for program in weirs.into_iter().map(|weir| weir.program).chain([echo]) {
        program.stop().await?;
    }
    Ok(())
}

/// So many policies, of which the caller's calls pass: half permit groups what a backend has, a fifth forbid what destroys to
/// all but one group, a fifth forbid what reaches out under some circumstances, and the rest permit single tools.
fn policies(count: usize) -> String {
    let mut text = String::from(
        "permit(principal in Group::\"engineering\", action == Action::\"call_tool\", resource) \
         when { resource.read_only };\n",
    );
    for index in 1..count {
        // Writing to a `String` cannot fail.
        let _infallible = match index % 10 {
            0..5 => writeln!(
                text,
                "permit(principal in Group::\"team-{index}\", action, resource in Backend::\"b{}\");",
                index % BACKENDS
            ),
            5 | 6 => writeln!(
                text,
                "forbid(principal in Group::\"guests-{index}\", action == Action::\"call_tool\", resource) \
                 when {{ resource.destructive && !(principal in Group::\"admins\") }};"
            ),
            7 | 8 => writeln!(
                text,
                "forbid(principal in Group::\"field-{index}\", action == Action::\"call_tool\", resource) \
                 when {{ resource.open_world && context.retry }};"
            ),
            _ => writeln!(
                text,
                "permit(principal == Client::\"subject-{index}\", action, resource == Tool::\"b0_search_records_{:04}\");",
                index % LIST
            ),
        };
    }
    text
}
