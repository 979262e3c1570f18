//! A running child process that speaks MCP on standard input and output.

use super::lines::{Line, Lines};
use super::listening::Listening;
use crate::changes::Announcer;
use crate::deadlines::Deadlines;
use crate::errand::{Home, TaskState};
use crate::homes::{Homes, Owners};
use crate::inventory::Requester;
use crate::message::Roots;
use crate::pending::{Debtor, Pending, PendingCall};
use crate::subscriptions::{Subjects, Subscriptions};
use crate::verbosity::Verbosity;
use crate::{BackendError, Call, Cause, Features, Message, SessionKey, Transport, cause, message, oversize};
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::{ChildStdin, ChildStdout};
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc, watch};
use tokio::task::JoinHandle;
use weir_config::{BackendLimits, BackendTimeouts};
use weir_protocol::{ClientCapabilities, Era, Kind, Method, json};
use weir_runtime::{Guardian, Process, ProcessSpec};

/// Messages that wait for the child to read them.
const QUEUE: usize = 256;

/// What every child of one backend is started with.
#[derive(Debug)]
pub(crate) struct Recipe {
    pub(crate) process: ProcessSpec,
    pub(crate) limits: BackendLimits,
    pub(crate) timeouts: BackendTimeouts,
    pub(crate) guardian: Guardian,
    pub(crate) changes: Arc<Announcer>,
    pub(crate) subscriptions: Arc<Subscriptions>,
    /// How many processes there are, probes and those being stopped among them.
    pub(crate) running: Arc<watch::Sender<usize>>,
    /// Whose tasks are in children that clients share.
    pub(crate) owners: Arc<Owners>,
    /// The children in which tasks were begun.
    pub(crate) homes: Homes<Child>,
    /// What it is told of roots where no client says which.
    pub(crate) roots: Roots,
    /// Where what nobody waits for is done.
    pub(crate) handle: Handle,
    /// The child only finds something out; its end is no event.
    pub(crate) probe: bool,
}

/// Stops a child whose start is given up half-way.
struct StopOnDrop(Option<Arc<Child>>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        if let Some(child) = self.0.take() {
            child.ended.store(true, Ordering::Release);
            child.stop.notify_one();
        }
    }
}

