//! Which server asks: what its user is shown says so.
//!
//! S: MCP 2026-07-28 `client/elicitation`, 2025-11-25 `client/elicitation` "Security Considerations": a user must see which
//! server asks. A client of an endpoint with several backends knows weir alone, so weir has to say whose words they are.

use crate::endpoint::Endpoint;
use weir_protocol::object::Object;
use weir_protocol::{Method, Span, Splice, json};

/// Puts `[NAME] `, the name of the backend that asks, before the `message` of an elicitation, which nothing else of the
/// request changes with. Any other method, and an endpoint with one backend, where there is nothing to tell apart, leave
/// the request as it is. `params` is where its parameters begin in `source`; what follows them is not read.
///
/// # Errors
/// The parameters are no object, or repeat a key: nobody can say then what the user would see.
pub(crate) fn attribute(
    splice: &mut Splice<'_>,
    source: &str,
    params: Span,
    method: Method,
    endpoint: &Endpoint,
    backend: &str,
) -> Result<(), serde_json::Error> {
    if method == Method::Elicit && endpoint.backends.len() > 1 {
        sign(splice, source, params, backend)
    } else {
        Ok(())
    }
}

fn sign(splice: &mut Splice<'_>, source: &str, params: Span, backend: &str) -> Result<(), serde_json::Error> {
    let params = Object::read(source, params)?;
    let message = params.get("message").map(|field| field.value());
    if let Some(message) = message.filter(|message| message.text(source.as_bytes()).starts_with('"')) {
        let mut name = json::string(&format!("[{backend}] "));
        name.pop();
        splice.replace(Span::new(message.start(), message.start() + 1), name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(source: &str) -> Result<String, serde_json::Error> {
        let mut splice = Splice::new(source.as_bytes());
        sign(&mut splice, source, Span::new(0, source.len()), "a\"b")?;
        Ok(String::from_utf8(splice.finish().to_vec()).unwrap())
    }

    #[test]
    fn only_the_message_changes() {
        for (before, after) in [
            (
                r#"{ "x":1.0,"message" : "m\u0041" }, rest"#,
                r#"{ "x":1.0,"message" : "[a\"b] m\u0041" }, rest"#,
            ),
            (r#"{"\u006dessage":""}"#, r#"{"\u006dessage":"[a\"b] "}"#),
            (r#"{"message":7,"x":{"message":"m"}}"#, r#"{"message":7,"x":{"message":"m"}}"#),
            ("{}", "{}"),
        ] {
            assert_eq!(signed(before).unwrap(), after);
        }
    }

    #[test]
    fn two_messages_cannot_be_signed() {
        assert!(signed(r#"{"message":"a","message":"b"}"#).is_err());
        assert!(signed("[]").is_err());
    }
}
