//! `weir key`: a new API key, and the line by which an endpoint knows it.

use crate::args::Key;
use crate::say;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Makes a key and prints it: the only time that anybody sees it.
pub(crate) fn run(key: &Key) -> anyhow::Result<ExitCode> {
    let (secret, sha256) = weir_policies::new_api_key()?;
    if key.json {
        say(&json!({ "name": key.name, "key": secret.expose_secret(), "sha256": sha256 }).to_string());
        return Ok(ExitCode::SUCCESS);
    }
    say(
        "The key, which is not shown again; its holder sends it as `Authorization: Bearer …` or `X-API-Key: …`:",
    );
    say(&format!("\n  {}\n", secret.expose_secret()));
    say("The line for the configuration, below `auth.api_keys` of an endpoint; it is no secret:");
    say(&format!("\n  {}", line(key, &sha256)));
    Ok(ExitCode::SUCCESS)
}

/// An item of a list in YAML. What JSON quotes is quoted for YAML too.
fn line(key: &Key, sha256: &str) -> String {
    let mut line = format!("- {{name: {}, sha256: {sha256}", Value::from(key.name.as_str()));
    for (name, words) in [("groups", &key.groups), ("roles", &key.roles), ("scopes", &key.scopes)] {
        if !words.is_empty() {
            line.push_str(&format!(", {name}: {}", json!(words)));
        }
    }
    if let Some(expires) = &key.expires {
        line.push_str(&format!(", expires: {}", Value::from(expires.as_str())));
    }
    line.push('}');
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use weir_config::ProcessEnvironment;

    #[test]
    fn the_line_is_one_that_the_configuration_takes() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let key = Key {
            name: "ada's \"own\": #1".to_owned(),
            groups: words(&["a, b", "c"]),
            roles: Vec::new(),
            scopes: words(&["mcp"]),
            expires: Some("2027-01-31".to_owned()),
            json: false,
        };
        let (_, sha256) = weir_policies::new_api_key().unwrap();
        let text = format!(
            "backends: {{a: {{command: x}}}}\nendpoints:\n  m:\n    path: /m\n    auth:\n      api_keys:\n        {}\n",
            line(&key, &sha256)
        );
        let read = weir_config::parse(&text, Path::new("weir.yaml"), &ProcessEnvironment);
        let config = read.unwrap_or_else(|errors| panic!("{errors}")).config;
        let read = &config.endpoints[0].auth.api_keys[0];
        assert_eq!((&read.name, &read.groups, &read.scopes), (&key.name, &key.groups, &key.scopes));
        assert!(read.expires.is_some() && read.roles.is_empty());
    }
}