/// A child after its handshake.
#[derive(Debug)]
pub(crate) struct Child {
    recipe: Arc<Recipe>,
    features: OnceLock<Features>,
    /// Whom it serves.
    pub(super) key: SessionKey,
    era: Era,
    next_id: AtomicU64,
    pending: Pending,
    /// Its number among the places where tasks live, once there are any in it.
    pub(super) home: OnceLock<u64>,
    verbosity: Verbosity,
    queue: mpsc::Sender<Bytes>,
    ended: AtomicBool,
    /// The modern stream of notifications.
    pub(super) listening: Listening,
    stop: Notify,
    stopped: Notify,
    /// Its place among the processes of the backend, where these are counted.
    place: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Child {
    /// Starts the process and makes the handshake of `era`. Where that fails, the process has ended before the error is
    /// answered.
    pub(crate) async fn start(
        recipe: &Arc<Recipe>,
        era: Era,
        place: Option<OwnedSemaphorePermit>,
        key: SessionKey,
    ) -> Result<Arc<Self>, BackendError> {
        let spawned = Process::spawn(&recipe.process, &recipe.guardian);
        let mut process = spawned.map_err(|error| {
            let detail = cause::chain(&error);
            BackendError::Unreachable(Cause::private("its program cannot be started", detail))
        })?;
        let (Some(stdin), Some(stdout)) = (process.take_stdin(), process.take_stdout()) else {
            return Err(BackendError::unreachable("its standard input and output are not piped"));
        };
        let (queue, messages) = mpsc::channel(QUEUE);
        let child = Arc::new(Self {
            recipe: recipe.clone(),
            features: OnceLock::new(),
            key,
            era,
            next_id: AtomicU64::new(1),
            pending: Pending::default(),
            home: OnceLock::new(),
            verbosity: Verbosity::default(),
            queue,
            ended: AtomicBool::new(false),
            listening: Listening::default(),
            stop: Notify::new(),
            stopped: Notify::new(),
            place: Mutex::new(place),
        });
        let writer = tokio::spawn(write(stdin, messages));
        let reader = tokio::spawn(read(child.clone(), stdout));
        recipe.running.send_modify(|count| *count += 1);
        tokio::spawn(supervise(child.clone(), process, writer, reader));
        let mut guard = StopOnDrop(Some(child.clone()));
        let shaken = child.handshake().await;
        if shaken.is_err() {
            child.stop().await;
        }
        guard.0 = None;
        shaken.map(|()| child)
    }

    async fn handshake(&self) -> Result<(), BackendError> {
        let (method, members) = match self.era {
            Era::Legacy => (Method::Initialize, message::initialize_members(ClientCapabilities::LISTING)),
            Era::Modern => (Method::Discover, String::new()),
        };
        let answer = self.request(method, members).await?;
        let mut features = match self.era {
            Era::Legacy => Features::of_initialize(&answer)?,
            Era::Modern => Features::of_discover(&answer).ok_or_else(|| {
                BackendError::Protocol("server/discover names no revision that weir speaks".into())
            })?,
        };
        features.transport = Transport::Stdio;
        match self.era {
            Era::Legacy => self.post(Bytes::from_static(message::INITIALIZED)),
            Era::Modern => {
                let id = self.next_id();
                self.listening.begin(id);
                let members = Subscriptions::listen_members(&Subjects::new());
                self.post(message::request(id, Method::Listen.as_str(), &members, Era::Modern));
            }
        }
        if !self.recipe.probe {
            let name = &self.recipe.process.name;
            tracing::info!(backend = name, revision = features.revision.as_str(), "connected");
        }
        let _ = self.features.set(features);
        Ok(())
    }

    /// What the server said of itself; `None` before the handshake.
    pub(crate) fn features(&self) -> Option<Features> {
        self.features.get().cloned()
    }

    pub(super) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn era(&self) -> Era {
        self.era
    }

    pub(super) fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    pub(crate) fn pending(&self) -> &Pending {
        &self.pending
    }

    /// Whether the process has ended or is being stopped.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Sends what has no answer. A child that reads nothing loses it, as it would with a full pipe.
    pub(crate) fn post(&self, body: Bytes) {
        let _ = self.queue.try_send(body);
    }

    pub(super) async fn send(&self, body: Bytes) -> Result<(), BackendError> {
        let limit = self.recipe.timeouts.connect;
        match tokio::time::timeout(limit, self.queue.send(body)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(BackendError::gone("its process has ended")),
            Err(_) => Err(BackendError::Timeout { what: "reading its input", after: limit }),
        }
    }

    /// Sends a client's call.
    pub(super) async fn begin(self: &Arc<Self>, call: &Call) -> Result<Box<PendingCall>, BackendError> {
        call.suits(self.era)?;
        let id = self.next_id();
        let body = json::single_line(message::of_call(call, id, self.era));
        let wants_progress = call.meta.as_ref().is_some_and(|meta| meta.progress_token.is_some());
        if self.era == Era::Legacy
            && let Some(level) = self.verbosity.lacks(call.logs)
            && self.features.get().is_some_and(|features| features.logging)
        {
            // Boxed, since hardly any call needs it.
            Box::pin(self.verbosity.raise(&self.recipe.process.name, level, &**self)).await;
        }
        let (capabilities, topic) = (call.askable(), call.topic());
        let waiting = self.pending.insert_call(id, wants_progress, call.logs, capabilities, topic)?;
        let deadlines = Deadlines::of(call, &self.recipe.timeouts);
        let pending = PendingCall::new(self.clone(), id, waiting, deadlines);
        self.send(body).await?;
        Ok(Box::new(pending))
    }

    /// Stops the process and waits until it is gone.
    pub(crate) async fn stop(&self) {
        let stopped = self.stopped.notified();
        self.ended.store(true, Ordering::Release);
        self.stop.notify_one();
        stopped.await;
        // Whoever else waits is told too.
        self.stopped.notify_one();
    }

    fn take(self: &Arc<Self>, message: Message) {
        let body = &message.body;
        match (message.envelope.kind, message.envelope.method(body)) {
            (Kind::Response, _) => {
                let id = message.envelope.id.and_then(|span| span.text(body).parse().ok());
                let task = if message.is_task() { TaskState::begun(&message) } else { None };
                if !id.is_some_and(|id| self.pending.answer(id, Ok(message))) {
                    if let Some(task) = task {
                        // Its call was given up meanwhile.
                        Home::end_task(self.clone(), task.id);
                    }
                    tracing::debug!(backend = self.recipe.process.name, "an answer that nobody waits for");
                }
            }
            (Kind::Request, _) => {
                let roots = &self.recipe.roots;
                let left = match roots.answer_for_all(self.key, &message) {
                    true => Some(message),
                    false => self.pending.ask(self.key, message),
                };
                if let Some(answer) = left.and_then(|message| message::answer_to(&message, roots)) {
                    self.post(answer);
                }
            }
            (_, Method::Progress) => {
                self.recipe.subscriptions.progress(&self.pending, self.home.get().copied(), message);
            }
            (_, method @ (Method::ToolsChanged | Method::PromptsChanged | Method::ResourcesChanged)) => {
                self.recipe.changes.announce(method);
            }
            (_, Method::ResourceUpdated | Method::TaskChanged) => self.recipe.subscriptions.updated(message),
            (_, Method::TaskStatus) => {
                self.pending.hear_of_task(&message);
                self.recipe.subscriptions.task_told(self.home.get().copied(), message);
            }
            (_, Method::Acknowledged) => self.listening.acknowledged(message),
            (_, Method::Message) => self.recipe.subscriptions.log(&self.pending, self.key, message),
            (_, Method::Cancelled) => self.pending.withdraw(&message),
            _ => {}
        }
    }
}

impl Debtor for Child {
    fn release(self: Arc<Self>, id: u64) {
        self.pending.remove(id);
        self.post(message::cancelled(id));
    }

