//! The ids of one backend's tasks, from the server's own to those that one client knows, and back.

use crate::endpoint::Endpoint;
use crate::seal::{Purpose, Seal, identity};
use std::sync::Arc;
use weir_backends::{BackendError, Event, Message, Outcome, SessionKey};
use weir_policies::Principal;
use weir_protocol::object::Object;
use weir_protocol::{Splice, json};

/// The longest id of a server's own, in bytes. Clients send theirs, which is longer, as a header.
const LONGEST: usize = 1024;

/// What the seal of an id is bound to: who may use it, and where.
pub(super) fn bound(endpoint: &Endpoint, principal: &Principal, session: SessionKey) -> Vec<u8> {
    let endpoint = (endpoint.number as u64).to_be_bytes();
    let (kind, number) = match session {
        SessionKey::Shared => (0, 0),
        SessionKey::Client(number) => (1, number),
    };
    [&endpoint[..], &[kind], &u128::to_be_bytes(number), &identity(principal)].concat()
}

/// Writes the ids of one backend's tasks as one client knows them.
#[derive(Debug, Clone)]
pub(crate) struct Ids {
    seal: Arc<Seal>,
    bound: Vec<u8>,
    /// What is sealed before the id.
    owner: Vec<u8>,
    session: SessionKey,
    /// Where the task lives that is asked about.
    home: u64,
    /// The id that is asked about; `None` where the call may become a task.
    asked: Option<Arc<str>>,
}

impl Ids {
    /// For what may come of a call of a tool: by the name that clients know, and by its backend's.
    pub(crate) fn of_call(
        seal: &Arc<Seal>,
        endpoint: &Endpoint,
        principal: &Principal,
        session: SessionKey,
        backend: usize,
        names: [&str; 2],
    ) -> Self {
        let mut owner = Vec::with_capacity(12 + names.iter().map(|name| name.len()).sum::<usize>());
        // A reload may give the name of a backend to another, but not its number.
        owner.extend_from_slice(&(backend as u64).to_be_bytes());
        // A list may give the name that clients know to another tool.
        for name in names {
            // Names are far shorter; one that is cut leads nowhere.
            owner.extend_from_slice(&u16::try_from(name.len()).unwrap_or(u16::MAX).to_be_bytes());
            owner.extend_from_slice(name.as_bytes());
        }
        let bound = bound(endpoint, principal, session);
        Self { seal: seal.clone(), bound, owner, session, home: 0, asked: None }
    }

    /// For what is answered about the task that the server knows as `inner` and that lives at `home`.
    pub(super) fn about(self, inner: &Arc<str>, home: u64) -> Self {
        Self { home, asked: Some(inner.clone()), ..self }
    }

    fn of(&self, inner: &str, home: u64) -> Result<String, BackendError> {
        if inner.is_empty() || inner.len() > LONGEST {
            return Err(BackendError::Protocol("the id of its task is empty or too long".to_owned()));
        }
        let plain = [&self.owner[..], &home.to_be_bytes(), inner.as_bytes()].concat();
        self.seal
            .seal_alike(Purpose::Task, &plain, &self.bound)
            .map_err(|error| BackendError::Protocol(format!("the id of its task cannot be sealed: {error}")))
    }

    /// Puts the client's id in place of the backend's. What answers a question about one task is about no other.
    ///
    /// # Errors
    /// A task that was made has no id, or the answer is about another task.
    pub(crate) fn put(
        &self,
        splice: &mut Splice<'_>,
        message: &Message,
        made: bool,
    ) -> Result<(), BackendError> {
        let Some(head) = &message.envelope.result else {
            return Ok(());
        };
        match (&self.asked, head.task_id) {
            (None, _) if !made => Ok(()),
            (Some(_), None) if !made => Ok(()),
            (asked, Some(member)) => {
                let inner = json::as_str(member.value.of(&message.body));
                let inner = inner.filter(|inner| asked.as_ref().is_none_or(|asked| **asked == **inner));
                let inner = inner
                    .ok_or_else(|| BackendError::Protocol("it answers about another task".to_owned()))?;
                splice.replace(member.value, json::string(&self.of(&inner, self.home)?));
                if asked.is_some() && made {
                    // What the extension wants to be said of an answer about a task; some servers repeat the other.
                    if let Some(kind) = head.result_type {
                        splice.replace(kind.value, &b"\"complete\""[..]);
                    }
                }
                Ok(())
            }
            (_, None) => Err(BackendError::Protocol("it made a task without an id".to_owned())),
        }
    }

