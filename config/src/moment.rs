//! Moments as operators write them: `2027-01-31`, or `2027-01-31T12:00:00Z`.

use std::time::{Duration, SystemTime};

/// The moment that a text names: a day, meaning its beginning in UTC, or a time of RFC 3339 in UTC with whole seconds. Years
/// run from 1970 to 9999.
pub fn parse(text: &str) -> Option<SystemTime> {
    let (day, time) = match text.split_once('T') {
        Some((day, time)) => (day, Some(time)),
        None => (text, None),
    };
    let [year, month, day] = numbers(day, '-', [4, 2, 2])?;
    let [hour, minute, second] = match time {
        Some(time) => numbers(time.strip_suffix('Z')?, ':', [2, 2, 2])?,
        None => [0; 3],
    };
    let leap = (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400);
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if year < 1970 || !(1..=days).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Days since the year 0, counted in years that begin in March, so that the day that leap years add is the last one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    let days = days.checked_sub(719_468)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(((days * 24 + hour) * 60 + minute) * 60 + second))
}

/// Numbers of exactly so many digits.
fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; 3];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next()?;
        if part.len() != digits || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_seconds_since_1970() {
        for (text, seconds) in [
            ("1970-01-01", 0),
            ("1970-03-01T00:00:01Z", 5_097_601),
            ("2000-02-29T23:59:59Z", 951_868_799),
            ("2026-11-21T12:34:56Z", 1_795_264_496),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ] {
            let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(parse(text), Some(expected), "{text}");
        }
        for text in [
            "",
            "1969-12-31",
            "2027-02-29",
            "2100-02-29",
            "2027-13-01",
            "2027-00-01",
            "2027-01-00",
            "27-01-01",
            "2027-1-1",
            "2027-01-01T",
            "2027-01-01T24:00:00Z",
            "2027-01-01T12:00:00",
            "2027-01-01T12:00:00+00:00",
            "2027-01-01-01",
            "+027-01-01",
            "２027-01-01",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
