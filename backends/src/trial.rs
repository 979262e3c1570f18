//! What the tests of both transports share: calls as the core would make them.

use crate::{Backend, BackendError, Call, Event, Outcome, SessionKey};
use bytes::Bytes;
use std::sync::Arc;
use weir_policies::{Action, Policies, Principal};
use weir_protocol::{Envelope, Method};

/// The key of a client session.
pub(crate) const CLIENT: SessionKey = SessionKey::Client(1);

/// Calls the tool `t` and answers the whole message that the server sent.
pub(crate) async fn call(backend: &Arc<dyn Backend>, session: SessionKey) -> Result<String, BackendError> {
    call_tool(backend, session, false).await
}

/// As [`call`], for a tool that may be `repeatable`.
pub(crate) async fn call_tool(
    backend: &Arc<dyn Backend>,
    session: SessionKey,
    repeatable: bool,
) -> Result<String, BackendError> {
    let body = br#"{"jsonrpc":"2.0","id":"c","method":"tools/call","params":{"name":"t","arguments":{}}}"#;
    let body = Bytes::from_static(body);
    let envelope = Envelope::parse(&body).unwrap();
    let principal = Arc::new(Principal::anonymous());
    let permit = Policies::anonymous().permit(&principal, Action::CallTool, "t").unwrap();
    let call = Box::new(Call {
        meta: None,
        method: Method::ToolsCall,
        target: Some("t".into()),
        rename: None,
        arguments: None,
        session,
        repeatable,
        mirrors: None,
        logs: weir_protocol::Logs::Unwanted,
        capabilities: weir_protocol::ClientCapabilities::LISTING,
        input: None,
        envelope,
        body,
    });
    let mut exchange = backend.clone().call(permit, call).await?;
    loop {
        match exchange.next().await? {
            Event::Outcome(
                Outcome::Complete(message) | Outcome::InputRequired(message) | Outcome::Error(message),
            ) => return Ok(String::from_utf8(message.body.to_vec()).unwrap()),
            Event::Asked(message) => exchange.reply(crate::message::answer_to(&message).unwrap()),
            Event::Progress(_) | Event::Log(_) => {}
        }
    }
}
