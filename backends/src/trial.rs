//! What the tests of both transports share: calls as the core would make them.

use crate::message::{Roots, answer_to};
use crate::{Augment, Backend, BackendError, Call, Event, Exchange, Input, Message, Outcome, SessionKey};
use bytes::Bytes;
use std::sync::Arc;
use weir_policies::{Action, Context, Item, ItemKind, Policies, Principal};
use weir_protocol::{ClientCapabilities, Envelope, Era, Logs, Method};

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
    let call = Call { repeatable, ..tool_call(session, ClientCapabilities::LISTING, "t", "{}") };
    finish(&mut send(backend, call).await?).await
}

/// As [`call`], with what a modern server asked for.
pub(crate) async fn retry(backend: &Arc<dyn Backend>, session: SessionKey) -> Result<String, BackendError> {
    let input = Input { asked: true, ..Input::default() };
    let call = tool_call(session, ClientCapabilities::LISTING, "t", "{}");
    finish(&mut send(backend, Call { input: Some(Box::new(input)), ..call }).await?).await
}

/// Calls `tool` with raw JSON `arguments`, for a client that has `capabilities`.
pub(crate) async fn begin(
    backend: &Arc<dyn Backend>,
    session: SessionKey,
    capabilities: ClientCapabilities,
    tool: &str,
    arguments: &str,
) -> Result<Exchange, BackendError> {
    send(backend, tool_call(session, capabilities, tool, arguments)).await
}

/// As [`begin`] with the tool `t`, which becomes a task as `augment` says; it wants progress.
pub(crate) async fn begin_task(
    backend: &Arc<dyn Backend>,
    session: SessionKey,
    capabilities: ClientCapabilities,
    augment: Augment,
) -> Result<Exchange, BackendError> {
    let mut call = tool_call(session, capabilities, "t", r#"{},"_meta":{"progressToken":"p"}"#);
    call.meta = call.envelope.meta(&call.body).unwrap();
    (call.augment, call.logs) = (augment, Logs::Unsaid);
    send(backend, call).await
}

/// Asks with `method` about the task `id`, which lives at `home`.
pub(crate) async fn about_task(
    backend: &Arc<dyn Backend>,
    method: Method,
    id: &str,
    home: u64,
) -> Result<String, BackendError> {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":"c","method":"{}","params":{{"taskId":"{id}"}}}}"#,
        method.as_str()
    );
    let mut call = tool_call(CLIENT, ClientCapabilities::FORM, id, "{}");
    call.envelope = Envelope::parse(body.as_bytes()).unwrap();
    (call.body, call.method, call.home, call.repeatable) = (body.into(), method, Some(home), true);
    finish(&mut send(backend, call).await?).await
}

/// Calls the tool `t` for a client that can be asked, and wants progress and the log.
pub(crate) async fn begin_curious(backend: &Arc<dyn Backend>) -> Exchange {
    let mut call = tool_call(CLIENT, ClientCapabilities::FORM, "t", r#"{},"_meta":{"progressToken":"p"}"#);
    let meta = call.envelope.meta(&call.body).unwrap();
    call.meta = meta;
    call.logs = Logs::Unsaid;
    send(backend, call).await.unwrap()
}

/// The next question to the call's client.
pub(crate) async fn asked(exchange: &mut Exchange) -> Message {
    match exchange.next().await.unwrap() {
        Event::Asked(message) => message,
        other => panic!("{other:?}"),
    }
}

/// Answers a question with the raw JSON `result`.
pub(crate) fn reply(exchange: &mut Exchange, question: &Message, result: &str) {
    let id = question.envelope.id.unwrap().of(&question.body);
    exchange.reply(weir_protocol::code::result_answer(id, result.as_bytes()));
}

/// What a call ends with; whatever is asked before is refused.
pub(crate) async fn finish(exchange: &mut Exchange) -> Result<String, BackendError> {
    loop {
        match exchange.next().await? {
            Event::Outcome(
                Outcome::Complete(message)
                | Outcome::InputRequired(message)
                | Outcome::Task(message)
                | Outcome::Begun(message, _)
                | Outcome::Error(message),
            ) => return Ok(String::from_utf8(message.body.to_vec()).unwrap()),
            Event::Asked(message) => exchange.reply(answer_to(&message, &Roots::new(&[])).unwrap()),
            Event::Progress(_) | Event::Log(_) | Event::Withdrawn(_) => {}
        }
    }
}

fn tool_call(session: SessionKey, capabilities: ClientCapabilities, tool: &str, arguments: &str) -> Call {
    let params = format!(r#"{{"name":"{tool}","arguments":{arguments}}}"#);
    let body =
        Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":"c","method":"tools/call","params":{params}}}"#));
    let envelope = Envelope::parse(&body).unwrap();
    Call {
        meta: None,
        method: Method::ToolsCall,
        target: Some(tool.into()),
        rename: None,
        arguments: None,
        session,
        repeatable: false,
        mirrors: None,
        logs: weir_protocol::Logs::Unwanted,
        capabilities,
        passed_on: Vec::new(),
        augment: Augment::No,
        home: None,
        input: None,
        envelope,
        body,
    }
}

async fn send(backend: &Arc<dyn Backend>, call: Call) -> Result<Exchange, BackendError> {
    let principal = Arc::new(Principal::anonymous());
    let tool = call.target.clone().unwrap();
    let item = Item::of(ItemKind::Tool, &tool, &tool, "trial");
    let context = Context::now(Era::Modern);
    let permit = Policies::anonymous().permit(&principal, Action::CallTool, &item, &context).unwrap();
    backend.clone().call(permit, Box::new(call)).await
}
