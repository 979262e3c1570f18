//! Bounds, with defaults where nothing is written.

use super::Checker;
use crate::file;
use crate::model::{BackendLimits, BackendTimeouts, Limits, Timeouts};
use crate::quantity::{Size, TimeSpan};
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
        let limits = of_backend(checker, &here, written.limits, &BackendLimits::default());
        let timeouts = timeouts_of_backend(checker, &here, written.timeouts, &BackendTimeouts::default());
        Self { limits, timeouts }
    }
}

pub(super) fn front(checker: &mut Checker<'_>, written: file::Limits) -> Limits {
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
        cache,
        cached,
    } = written;
    let defaults = Limits::default();
    let here = Path::root("limits");
    let mut some = |key, size, default| some_bytes(checker, &here.key(key), size, default);
    Limits {
        body: some("body", body, defaults.body),
        headers: some("headers", headers, defaults.headers),
        depth: depth.unwrap_or(defaults.depth),
        requests: requests.unwrap_or(defaults.requests),
        sessions: sessions.unwrap_or(defaults.sessions),
        replay: some("replay", replay, defaults.replay),
        replays: some("replays", replays, defaults.replays),
        batch: batch.unwrap_or(defaults.batch),
        subscriptions: subscriptions.unwrap_or(defaults.subscriptions),
        rounds: rounds.unwrap_or(defaults.rounds),
        parked: parked.unwrap_or(defaults.parked),
        cache: cache.map_or(defaults.cache, |size| size.0),
        cached: some("cached", cached, defaults.cached),
    }
}

pub(super) fn front_timeouts(checker: &mut Checker<'_>, written: file::Timeouts) -> Timeouts {
    let file::Timeouts {
        read,
        write,
        connection,
        session,
        keep_alive,
        replay,
        cache,
        start,
        input,
        inputs,
        drain,
    } = written;
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
        cache: some("cache", cache, defaults.cache),
        start: any(start, defaults.start),
        input: some("input", input, defaults.input),
        inputs: some("inputs", inputs, defaults.inputs),
        drain: any(drain, defaults.drain),
    }
}

/// `here` is where `limits` stands.
pub(super) fn of_backend(
    checker: &mut Checker<'_>,
    here: &Path,
    written: Option<file::BackendLimits>,
    defaults: &BackendLimits,
) -> BackendLimits {
    let file::BackendLimits { message, calls, items, subscriptions } = written.unwrap_or_default();
    let here = here.key("limits").key("message");
    BackendLimits {
        message: some_bytes(checker, &here, message, defaults.message),
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

/// Room that nothing would fit into if it were zero.
fn some_bytes(checker: &mut Checker<'_>, here: &Path, written: Option<Size>, default: usize) -> usize {
    let size = written.map_or(default, |size| size.0);
    if size == 0 {
        checker.error(checker.at(here, "must be more than 0"));
    }
    size
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