    fn reply(self: Arc<Self>, id: u64, body: Bytes) {
        // With a full queue it waits: the child waits for it, too.
        if let Err(TrySendError::Full(body)) = self.queue.try_send(json::single_line(body)) {
            let handle = self.recipe.handle.clone();
            handle.spawn(async move {
                if let Err(error) = self.send(body).await {
                    self.pending.give_up(id, BackendError::NotTaken(Box::new(error)));
                }
            });
        }
    }

    fn end_task(self: Arc<Self>, id: Arc<str>) {
        Home::end_task(self, id);
    }
}

impl Requester for Child {
    async fn request(&self, method: Method, members: String) -> Result<Message, BackendError> {
        let id = self.next_id();
        let waiting = self.pending.insert(id)?;
        let limit = self.recipe.timeouts.list;
        let answer = async {
            let mut asked = Asked { child: self, id, cancels: false };
            self.send(message::request(id, method.as_str(), &members, self.era)).await?;
            // A handshake must not be cancelled (2025-11-25 `basic/utilities/cancellation`); its process ends with it.
            asked.cancels = self.features.get().is_some();
            let answer = waiting.answer().await;
            asked.cancels = false;
            answer
        };
        tokio::time::timeout(limit, answer)
            .await
            .unwrap_or(Err(BackendError::Timeout { what: method.as_str(), after: limit }))
    }
}

/// A request of weir's own. However the wait for its answer ends, nothing of it is left behind.
struct Asked<'a> {
    child: &'a Child,
    id: u64,
    /// The child is told when nobody waits any longer.
    cancels: bool,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.child.pending.remove(self.id);
        if self.cancels {
            self.child.post(message::cancelled(self.id));
        }
    }
}

async fn write(mut stdin: ChildStdin, mut messages: mpsc::Receiver<Bytes>) {
    while let Some(message) = messages.recv().await {
        let mut line = Vec::with_capacity(message.len() + 1);
        line.extend_from_slice(&message);
        line.push(b'\n');
        if stdin.write_all(&line).await.is_err() {
            return;
        }
    }
}

async fn read(child: Arc<Child>, stdout: ChildStdout) {
    let limit = child.recipe.limits.message;
    let name = child.recipe.process.name.clone();
    let mut lines = Lines::new(stdout, limit);
    while let Ok(Some(line)) = lines.next().await {
        match line {
            Line::Whole(line) if line.trim_ascii().is_empty() => {}
            Line::Whole(line) => match Message::parse(line.clone()) {
                Ok(message) => child.take(message),
                Err(error) => {
                    tracing::warn!(backend = name, %error, "a line of its output is no message");
                    if let Some(id) = oversize::id_of_broken(&line) {
                        child.pending.answer(id, Err(error));
                    }
                }
            },
            Line::TooLong { head, tail } => {
                tracing::warn!(backend = name, limit, "a message is larger than the limit");
                if let Some(id) = oversize::id_of(&head, &tail) {
                    child.pending.answer(id, Err(BackendError::TooLarge { limit }));
                }
            }
        }
    }
}

/// Waits for the end of the process, or brings it about, and tells everybody.
async fn supervise(
    child: Arc<Child>,
    mut process: Process,
    mut writer: JoinHandle<()>,
    mut reader: JoinHandle<()>,
) {
    let name = child.recipe.process.name.clone();
    let grace = child.recipe.timeouts.stop;
    let error = tokio::select! {
        status = process.wait() => BackendError::gone(format!("its process ended ({status})")),
        // A child that closes its output can answer nothing any more.
        _ = &mut reader => BackendError::gone("it closed its output"),
        // Nor can one that closed its input be asked anything.
        _ = &mut writer => BackendError::gone("it closed its input"),
        () = child.stop.notified() => BackendError::Stopping,
    };
    let wanted = error == BackendError::Stopping;
    if matches!(error, BackendError::Gone(_)) {
        // What the process wrote before it ended may still hold answers.
        if !reader.is_finished() {
            let _ = tokio::time::timeout(Duration::from_millis(500), &mut reader).await;
        }
        if !child.recipe.probe {
            tracing::warn!(backend = name, %error, "the backend ended");
        }
    }
    child.ended.store(true, Ordering::Release);
    child.pending.fail(&error);
    child.listening.end();
    if !writer.is_finished() {
        writer.abort();
        let _ = writer.await;
    }
    process.stop(grace).await;
    reader.abort();
    child.place.lock().take();
    if !wanted {
        child.recipe.changes.suspect();
    }
    child.stopped.notify_one();
    child.recipe.running.send_modify(|count| *count = count.saturating_sub(1));
}
