//! Bounds, with defaults where nothing is written.

use super::Checker;
use crate::file;
use crate::model::{BackendLimits, BackendTimeouts, Limits, Timeouts};
use crate::quantity::TimeSpan;
use crate::tree::Path;
use std::time::Duration;

/// What holds for every backend that does not say otherwise.
#[derive(Default)]
pub(crate) struct BackendDefaults {
    pub(super) limits: BackendLimits,
    pub(super) timeouts: BackendTimeouts,
}

impl BackendDefaults {
    pub(super) fn new(checker: &mut Checker<'_>, written: file::Defaults) -> Self {
        let here = Path::root("defaults");
        let limits = of_backend(written.limits, &BackendLimits::default());
        let timeouts = timeouts_of_backend(checker, &here, written.timeouts, &BackendTimeouts::default());
        Self { limits, timeouts }
    }
}

pub(super) fn front(written: file::Limits) -> Limits {
    let file::Limits {
        body,
        headers,
        depth,
        requests,
        sessions,
        replay,
        replays,
        batch,
        subscriptions,
        rounds,
        parked,
    } = written;
    let defaults = Limits::default();
    Limits {
        body: body.map_or(defaults.body, |size| size.0),
        headers: headers.map_or(defaults.headers, |size| size.0),
        depth: depth.unwrap_or(defaults.depth),
        requests: requests.unwrap_or(defaults.requests),
        sessions: sessions.unwrap_or(defaults.sessions),
        replay: replay.map_or(defaults.replay, |size| size.0),
        replays: replays.map_or(defaults.replays, |size| size.0),
        batch: batch.unwrap_or(defaults.batch),
        subscriptions: subscriptions.unwrap_or(defaults.subscriptions),
        rounds: rounds.unwrap_or(defaults.rounds),
        parked: parked.unwrap_or(defaults.parked),
    }
}

pub(super) fn front_timeouts(checker: &mut Checker<'_>, written: file::Timeouts) -> Timeouts {
    let file::Timeouts { read, write, connection, session, keep_alive, replay, start, input, inputs, drain } =
        written;
    let defaults = Timeouts::default();
    let here = Path::root("timeouts");
    let mut some = |key, span, default| positive(checker, &here.key(key), span, default);
    Timeouts {
        read: some("read", read, defaults.read),
        write: some("write", write, defaults.write),
        connection: some("connection", connection, defaults.connection),
        session: some("session", session, defaults.session),
        keep_alive: some("keep_alive", keep_alive, defaults.keep_alive),
        replay: any(replay, defaults.replay),
        start: any(start, defaults.start),
        input: some("input", input, defaults.input),
        inputs: some("inputs", inputs, defaults.inputs),
        drain: any(drain, defaults.drain),
    }
}

pub(super) fn of_backend(written: Option<file::BackendLimits>, defaults: &BackendLimits) -> BackendLimits {
    let file::BackendLimits { message, calls, items, subscriptions } = written.unwrap_or_default();
    BackendLimits {
        message: message.map_or(defaults.message, |size| size.0),
        calls: calls.unwrap_or(defaults.calls),
        items: items.unwrap_or(defaults.items),
        subscriptions: subscriptions.unwrap_or(defaults.subscriptions),
    }
}

/// `here` is where `timeouts` stands.
pub(super) fn timeouts_of_backend(
    checker: &mut Checker<'_>,
    here: &Path,
    written: Option<file::BackendTimeouts>,
    defaults: &BackendTimeouts,
) -> BackendTimeouts {
    let file::BackendTimeouts { connect, list, idle, call, refresh, stop } = written.unwrap_or_default();
    let here = here.key("timeouts");
    let mut some = |key, span, default| positive(checker, &here.key(key), span, default);
    BackendTimeouts {
        connect: some("connect", connect, defaults.connect),
        list: some("list", list, defaults.list),
        idle: some("idle", idle, defaults.idle),
        call: some("call", call, defaults.call),
        refresh: some("refresh", refresh, defaults.refresh),
        stop: any(stop, defaults.stop),
    }
}

/// A wait that may be zero.
fn any(written: Option<TimeSpan>, default: Duration) -> Duration {
    written.map_or(default, |span| span.0)
}

/// A wait that would never succeed if it were zero.
fn positive(
    checker: &mut Checker<'_>,
    here: &Path,
    written: Option<TimeSpan>,
    default: Duration,
) -> Duration {
    let span = any(written, default);
    if span.is_zero() {
        checker.error(checker.at(here, "must be more than 0"));
    }
    span
}
