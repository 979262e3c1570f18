//! One attack, and what has to become of it.

use crate::stage::Stage;
use weir_tests::{Endpoint, Request, Response};

/// What has to become of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is in order and reaches a backend.
    Passes,
    /// It is answered with this status and this code of JSON-RPC, if with any.
    Refused(u16, Option<i64>),
    /// 401, and where to find out how to log in, if there is somewhere.
    Challenged,
    /// 401, or 400 where what should show who calls cannot be read.
    Unreadable,
    /// 403, and all these scopes are asked for.
    Scopes(&'static str),
    /// Nothing comes of it; what is said of it does not matter.
    Silent,
    /// It is answered with an error of JSON-RPC or of HTTP, whichever.
    Failed,
    /// It is answered as what does not exist is: byte for byte as the same request whose `secret` names are others.
    Unknown,
}

/// A request, and what has to become of it.
#[derive(Debug, Clone)]
pub struct Attack {
    pub name: String,
    pub to: Endpoint,
    pub request: Request,
    pub fate: Fate,
}

/// A request to an endpoint.
pub fn attack(name: impl Into<String>, to: &Endpoint, request: Request, fate: Fate) -> Attack {
    Attack { name: name.into(), to: to.clone(), request, fate }
}

/// Tries all attacks, one after the other, and tells all that is wrong together. There have to be `least` of them beside
/// what passes.
pub fn run(stage: &Stage, attacks: &[Attack], least: usize) {
    let complaints: Vec<String> = attacks.iter().filter_map(|attack| complaint(stage, attack)).collect();
    assert!(
        complaints.is_empty(),
        "{} of {} cases:\n{}",
        complaints.len(),
        attacks.len(),
        complaints.join("\n")
    );
    let passes = attacks.iter().filter(|attack| attack.fate == Fate::Passes).count();
    assert!(passes > 0, "nothing shows that a good request passes");
    let count = attacks.len() - passes;
    assert!(count >= least, "{count} attacks are fewer than the {least} that there were");
}

fn complaint(stage: &Stage, attack: &Attack) -> Option<String> {
    let before = stage.executed();
    let answer = attack.request.send(&attack.to);
    let executed = stage.executed() - before;
    let fault = match (&attack.fate, executed) {
        (Fate::Passes, 0) => Some("it reached no backend".to_owned()),
        (Fate::Passes, _) => None,
        (_, 0) => judge(stage, attack, &answer),
        (_, count) => Some(format!("{count} requests got through to a backend")),
    };
    let name = &attack.name;
    fault.map(|fault| format!("- {name}: {fault}; the answer was {} {:?}", answer.status, text(&answer)))
}

fn judge(stage: &Stage, attack: &Attack, answer: &Response) -> Option<String> {
    let challenge = answer.header("www-authenticate").unwrap_or_default();
    let (expected, good) = match &attack.fate {
        Fate::Passes | Fate::Silent => return None,
        Fate::Refused(status, code) => {
            let code_fits = code.is_none() || answer.error_code() == *code;
            (format!("{status} and {code:?}"), answer.status == *status && code_fits)
        }
        Fate::Challenged => {
            let told = challenge.contains("resource_metadata=\"https://weir.test/");
            let good = challenge.starts_with("Bearer") && told == stage.has_issuers;
            (format!("401 with a challenge, not {challenge:?}"), answer.status == 401 && good)
        }
        Fate::Unreadable => {
            let good = challenge.starts_with("Bearer") && matches!(answer.status, 400 | 401);
            (format!("400 or 401 with a challenge, not {challenge:?}"), good)
        }
        Fate::Failed => ("an error".to_owned(), answer.status >= 400 || answer.error_code().is_some()),
        Fate::Scopes(scopes) => {
            let asked = challenge.contains(&format!("scope=\"{scopes}\""))
                && challenge.contains("insufficient_scope");
            (format!("403 and the scopes {scopes}, not {challenge:?}"), answer.status == 403 && asked)
        }
        Fate::Unknown => {
            let other = attack
                .request
                .clone()
                .rewrite("secret", "absent")
                .reheader("secret", "absent")
                .send(&attack.to);
            let same =
                (other.status, other.text()) == (answer.status, answer.text().replace("secret", "absent"));
            let error = answer.error_code().is_some();
            (format!("as for what does not exist, {} {:?}", other.status, text(&other)), error && same)
        }
    };
    (!good).then(|| format!("expected {expected}"))
}

/// The beginning of an answer.
fn text(answer: &Response) -> String {
    String::from_utf8_lossy(&answer.body).chars().take(400).collect()
}