    /// A legacy server's answer that a task was begun, which lives at `home`, with the client's id in it; and that id behind
    /// the server's own.
    ///
    /// # Errors
    /// The task has no id.
    pub(crate) fn begun(&self, message: &Message, home: u64) -> Result<Begun, BackendError> {
        let source = std::str::from_utf8(&message.body).unwrap_or_default();
        let task = message.envelope.result.as_ref().and_then(|head| head.task);
        let task = task.and_then(|task| Object::read(source, task.value).ok());
        let member = task.as_ref().and_then(|task| task.get("taskId")).map(|field| field.value());
        let inner = member.and_then(|member| json::as_str(member.of(&message.body)));
        let (Some(member), Some(inner)) = (member, inner) else {
            return Err(BackendError::Protocol("it made a task without an id".to_owned()));
        };
        let id = self.of(&inner, home)?;
        let mut splice = Splice::new(&message.body);
        splice.replace(member, json::string(&id));
        relate(&mut splice, message, &inner, &id);
        let call = message.envelope.id.and_then(|id| id.text(&message.body).parse().ok()).unwrap_or_default();
        let (inner, id) = (inner.into(), id.into());
        Ok(Begun { message: Message::parse(splice.finish())?, home, call, inner, id })
    }

    /// What a legacy server says in answer to a question about a task, with the client's id where the server says which task
    /// it belongs to (2025-11-25 `basic/utilities/tasks` "Related Task Metadata").
    pub(crate) fn related(&self, event: Event) -> Result<Event, BackendError> {
        let (SessionKey::Client(_), Some(asked)) = (self.session, &self.asked) else {
            return unrelated(event);
        };
        let own =
            |message: Message| self.renamed(message, || Ok((asked.to_string(), self.of(asked, self.home)?)));
        Ok(match event {
            Event::Progress(message) => Event::Progress(own(message)?),
            Event::Log(message) => Event::Log(own(message)?),
            Event::Asked(message) => Event::Asked(own(message)?),
            Event::Outcome(Outcome::Complete(message)) => Event::Outcome(Outcome::Complete(own(message)?)),
            other => other,
        })
    }

    /// What the client answers to a question, with the server's id again.
    pub(crate) fn restored(&self, response: Message) -> Result<Message, BackendError> {
        match (self.session, &self.asked) {
            (SessionKey::Client(_), Some(asked)) => {
                self.renamed(response, || Ok((self.of(asked, self.home)?, asked.to_string())))
            }
            _ => response.unrelated(),
        }
    }

    /// `message`, which may say that it belongs to the task of one id, with another in its place.
    fn renamed(
        &self,
        message: Message,
        ids: impl FnOnce() -> Result<(String, String), BackendError>,
    ) -> Result<Message, BackendError> {
        if !message.meta().is_some_and(|meta| meta.is_related()) {
            return Ok(message);
        }
        let (from, to) = ids()?;
        let mut splice = Splice::new(&message.body);
        relate(&mut splice, &message, &from, &to);
        Message::parse(splice.finish())
    }
}

/// An event without a word of the task that it belongs to, whose id is the server's own: the client knows of none.
pub(crate) fn unrelated(event: Event) -> Result<Event, BackendError> {
    Ok(match event {
        Event::Progress(message) => Event::Progress(message.unrelated()?),
        Event::Log(message) => Event::Log(message.unrelated()?),
        Event::Asked(message) => Event::Asked(message.unrelated()?),
        Event::Outcome(Outcome::Complete(message)) => Event::Outcome(Outcome::Complete(message.unrelated()?)),
        other => other,
    })
}

/// A task that was begun for a client.
#[derive(Debug)]
pub(crate) struct Begun {
    /// What the client is told.
    pub(crate) message: Message,
    /// Where the task lives.
    pub(super) home: u64,
    /// The number by which its server knows the call, whose progress goes on.
    pub(super) call: u64,
    /// The id that the server knows.
    pub(super) inner: Arc<str>,
    /// The id that the client knows.
    pub(super) id: Arc<str>,
}

