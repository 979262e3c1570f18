//! `docs/compatibility.md`, written from what is expected.

use crate::behaviours::BEHAVIOURS;
use crate::parties::{CLIENTS, COLUMNS};
use crate::verdict::{Verdict, expected};
use std::fs;
use std::path::Path;

const HEAD: &str = "# Compatibility

Every kind of client speaks to every kind of server: of the legacy or the modern era, over HTTP, HTTP+SSE or standard input and
output. A test tries each cell of these tables with the real binary, and writes this page.

**✓** means that it works. **A number** means that it cannot work, for the reason under [Reasons](#reasons); who calls is told.

- What a server asks reaches a legacy client as a request on the stream of its call, a modern one as `input_required`, whatever
  the server's era: see [Questions of servers](questions.md).
- A client is asked for nothing that it did not declare. A modern server, and a legacy one over streamable HTTP, sees what the
  client of the call declared. Clients share a program, so it sees all that weir relays, and what the client of the call cannot
  answer is refused with an error: see [Servers that ask](servers-that-ask.md).
- A program's log messages belong to a call only while no other runs in it: see
  [Logging](logging.md#whose-message-is-it).
";

/// Checks the page; with `WEIR_BLESS` it is written first.
pub(crate) fn check() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/compatibility.md");
    let page = page();
    if std::env::var_os("WEIR_BLESS").is_some() {
        fs::write(&path, &page).expect("the page can be written");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/compatibility.md is out of date: WEIR_BLESS=1 cargo test -p weir-tests --test compatibility writes it"
    );
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    let mut reasons: Vec<&str> = Vec::new();
    page.push_str("\n| | what it is |\n|---|---|\n");
    for behaviour in &BEHAVIOURS {
        page.push_str(&format!("| {} | {} |\n", behaviour.name, behaviour.about));
    }
    for column in &COLUMNS {
        page.push_str(&format!("\n## {}\n\nBehind weir: {}.\n\n|", title(column.name), column.about));
        for client in &CLIENTS {
            page.push_str(&format!(" | {}", client.name.replace(", ", "<br>")));
        }
        page.push_str(&format!(" |\n|---{}|\n", "|:-:".repeat(CLIENTS.len())));
        for behaviour in &BEHAVIOURS {
            page.push_str(&format!("| {}", behaviour.name));
            for client in &CLIENTS {
                let mark = match expected(client, behaviour) {
                    Verdict::Works => "✓".to_owned(),
                    Verdict::Told(reason) => number(&mut reasons, reason),
                };
                page.push_str(&format!(" | {mark}"));
            }
            page.push_str(" |\n");
        }
    }
    page.push_str("\n## Reasons\n\n");
    for (number, reason) in (1..).zip(reasons) {
        page.push_str(&format!("{number}. {reason}\n"));
    }
    page
}

/// The number of a reason, which is told once.
fn number(reasons: &mut Vec<&'static str>, reason: &'static str) -> String {
    let known = reasons.iter().position(|known| *known == reason);
    let place = known.unwrap_or_else(|| {
        reasons.push(reason);
        reasons.len() - 1
    });
    (place + 1).to_string()
}

fn title(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
