//! Dates and times of the Gregorian calendar, from 0001-01-01 to 9999-12-31, at offsets from UTC.

use std::fmt;
use std::str::FromStr;

const SECONDS_PER_DAY: i64 = 86_400;
/// Days from 0001-01-01 to 1970-01-01.
const EPOCH: i64 = 719_162;
const LAST_YEAR: i64 = 9999;

/// An offset from UTC in minutes, less than a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offset(i64);

impl FromStr for Offset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = match text {
            "UTC" | "Z" => Some(0),
            _ => text.split_at_checked(1).and_then(|(sign, rest)| {
                let (hours, minutes) = rest.split_once(':')?;
                let minutes = number(hours, 2, 0, 23)? * 60 + number(minutes, 2, 0, 59)?;
                match sign {
                    "+" => Some(minutes),
                    "-" => Some(-minutes),
                    _ => None,
                }
            }),
        };
        parsed
            .map(Self)
            .ok_or_else(|| format!("{text:?} is no offset; write UTC or one such as +02:00 or -05:30"))
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("UTC");
        }
        let (sign, minutes) = (if self.0 < 0 { '-' } else { '+' }, self.0.abs());
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// Seconds since 1970-01-01T00:00:00Z of a local time `YYYY-MM-DDTHH:MM[:SS]` at `offset`.
pub(super) fn parse_time(text: &str, offset: Offset) -> Result<i64, String> {
    let seconds = text.split_once(['T', ' ']).and_then(|(date, time)| {
        let mut date = date.splitn(3, '-');
        let year = number(date.next()?, 4, 1, LAST_YEAR)?;
        let month = number(date.next()?, 2, 1, 12)?;
        let longest = months(year).into_iter().zip(1..).find(|(_, number)| *number == month)?.0;
        let day = number(date.next()?, 2, 1, longest)?;
        let mut time = time.splitn(3, ':');
        let hour = number(time.next()?, 2, 0, 23)?;
        let minute = number(time.next()?, 2, 0, 59)?;
        let second = time.next().map_or(Some(0), |second| number(second, 2, 0, 59))?;
        Some(days(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second)
    });
    seconds.map(|seconds| seconds - offset.0 * 60).ok_or_else(|| {
        format!(
            "{text:?} is no time; write YYYY-MM-DDTHH:MM:SS without an offset, such as 2026-11-20T10:30:00"
        )
    })
}

/// The RFC 3339 form of a time in seconds since 1970-01-01T00:00:00Z, as it is told at `offset`.
pub(super) fn format_time(unix: i64, offset: Offset) -> Result<String, String> {
    let local = unix.saturating_add(offset.0 * 60);
    let (year, month, day) = date(local.div_euclid(SECONDS_PER_DAY))
        .ok_or_else(|| format!("there the time is not in the years 1 to {LAST_YEAR}"))?;
    let second = local.rem_euclid(SECONDS_PER_DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let zone = if offset.0 == 0 { "Z".into() } else { offset.to_string() };
    Ok(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{zone}"))
}

/// A number of exactly `digits` digits within the bounds.
fn number(text: &str, digits: usize, least: i64, most: i64) -> Option<i64> {
    let plain = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| plain && (least..=most).contains(number))
}

/// The lengths of a year's months.
fn months(year: i64) -> [i64; 12] {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

/// Days from 0001-01-01 to the first day of `year`.
fn days_before(year: i64) -> i64 {
    let past = year - 1;
    past * 365 + past / 4 - past / 100 + past / 400
}

/// Days since 1970-01-01 of a date that exists.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let before_month = months(year).into_iter().zip(1..month).map(|(length, _)| length).sum::<i64>();
    days_before(year) + before_month + day - 1 - EPOCH
}

/// The date that many days after 1970-01-01, if its year is one of ours.
fn date(days: i64) -> Option<(i64, i64, i64)> {
    let days = days.checked_add(EPOCH).filter(|days| (0..days_before(LAST_YEAR + 1)).contains(days))?;
    // No year has more than 366 days, so this is never too late and at most a few years too early.
    let mut year = days / 366 + 1;
    while days_before(year + 1) <= days {
        year += 1;
    }
    let mut rest = days - days_before(year);
    for (length, month) in months(year).into_iter().zip(1..) {
        if rest < length {
            return Some((year, month, rest + 1));
        }
        rest -= length;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{EPOCH, LAST_YEAR, Offset, date, days, days_before, format_time, parse_time};

    const UTC: Offset = Offset(0);

    #[test]
    fn known_instants_are_told_right() {
        for (unix, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_000_000_000, "2001-09-09T01:46:40Z"),
            (2_147_483_647, "2038-01-19T03:14:07Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
            (-62_135_596_800, "0001-01-01T00:00:00Z"),
        ] {
            assert_eq!(format_time(unix, UTC).as_deref(), Ok(text));
            assert_eq!(parse_time(text.trim_end_matches('Z'), UTC), Ok(unix));
        }
    }

    #[test]
    fn every_day_is_found_again() {
        for day in -EPOCH..days_before(LAST_YEAR + 1) - EPOCH {
            let (year, month, of_month) = date(day).unwrap();
            assert_eq!(days(year, month, of_month), day);
        }
        assert_eq!(date(-EPOCH - 1), None);
        assert_eq!(date(days_before(LAST_YEAR + 1) - EPOCH), None);
    }

    #[test]
    fn offsets_shift_the_date_too() {
        let offset = |text: &str| text.parse::<Offset>().unwrap();
        let unix = parse_time("2026-12-31T23:30", offset("-05:30")).unwrap();
        assert_eq!(format_time(unix, UTC).as_deref(), Ok("2027-01-01T05:00:00Z"));
        assert_eq!(format_time(unix, offset("+14:00")).as_deref(), Ok("2027-01-01T19:00:00+14:00"));
        assert!(format_time(253_402_300_799, offset("+00:01")).is_err());
        assert!(format_time(i64::MAX, offset("+00:01")).is_err());
        assert!(format_time(i64::MIN, offset("-00:01")).is_err());
    }

    #[test]
    fn what_is_no_offset_is_refused() {
        assert_eq!("Z".parse(), Ok(UTC));
        assert_eq!("-00:00".parse(), Ok(UTC));
        for text in [
            "",
            "+",
            "+2",
            "+2:00",
            "+24:00",
            "+02:60",
            "02:00",
            "+02:00:00",
            "Europe/Berlin",
            "ü02:00",
            "++2:00",
        ] {
            assert!(text.parse::<Offset>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "T",
            "2026-11-20",
            "2026-11-20T",
            "2026-02-29T10:00",
            "2026-13-01T10:00",
            "2026-00-10T10:00",
            "0000-01-01T10:00",
            "2026-11-31T10:00",
            "2026-11-20T24:00",
            "2026-11-20T10:60",
            "2026-11-20T10:00:60",
            "2026-11-20T10:00Z",
            "2026-11-20T10:00:00+01:00",
            "26-11-20T10:00",
            "2026-+1-20T10:00",
            "10:00",
        ] {
            assert!(parse_time(text, UTC).is_err(), "{text}");
        }
    }
}