/// Where a message says that it belongs to the task `from`, it belongs to `to`; a word of any other is left out.
pub(super) fn relate(splice: &mut Splice<'_>, message: &Message, from: &str, to: &str) {
    let Some(meta) = message.meta() else {
        return;
    };
    match meta.related_task(&message.body) {
        Some(span) if json::as_str(span.of(&message.body)).as_deref() == Some(from) => {
            splice.replace(span, json::string(to));
        }
        _ => meta.strip_related(splice, &message.body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELATED: &str = weir_protocol::meta::RELATED_TASK;

    fn endpoint(number: usize) -> Endpoint {
        let spec = weir_config::Endpoint::over("e", "/mcp", Vec::<String>::new());
        let policies = weir_policies::Policies::anonymous();
        Endpoint::new(spec, Vec::new(), None, number, crate::entrance::tests::open(), policies).unwrap()
    }

    fn message(members: &str) -> Message {
        Message::parse(format!(r#"{{"jsonrpc":"2.0",{members}}}"#).into()).unwrap()
    }

    fn ids(seal: &Arc<Seal>) -> Ids {
        Ids::of_call(seal, &endpoint(1), &Principal::of("i", "me"), SessionKey::Client(7), 3, ["tool", "t"])
    }

    #[test]
    fn an_id_opens_for_whom_it_was_given_to_alone() {
        let seal = Arc::new(Seal::new().unwrap());
        let answer = message(r#""id":5,"result":{"task":{"taskId":"inner","status":"working"},"x":1.0}"#);
        let begun = ids(&seal).begun(&answer, 9).unwrap();
        assert_eq!((begun.home, begun.call, &*begun.inner), (9, 5, "inner"));
        let told = std::str::from_utf8(&begun.message.body).unwrap();
        assert_eq!(told.replace(&*begun.id, "inner").as_bytes(), &answer.body[..], "nothing else changes");
        let opens = |number: usize, principal: Principal, session: SessionKey| {
            seal.open(Purpose::Task, begun.id.as_bytes(), &bound(&endpoint(number), &principal, session))
        };
        let me = || Principal::of("i", "me");
        assert!(opens(1, me(), SessionKey::Client(7)).unwrap().ends_with(b"inner"));
        for (number, principal, session) in [
            (1, Principal::of("i", "you"), SessionKey::Client(7)),
            (1, Principal::of("j", "me"), SessionKey::Client(7)),
            (1, Principal::anonymous(), SessionKey::Client(7)),
            (1, me(), SessionKey::Client(8)),
            (1, me(), SessionKey::Client(0)),
            (1, me(), SessionKey::Shared),
            (2, me(), SessionKey::Client(7)),
        ] {
            assert!(opens(number, principal, session).is_none(), "{number} {session:?}");
        }
        // Another task, and the same id in another place, are other ids.
        let id = |inner: &str, home: u64| ids(&seal).of(inner, home).unwrap();
        assert_eq!(id("inner", 9), *begun.id);
        assert!(id("inner", 8) != *begun.id && id("outer", 9) != *begun.id);
    }

    #[test]
    fn related_tasks_have_the_readers_id_and_no_other() {
        let seal = Arc::new(Seal::new().unwrap());
        let about = ids(&seal).about(&"inner".into(), 9);
        let id = about.of("inner", 9).unwrap();
        let log = |task: &str| {
            let meta = format!(r#"{{"a":1,"{RELATED}":{{"taskId":"{task}"}}}}"#);
            message(&format!(r#""method":"notifications/message","params":{{"_meta":{meta}}}"#))
        };
        let told = |task: &str| match about.related(Event::Log(log(task))).unwrap() {
            Event::Log(told) => told.body,
            other => panic!("{other:?}"),
        };
        assert_eq!(told("inner"), log(&id).body);
        let bare = message(r#""method":"notifications/message","params":{"_meta":{"a":1}}"#).body;
        assert_eq!(told("other"), bare);
        let answer = |task: &str| {
            message(&format!(r#""id":1,"result":{{"_meta":{{"{RELATED}":{{"taskId":"{task}"}}}}}}"#))
        };
        assert_eq!(about.restored(answer(&id)).unwrap().body, answer("inner").body);
        let bare = message(r#""id":1,"result":{"_meta":{}}"#).body;
        assert_eq!(about.restored(answer("inner")).unwrap().body, bare, "no client knows that id");
        // Where no task is known, the server's id is nobody's to read or to write.
        let call = ids(&seal);
        assert_eq!(call.restored(answer("inner")).unwrap().body, bare);
        let bare = message(r#""method":"notifications/message","params":{"_meta":{"a":1}}"#).body;
        for event in [call.related(Event::Log(log("inner"))), unrelated(Event::Log(log("inner")))] {
            assert!(matches!(event, Ok(Event::Log(told)) if told.body == bare));
        }
    }
}
