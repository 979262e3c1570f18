//! The demo server `clock`: tools that tell, convert and count down time.

mod civil;
mod countdown;

use super::arguments::Arguments;
use super::reply::{Failure, Reply, tool_error, tool_result};
use super::server::{Request, Server, Step};
use civil::{Offset, format_time, parse_time};
use countdown::Countdown;
use serde_json::{Map, Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Longest text of a time or an offset, in characters.
const LONGEST: usize = 40;
/// Longest countdown, in seconds.
const LONGEST_COUNTDOWN: u64 = 60;
/// Most countdowns at once.
const MOST_COUNTDOWNS: usize = 16;

/// The server.
pub(super) struct Clock {
    /// A second, for everybody but tests.
    tick: Duration,
    countdowns: Vec<Countdown>,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self { tick: Duration::from_secs(1), countdowns: Vec::new() }
    }
}

impl Server for Clock {
    const NAME: &'static str = "clock";
    const TITLE: &'static str = "Demo clock";
    const INSTRUCTIONS: &'static str = "Tells the current time, converts times between UTC offsets, and counts \
        down seconds. It knows offsets such as +02:00, not the names of time zones.";
    const ANNOUNCES: bool = false;

    fn capabilities(&self) -> Value {
        json!({ "tools": {} })
    }

    fn tools(&self) -> Value {
        let offset = |what: &str| json!({ "type": "string", "maxLength": LONGEST, "description": what });
        let annotations = |idempotent: bool| json!({ "readOnlyHint": true, "idempotentHint": idempotent, "openWorldHint": false });
        let output = json!({
            "type": "object",
            "properties": {
                "time": { "type": "string", "description": "The time in RFC 3339, such as 2026-11-20T10:30:00+02:00." },
                "offset": { "type": "string", "description": "Its offset from UTC: UTC or ±HH:MM." },
                "unix": { "type": "integer", "description": "Seconds since 1970-01-01T00:00:00Z." },
            },
            "required": ["time", "offset", "unix"],
        });
        json!([
            {
                "name": "now",
                "title": "Current time",
                "description": "Tells the current date and time at a given offset from UTC.",
                "inputSchema": {
                    "type": "object",
                    "properties": { "offset": offset("UTC (the default) or an offset such as +02:00.") },
                    "additionalProperties": false,
                },
                "outputSchema": output,
                "annotations": annotations(false),
            },
            {
                "name": "convert",
                "title": "Convert a time",
                "description": "Tells what a local time at one offset from UTC is at another offset.",
                "inputSchema": {
                    "type": "object",
                    "properties": {
                        "time": offset("The local time: YYYY-MM-DDTHH:MM or YYYY-MM-DDTHH:MM:SS."),
                        "from": offset("The offset it is given at: UTC or ±HH:MM."),
                        "to": offset("The offset to tell it at: UTC or ±HH:MM."),
                    },
                    "required": ["time", "from", "to"],
                    "additionalProperties": false,
                },
                "outputSchema": output,
                "annotations": annotations(true),
            },
            {
                "name": "countdown",
                "title": "Count down",
                "description": "Waits for a number of seconds, reports progress every second, then says that it is \
                    done. Can be cancelled.",
                "inputSchema": {
                    "type": "object",
                    "properties": {
                        "seconds": {
                            "type": "integer",
                            "minimum": 1,
                            "maximum": LONGEST_COUNTDOWN,
                            "description": "How many seconds to wait.",
                        },
                    },
                    "required": ["seconds"],
                    "additionalProperties": false,
                },
                "annotations": annotations(true),
            },
        ])
    }

    fn answer(&mut self, request: &Request, reply: &Reply) -> Step {
        match request.method.as_str() {
            "tools/call" => self.call(request, reply).unwrap_or_else(|failure| Step::Done(Err(failure))),
            method => Step::Done(Err(Failure::no_method(method))),
        }
    }

    fn cancel(&mut self, id: &Value) {
        self.countdowns.retain(|countdown| !countdown.answers(id));
    }
}

impl Clock {
    fn call(&mut self, request: &Request, reply: &Reply) -> Result<Step, Failure> {
        let arguments = request.object("arguments")?;
        let result = match request.text("name")? {
            "now" => now(arguments),
            "convert" => convert(arguments),
            "countdown" => match self.countdown(arguments, request, reply) {
                Ok(()) => return Ok(Step::Later),
                Err(wrong) => Err(wrong),
            },
            name => return Err(Failure::invalid(format!("Unknown tool: {name}"))),
        };
        Ok(Step::Done(Ok(result.unwrap_or_else(|wrong| tool_error(&wrong)))))
    }

    /// Starts to count; the answer comes from there.
    fn countdown(
        &mut self,
        given: Map<String, Value>,
        request: &Request,
        reply: &Reply,
    ) -> Result<(), String> {
        let seconds = Arguments::new(given, &["seconds"])?.count("seconds", LONGEST_COUNTDOWN)?;
        self.countdowns.retain(Countdown::counts);
        if self.countdowns.len() >= MOST_COUNTDOWNS {
            return Err(format!("{MOST_COUNTDOWNS} countdowns are under way; wait for one to end"));
        }
        let token = request.params.get("_meta").and_then(|meta| meta.get("progressToken")).cloned();
        let countdown = Countdown::start(seconds, self.tick, token, reply.clone())
            .map_err(|error| format!("the countdown could not be started: {error}"))?;
        self.countdowns.push(countdown);
        Ok(())
    }
}

fn now(given: Map<String, Value>) -> Result<Value, String> {
    let arguments = Arguments::new(given, &["offset"])?;
    let offset = arguments.text("offset", LONGEST)?.unwrap_or("UTC").parse::<Offset>()?;
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    told(i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX), offset)
}

fn convert(given: Map<String, Value>) -> Result<Value, String> {
    let arguments = Arguments::new(given, &["time", "from", "to"])?;
    let from = arguments.required_text("from", LONGEST)?.parse::<Offset>()?;
    let to = arguments.required_text("to", LONGEST)?.parse::<Offset>()?;
    told(parse_time(arguments.required_text("time", LONGEST)?, from)?, to)
}

fn told(unix: i64, offset: Offset) -> Result<Value, String> {
    let time = format_time(unix, offset)?;
    let data = json!({ "time": time, "offset": offset.to_string(), "unix": unix });
    Ok(tool_result(&time, Some(data)))
}

#[cfg(test)]
mod tests;
